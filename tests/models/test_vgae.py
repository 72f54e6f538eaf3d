import warnings

import numpy as np
import pytest
import torch

from chromweave.batch import GraphBatch
from chromweave.data.graph import MessageEdges
from chromweave.data.graph_batches import normalised_adjacency
from chromweave.errors import ConfigError
from chromweave.models.graph_decoders import InnerProductDecoder
from chromweave.models.graph_layers import GCNLayer, symmetric_spmm
from chromweave.models.vgae import VGAE, VGAEConfig


def random_graph(n=40, edges=200, features=3, seed=0):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n, (edges, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].T.copy()
    weight = torch.from_numpy(rng.gamma(2.0, size=pairs.shape[1]).astype(np.float32))
    message = MessageEdges(torch.from_numpy(pairs), weight)
    generator = torch.Generator().manual_seed(seed)
    batch = GraphBatch(
        features=torch.randn(n, features, generator=generator),
        adjacency=normalised_adjacency(n, message),
        bins=torch.arange(n),
        chrom=torch.zeros(n, dtype=torch.int64),
    )
    return batch, message


def test_gradient_of_the_symmetric_product_is_torchs_own():
    batch, _ = random_graph()
    x = torch.randn(40, 5, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    (symmetric_spmm(batch.adjacency, x) ** 3).sum().backward()
    ((batch.adjacency.to_dense() @ y) ** 3).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(3, 8), (8, 3)])
def test_layer_equals_pytorch_geometrics(channels_in, channels_out):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oracle's own imports
        from torch_geometric.nn import GCNConv

        oracle = GCNConv(channels_in, channels_out)
    batch, message = random_graph(features=channels_in)
    layer = GCNLayer(channels_in, channels_out)
    with torch.no_grad():
        layer.bias.uniform_(-1, 1)
        oracle.lin.weight.copy_(layer.linear.weight)
        oracle.bias.copy_(layer.bias)
    both = torch.cat([message.index, message.index.flip(0)], dim=1)
    expected = oracle(batch.features, both, message.weight.repeat(2))
    found = layer(batch.features, batch.adjacency)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.std() > 0.01


def test_original_shape():
    model = VGAE(VGAEConfig(features=2))
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["shared.linear.weight"] == (64, 2)
    assert shapes["mean.linear.weight"] == shapes["log_std.linear.weight"] == (32, 64)
    # BatchNorm 2 + 2; GCN 128 + 64; two GCNs of 2048 + 32
    assert sum(value.numel() for value in model.parameters()) == 4 + 192 + 2 * 2080


def test_inner_product_by_hand():
    batch, _ = random_graph()
    z = torch.zeros(40, 2)
    z[0], z[1], z[2] = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0]), torch.tensor([0.5, 0.5])
    logits = InnerProductDecoder()(z, batch, torch.tensor([[0, 0], [1, 2]]))
    assert logits.tolist() == [1.0, 1.5]


def test_scoring_uses_the_means_and_no_dropout():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3)).eval()
    pairs = torch.tensor([[0, 4], [3, 9]])
    mean = model.encode(batch).mean
    torch.testing.assert_close(model(batch, pairs), (mean[pairs[0]] * mean[pairs[1]]).sum(1))
    torch.testing.assert_close(model(batch, pairs)[:1], model(batch, pairs[:, :1]))


def test_nodes_without_a_path_do_not_touch():
    """Two copies of a graph side by side give each copy's own embedding (a graph's batch independence)."""
    batch, message = random_graph(n=20, edges=60)
    twice = MessageEdges(torch.cat([message.index, message.index + 20], 1), message.weight.repeat(2))
    other = torch.randn(20, 3)
    both = GraphBatch(
        torch.cat([batch.features, other]),
        normalised_adjacency(40, twice),
        torch.arange(40),
        torch.arange(40) // 20,
    )
    model = VGAE(VGAEConfig(features=3)).eval()
    torch.testing.assert_close(model.encode(both).mean[:20], model.encode(batch).mean)


def test_gradients_reach_every_parameter():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3, dropout=0.0))
    posterior = model.encode(batch)
    z = posterior.mean + posterior.log_std.exp()
    model.decode(z, batch, torch.tensor([[0, 1], [2, 3]])).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_refit_norm_puts_another_cell_line_in_its_own_frame():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3)).eval()
    shifted = batch.features * 4 + 7
    model.refit_norm(shifted)
    frame = model.norm(shifted)
    torch.testing.assert_close(frame.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(frame.std(0), torch.ones(3), atol=1e-3, rtol=0)


@pytest.mark.parametrize("changes", [{"features": 0}, {"latent": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_impossible_shapes(changes):
    with pytest.raises(ConfigError):
        VGAEConfig(**{"features": 2, **changes})
