from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.data.graph import (
    GraphConfig,
    HeldOutEdges,
    MessageEdges,
    all_edges,
    build_graph,
    robust_frame,
    split_edges,
)
from chromweave.errors import ConfigError, DataError
from chromweave.genome import Assembly
from tests.fakes_graph import FakeLayer, FakeStore, planted_store

NAN = float("nan")


def four_bins():
    """Bins 0..3 of 10 bp, bin 1 masked, chromosome 38 bp long."""
    counts = np.array([[5, 1, 4, 2], [1, 0, 0, 0], [4, 0, 3, 0], [2, 0, 0, 1]])
    layer = FakeLayer(counts, np.array([1.0, NAN, 0.5, 2.0]), 10)
    signal = np.array([1.0, 9.0, NAN, 3.0])
    return FakeStore("cells", Assembly("toy", {"chr1": 38}), 10, {"chr1": layer}, {"CTCF": {"chr1": signal}})


def config(**changes):
    return replace(GraphConfig(10, ("chr1",), ("CTCF",), max_distance=30), **changes)


def test_nodes_are_valid_bins_and_edges_contacts_between_them():
    graph = build_graph(four_bins(), config(edge_weight="log1p"))
    assert graph.bins.tolist() == [0, 2, 3]
    # contacts 0-2 (4 counts, balanced 4 x 1 x 0.5 = 2) and 0-3 (2 counts, 2 x 1 x 2 = 4); no diagonal
    assert graph.edges.tolist() == [[0, 0], [1, 2]]
    assert graph.counts.tolist() == [4, 2]
    assert graph.weights.tolist() == [1.0, 0.5, 2.0]
    np.testing.assert_allclose(graph.edge_weight, np.log([3.0, 5.0]), rtol=1e-6)


def test_contacts_beyond_the_range_are_known_but_no_edges():
    graph = build_graph(four_bins(), config(max_distance=20))
    assert graph.edges.tolist() == [[0], [1]]
    assert graph.known.tolist() == [[0, 0], [1, 2]]
    assert graph.edge_weight.tolist() == [1.0]


def test_masked_bins_come_back_as_rows():
    table = build_graph(four_bins(), config()).bin_table()
    assert table["masked"].tolist() == [False, True, False, False]
    assert table["end"].tolist() == [10, 20, 30, 38]


@pytest.mark.parametrize(
    ("uncovered", "expected"),
    [("zero", [1.0, 0.0, 3.0]), ("missing", [1.0, 2.0, 3.0])],  # the median of 1 and 3 is 2
)
def test_bases_without_a_value(uncovered, expected):
    graph = build_graph(four_bins(), config(frame="raw", uncovered=uncovered))
    assert graph.features[:, 0].tolist() == expected


def test_robust_frame_by_hand():
    # Quartiles of 0..4 are 1, 2, 3: (x - 2) / (2 / 1.349); a constant column is 0; an outlier is clipped.
    values = np.array([[0.0, 7], [1, 7], [2, 7], [3, 7], [4, 7]])
    frame = robust_frame(values)
    np.testing.assert_allclose(frame[:, 0], (values[:, 0] - 2) / (2 / 1.349), rtol=1e-6)
    assert frame[:, 1].tolist() == [0] * 5
    assert robust_frame(np.r_[np.arange(50.0), 1e9][:, None]).max() == 10


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_robust_frame_is_shared_by_scaled_tracks(scale, shift):
    values = np.random.default_rng(0).gamma(1.0, size=(200, 2))
    np.testing.assert_allclose(robust_frame(values * scale + shift), robust_frame(values), atol=1e-3)


def test_a_sparse_track_is_scaled_by_its_standard_deviation():
    sparse = np.zeros((10, 1))
    sparse[0] = 5.0
    assert robust_frame(sparse)[0, 0] == pytest.approx(5.0 / 1.5)  # sd of one 5 among ten is 1.5


def test_two_chromosomes_are_one_graph_without_edges_between():
    graph = build_graph(
        planted_store(chroms=("chr1", "chr2")),
        config(resolution=10_000, chroms=("chr1", "chr2"), features=("signal",), max_distance=200_000),
    )
    assert graph.n_nodes == 2 * 118
    assert (graph.chrom[graph.edges[0]] == graph.chrom[graph.edges[1]]).all()
    assert (graph.bins[graph.edges[1]] - graph.bins[graph.edges[0]]).max() == 20
    assert (graph.bins[graph.edges[1]] > graph.bins[graph.edges[0]]).all()


def planted_graph(**changes):
    return build_graph(
        planted_store(), GraphConfig(10_000, ("chr1",), ("signal",), max_distance=300_000, **changes)
    )


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_message_validation_and_test_edges_are_disjoint_and_complete(seed):
    graph = planted_graph()
    split = split_edges(graph, valid=0.1, test=0.2, seed=seed)
    sets = [set(map(tuple, part.index.T.tolist())) for part in (split.message, split.valid, split.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == graph.edges.shape[1]
    assert len(sets[1]) == graph.edges.shape[1] // 10
    assert isinstance(split.message, MessageEdges)
    assert isinstance(split.valid, HeldOutEdges)
    assert not isinstance(split.valid, MessageEdges)


def test_all_edges_carry_their_weights():
    graph = planted_graph(edge_weight="log1p")
    edges = all_edges(graph)
    assert len(edges) == graph.edges.shape[1]
    np.testing.assert_array_equal(edges.weight.numpy(), graph.edge_weight)
    assert edges.counts is not None
    np.testing.assert_array_equal(edges.counts.numpy(), graph.counts)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"features": ()}, ConfigError, "at least one track"),
        ({"chroms": ()}, ConfigError, "at least one chromosome"),
        ({"features": ("CTCF", "CTCF")}, ConfigError, "twice"),
        ({"max_distance": 5}, ConfigError, "less than one bin"),
        ({"features": ("ATAC",)}, DataError, "no track ATAC; it has CTCF"),
    ],
)
def test_unusable_configurations(changes, error, message):
    with pytest.raises(error, match=message):
        build_graph(four_bins(), config(**changes))


def with_layer(**changes):
    store = four_bins()
    return replace(store, layers={"chr1": replace(store.layers["chr1"], **changes)})


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (with_layer(weights=np.full(4, NAN)), "no bin of chr1 is valid"),
        (with_layer(counts=np.diag([5, 5, 5, 5])), "no contact between different valid bins"),
        (replace(four_bins(), tracks={"CTCF": {"chr1": np.full(4, NAN)}}), "CTCF has no data on chr1"),
    ],
    ids=["all masked", "diagonal only", "empty track"],
)
def test_unusable_stores(store, message):
    with pytest.raises(DataError, match=message):
        build_graph(store, config())


def test_a_band_that_is_too_narrow(monkeypatch):
    monkeypatch.setattr(FakeLayer, "n_diagonals", 3)
    with pytest.raises(ConfigError, match="contacts up to 20 bp; max_distance 30 is more"):
        build_graph(four_bins(), config())


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.1), (0.5, 0.5), (0.1, -0.1)])
def test_fractions_out_of_range(valid, test):
    with pytest.raises(ConfigError, match="must be positive"):
        split_edges(planted_graph(), valid=valid, test=test)


def test_too_few_edges_to_hold_out():
    with pytest.raises(DataError, match="2 edges are too few"):
        split_edges(build_graph(four_bins(), config()))
