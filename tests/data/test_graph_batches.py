"""A graph as tensors, whole and in parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.data.graph import GraphConfig, MessageEdges, all_edges, build_graph, split_edges
from chromweave.data.graph_batches import graph_batch, graph_parts, normalised_adjacency
from chromweave.data.graph_structure import pairs_in_range
from tests.fakes_graph import planted_store

CHROMS = ("chr1", "chr2", "chr3")


def planted(**changes):
    config = GraphConfig(10_000, CHROMS, ("signal",), max_distance=200_000, **changes)
    return build_graph(planted_store(chroms=CHROMS, n_bins=50), config)


def test_held_out_edges_cannot_carry_messages():
    graph = planted()
    for use in (lambda e: normalised_adjacency(graph.n_nodes, e), lambda e: graph_parts(graph, e)):
        with pytest.raises(TypeError, match="MessageEdges"):
            use(split_edges(graph).test)


def test_held_out_edges_are_not_in_the_adjacency():
    graph = planted()
    split = split_edges(graph)
    dense = graph_batch(graph, split.message).adjacency.to_dense()
    assert (dense[split.test.index[0], split.test.index[1]] == 0).all()
    assert (dense[split.message.index[0], split.message.index[1]] > 0).all()


def test_normalised_adjacency_by_hand():
    # One edge of weight 3 between two of three nodes: degrees with self-loops 4, 4, 1.
    edges = MessageEdges(torch.tensor([[0], [1]]), torch.tensor([3.0]))
    dense = normalised_adjacency(3, edges).to_dense()
    torch.testing.assert_close(dense, torch.tensor([[0.25, 0.75, 0], [0.75, 0.25, 0], [0, 0, 1.0]]))


def test_chromosomes_are_the_diagonal_blocks_of_the_whole():
    graph = planted(structure=2)
    message = split_edges(graph).message
    whole = graph_parts(graph, message).batches[0]
    parts = graph_parts(graph, message, by_chromosome=True)
    assert parts.starts.tolist() == [0, 48, 96, 144]
    for k, part in enumerate(parts.batches):
        own = slice(parts.starts[k], parts.starts[k + 1])
        torch.testing.assert_close(part.adjacency.to_dense(), whole.adjacency.to_dense()[own, own])
        for name in ("features", "bins", "chrom", "visibility"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[own])
    assert whole.features.shape == (144, 4)


def test_pairs_go_to_their_part_in_its_own_numbers():
    parts = graph_parts(planted(), all_edges(planted()), by_chromosome=True)
    found = parts.divide(np.array([[0, 50, 1, 143], [3, 60, 47, 143]]))
    assert [part.tolist() for part in found] == [[[0, 1], [3, 47]], [[2], [12]], [[47], [47]]]


@pytest.mark.parametrize("by_chromosome", [False, True])
def test_every_pair_in_range_is_a_message_edge_or_one_of_the_others(by_chromosome):
    graph = planted()
    split = split_edges(graph)
    parts = graph_parts(graph, split.message, by_chromosome=by_chromosome)
    batches = parts.counted(split.message)
    assert len(batches) == (3 if by_chromosome else 1)
    pairs = seen = 0
    for batch, start in zip(batches, parts.starts, strict=False):
        both = torch.cat([batch.pairs, batch.others], 1) + start
        assert len(torch.unique(both, dim=1).T) == both.shape[1]
        pairs, seen = pairs + both.shape[1], seen + len(batch)
        assert (batch.graph.chrom[batch.others[0]] == batch.graph.chrom[batch.others[1]]).all()
        assert int(batch.graph.distance(batch.others).max()) <= 20
    one = graph.bins[:48]
    assert pairs == 3 * pairs_in_range(one, 20).shape[1]
    assert seen == len(split.message)
    # The shares make the mean over batches the mean over pairs.
    assert sum(b.share * (len(b) + b.others.shape[1]) for b in batches) / len(batches) == pytest.approx(1)


def test_counts_stay_with_their_edges():
    graph = planted()
    split = split_edges(graph)
    asked = {(i, j): n for (i, j), n in zip(graph.edges.T.tolist(), graph.counts.tolist(), strict=False)}
    parts = graph_parts(graph, split.message, by_chromosome=True)
    far = np.array([[0], [2]])
    for batches, edges in (
        (parts.counted(split.message), split.message),
        (parts.held_out(split.valid, far), split.valid),
    ):
        found = {}
        for batch, start in zip(batches, parts.starts, strict=False):
            keys = map(tuple, (batch.pairs + start).T.tolist())
            found |= dict(zip(keys, batch.counts.tolist(), strict=True))
        assert found == {tuple(pair): asked[tuple(pair)] for pair in edges.index.T.tolist()}
    assert parts.held_out(split.valid, far)[0].others.tolist() == [[0], [2]]


def test_balancing_weights_stand_in_for_visibility():
    graph = planted()
    batch = graph_batch(graph, all_edges(graph), balance=True)
    assert batch.visibility is None
    expected = -np.log(graph.weights)
    np.testing.assert_allclose(batch.offset, expected - expected.mean(), atol=1e-5)
    weights = np.sort(graph.weights)
    assert weights[0] < weights[-1]


def test_a_chromosome_without_message_edges_is_no_training_batch():
    graph = planted()
    first = graph.edges[0] < 96
    cut = replace(
        graph,
        edges=graph.edges[:, first],
        edge_weight=graph.edge_weight[first],
        counts=graph.counts[first],
    )
    parts = graph_parts(cut, all_edges(cut), by_chromosome=True)
    assert len(parts.batches) == 3
    assert len(parts.counted(all_edges(cut))) == 2


def test_a_batch_moves_whole():
    graph = planted()
    batch = graph_parts(graph, all_edges(graph)).counted(all_edges(graph))[0].to("cpu")
    assert len(batch) == graph.edges.shape[1]
    assert batch.graph.visibility is not None
    assert batch.graph.offset is None
