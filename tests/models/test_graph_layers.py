"""Layers against PyTorch Geometric's and against dense sums written out here."""

import warnings

import numpy as np
import pytest
import torch

from chromweave.data.graph import MessageEdges
from chromweave.data.graph_batches import normalised_adjacency
from chromweave.models.graph_layers import LAYERS, GATLayer, GCNLayer, SAGELayer, symmetric_spmm

N = 30


def random_edges(n=N, edges=120, seed=0, lonely=0):
    """Weighted edges among the first `n - lonely` nodes."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n - lonely, (edges, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].T.copy()
    return MessageEdges(
        torch.from_numpy(pairs), torch.from_numpy(rng.gamma(2.0, size=pairs.shape[1]).astype(np.float32))
    )


def dense(edges, n=N):
    matrix = torch.zeros(n, n)
    matrix[edges.index[0], edges.index[1]] = edges.weight
    return matrix + matrix.T


def both_ways(edges):
    return torch.cat([edges.index, edges.index.flip(0)], dim=1)


def geometric(name, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        import torch_geometric.nn

        return getattr(torch_geometric.nn, name)(*arguments, **options)


def features(channels=5):
    return torch.randn(N, channels, generator=torch.Generator().manual_seed(1))


def test_gradient_of_the_symmetric_product_is_torchs_own():
    adjacency = normalised_adjacency(N, random_edges())
    x = features().requires_grad_()
    y = x.detach().clone().requires_grad_()
    (symmetric_spmm(adjacency, x) ** 3).sum().backward()
    ((adjacency.to_dense() @ y) ** 3).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(3, 8), (8, 3)])
def test_gcn_equals_pytorch_geometrics(channels_in, channels_out):
    edges, oracle = random_edges(), geometric("GCNConv", channels_in, channels_out)
    layer = GCNLayer(channels_in, channels_out)
    with torch.no_grad():
        layer.bias.uniform_(-1, 1)
        oracle.lin.weight.copy_(layer.linear.weight)
        oracle.bias.copy_(layer.bias)
    x = features(channels_in)
    expected = oracle(x, both_ways(edges), edges.weight.repeat(2))
    found = layer(x, normalised_adjacency(N, edges))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.std() > 0.01


def test_sage_is_a_weighted_mean_written_out():
    edges, x = random_edges(lonely=2), features()
    layer, weights = SAGELayer(5, 4), dense(edges)
    found = layer(x, normalised_adjacency(N, edges))
    for node in range(N):
        total = weights[node].sum()
        mean = weights[node] @ x / total if total > 0 else torch.zeros(5)
        expected = layer.neighbours.weight @ mean + layer.neighbours.bias + layer.own.weight @ x[node]
        torch.testing.assert_close(found[node], expected, rtol=1e-4, atol=1e-4)


def test_sage_equals_pytorch_geometrics_without_weights():
    edges, oracle, layer = random_edges(lonely=1), geometric("SAGEConv", 5, 4), SAGELayer(5, 4)
    with torch.no_grad():
        oracle.lin_l.weight.copy_(layer.neighbours.weight)
        oracle.lin_l.bias.copy_(layer.neighbours.bias)
        oracle.lin_r.weight.copy_(layer.own.weight)
    equal = MessageEdges(edges.index, torch.ones(len(edges)))
    found = layer(features(), normalised_adjacency(N, equal))
    torch.testing.assert_close(found, oracle(features(), both_ways(edges)), rtol=1e-4, atol=1e-4)


def gat_pair(heads):
    layer = GATLayer(5, 4, heads)
    oracle = geometric("GATConv", 5, 4, heads=heads, concat=False)
    with torch.no_grad():
        layer.bias.uniform_(-1, 1)
        oracle.lin.weight.copy_(layer.linear.weight)
        oracle.att_src.copy_(layer.source[None])
        oracle.att_dst.copy_(layer.target[None])
        oracle.bias.copy_(layer.bias)
    return layer, oracle


@pytest.mark.parametrize("heads", [1, 3])
def test_gat_and_its_gradients_equal_pytorch_geometrics(heads):
    edges, (layer, oracle) = random_edges(lonely=1), gat_pair(heads)
    x, y = features().requires_grad_(), features().requires_grad_()
    found = layer(x, normalised_adjacency(N, edges))
    expected = oracle(y, both_ways(edges))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    (found**3).sum().backward()
    (expected**3).sum().backward()
    for ours, theirs in (
        (x.grad, y.grad),
        (layer.linear.weight.grad, oracle.lin.weight.grad),
        (layer.source.grad, oracle.att_src.grad[0]),
        (layer.target.grad, oracle.att_dst.grad[0]),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", list(LAYERS))
def test_the_order_of_nodes_does_not_matter(name):
    torch.manual_seed(0)
    layer, edges, x = LAYERS[name](5, 4), random_edges(lonely=1), features()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    place = torch.argsort(order)
    moved = torch.sort(place[edges.index], dim=0).values
    found = layer(x[order], normalised_adjacency(N, MessageEdges(moved, edges.weight)))
    torch.testing.assert_close(found, layer(x, normalised_adjacency(N, edges))[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_bin_without_neighbours_is_finite_in_both_directions(name):
    layer, edges, x = LAYERS[name](5, 4), random_edges(lonely=5), features().requires_grad_()
    layer(x, normalised_adjacency(N, edges)).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad[-1] != 0).any()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())
