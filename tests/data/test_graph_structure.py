"""Decay, visibility and components of message edges, against sums over a dense map."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.data.graph import GraphConfig, MessageEdges, all_edges, build_graph, split_edges
from chromweave.data.graph_structure import contact_decay, pairs_in_range, structural_features, visibility
from chromweave.genome import Assembly
from tests.fakes_graph import FakeLayer, FakeStore, planted_store

CHROMS = ("chr1", "chr2")


def planted(**changes):
    config = GraphConfig(10_000, CHROMS, ("signal",), max_distance=300_000)
    return build_graph(planted_store(chroms=CHROMS, n_bins=80, **changes), config)


def line_graph():
    """Bins 0, 1, 3, 4 of 10 bp (2 masked); counts 0-1: 6, 1-3: 2, 0-3: 3, 0-4: 9; range 3 bins."""
    counts = np.zeros((5, 5), dtype=int)
    for i, j, n in ((0, 1, 6), (1, 3, 2), (0, 3, 3), (0, 4, 9)):
        counts[i, j] = counts[j, i] = n
    layer = FakeLayer(counts, np.array([1.0, 1, np.nan, 1, 1]), 10)
    store = FakeStore("a", Assembly("toy", {"chr1": 50}), 10, {"chr1": layer}, {"CTCF": {"chr1": np.ones(5)}})
    return build_graph(store, GraphConfig(10, ("chr1",), ("CTCF",), max_distance=30))


def test_decay_by_hand():
    # Pairs at 1: 0-1, 3-4; at 2: 1-3; at 3: 0-3, 1-4. 0-4 is out of range.
    found = contact_decay(line_graph(), all_edges(line_graph()))
    np.testing.assert_allclose(found, [np.nan, 3.0, 2.0, 1.5])


def test_visibility_by_hand():
    # Foreseen of bin 0: 3 (to 1) + 1.5 (to 3); of 1: 3 + 2 + 1.5; of 3: 3 + 2 + 1.5; of 4: 3 + 1.5.
    found = visibility(line_graph(), all_edges(line_graph()))
    seen, foreseen = np.array([9, 8, 5, 0]), np.array([4.5, 6.5, 6.5, 4.5])
    np.testing.assert_allclose(found, np.log((seen + 0.5) / (foreseen + 0.5)), rtol=1e-6)


def test_chromosomes_do_not_mix():
    graph = planted()
    found = visibility(graph, all_edges(graph))
    assert graph.n_nodes == 156
    # Each chromosome alone has another decay, so that the foreseen differ a little, but not the order.
    alone = build_graph(planted_store(chroms=CHROMS, n_bins=80), replace(graph.config, chroms=("chr1",)))
    assert np.corrcoef(found[:78], visibility(alone, all_edges(alone)))[0, 1] > 0.999


def test_held_out_edges_leave_no_trace():
    graph = planted()
    split = split_edges(graph, seed=1)
    changed = replace(graph, counts=graph.counts.copy())
    order = np.random.default_rng(1).permutation(graph.edges.shape[1])
    held_out = order[: 2 * (graph.edges.shape[1] // 10)]
    changed.counts[held_out] = 1000
    again = split_edges(changed, seed=1)
    for compute in (contact_decay, visibility, lambda g, e: structural_features(g, e, 3)):
        np.testing.assert_array_equal(compute(graph, split.message), compute(changed, again.message))
    assert not np.array_equal(visibility(changed, all_edges(changed)), visibility(graph, all_edges(graph)))


def test_pairs_in_range_are_those_a_double_loop_finds():
    bins = np.array([0, 1, 3, 4, 9])
    expected = [(i, j) for i in range(5) for j in range(i + 1, 5) if bins[j] - bins[i] <= 3]
    assert list(map(tuple, pairs_in_range(bins, 3).T.tolist())) == expected


def test_the_first_component_is_the_planted_compartment():
    graph = planted()
    columns = structural_features(graph, all_edges(graph), 2)
    assert columns.shape == (156, 3)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-5)
    for chrom in (0, 1):
        own = graph.chrom == chrom
        state = np.where((graph.bins[own] // 10) % 2 == 0, 1.0, -1.0)
        assert abs(np.corrcoef(columns[own, 1], state)[0, 1]) > 0.8


def test_more_components_than_a_chromosome_has_are_zero():
    graph = line_graph()
    columns = structural_features(graph, all_edges(graph), 6)
    assert columns.shape == (4, 7)
    assert (columns[:, 3:] == 0).all()
    assert columns[:, 1].std() > 0


def test_edges_without_counts_count_as_one():
    graph = line_graph()
    plain = MessageEdges(torch.from_numpy(graph.edges), torch.ones(3))
    np.testing.assert_allclose(contact_decay(graph, plain), [np.nan, 0.5, 1, 0.5])


def test_structure_instead_of_tracks():
    config = GraphConfig(10_000, CHROMS, (), max_distance=300_000, structure=2)
    assert config.n_features == 3
    graph = build_graph(planted_store(chroms=CHROMS), config)
    assert graph.features.shape == (graph.n_nodes, 0)
    with pytest.raises(Exception, match="structure must not be negative"):
        replace(config, structure=-1)
