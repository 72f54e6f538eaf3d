from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.batch import GraphBatch
from chromweave.data.graph import MessageEdges
from chromweave.data.graph_batches import normalised_adjacency
from chromweave.errors import ConfigError, ModelError
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


def test_original_shape():
    model = VGAE(VGAEConfig(features=2))
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["shared.linear.weight"] == (64, 2)
    assert shapes["mean.linear.weight"] == shapes["log_std.linear.weight"] == (32, 64)
    # BatchNorm 2 + 2; GCN 128 + 64; two GCNs of 2048 + 32
    assert sum(value.numel() for value in model.parameters()) == 4 + 192 + 2 * 2080


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


ENCODERS = ("gcn", "sage", "gat")
AWARE = {"decoder": "distance-aware", "likelihood": "negative-binomial", "max_bins": 20}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_gradients_reach_every_parameter_of_every_encoder(encoder):
    batch, _ = random_graph()
    batch = replace(batch, visibility=torch.linspace(-1, 1, 40))
    model = VGAE(VGAEConfig(features=3, dropout=0.0, encoder=encoder, own=40, **AWARE))
    with torch.no_grad():  # own latents let the encoder begin at nothing
        for layer in (model.mean, model.log_std):
            for parameter in layer.parameters():
                parameter.normal_(0, 0.3)
    posterior, pairs = model.encode(batch), torch.randint(0, 40, (2, 60))
    rate = model.decode(posterior.mean + posterior.log_std.exp(), batch, pairs)
    model.likelihood.log_prob(torch.ones(60), rate, batch.distance(pairs)).sum().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


@pytest.mark.parametrize("encoder", ENCODERS)
def test_parts_without_edges_between_are_encoded_as_the_whole(encoder):
    batch, message = random_graph(n=20, edges=60)
    twice = MessageEdges(torch.cat([message.index, message.index + 20], 1), message.weight.repeat(2))
    both = GraphBatch(
        torch.cat([batch.features, torch.randn(20, 3)]),
        normalised_adjacency(40, twice),
        torch.arange(40) % 20,
        torch.arange(40) // 20,
    )
    model = VGAE(VGAEConfig(features=3, encoder=encoder, own=40, **AWARE)).eval()
    assert model.own is not None
    model.own.place(both.chrom, both.bins)
    torch.nn.init.normal_(model.mean.bias if encoder != "sage" else model.mean.neighbours.bias)
    for first in (0, 20):
        half = slice(first, first + 20)
        part = GraphBatch(both.features[half], batch.adjacency, both.bins[half], both.chrom[half])
        torch.testing.assert_close(model.encode(both).mean[half], model.encode(part).mean)
    assert model.encode(both).mean.std() > 0.05


def test_own_latents_begin_alone_and_are_found_by_place():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3, own=40, **AWARE)).eval()
    torch.testing.assert_close(model.encode(batch).mean, model.own.mean)
    model.own.place(torch.zeros(40, dtype=torch.int64), torch.arange(40) + 5)
    graph = replace(batch, bins=torch.arange(40) + 5)
    torch.testing.assert_close(model.encode(graph).mean, model.own.mean)


def test_bins_without_latents_of_their_own_are_refused():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3, own=40, **AWARE)).eval()
    with pytest.raises(ModelError, match="none for 3 of these"):
        model.encode(replace(batch, bins=torch.arange(40) + 3))
    with pytest.raises(ModelError, match="none for 40 of these"):
        model.encode(replace(batch, chrom=torch.ones(40, dtype=torch.int64)))


def test_one_node_without_an_edge_is_encoded():
    edges = MessageEdges(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0))
    zero = torch.zeros(1, dtype=torch.int64)
    batch = GraphBatch(torch.ones(1, 3), normalised_adjacency(1, edges), zero, zero)
    for encoder in ENCODERS:
        mean = VGAE(VGAEConfig(features=3, encoder=encoder)).eval().encode(batch).mean
        assert torch.isfinite(mean).all()


def test_refit_norm_puts_another_cell_line_in_its_own_frame():
    batch, _ = random_graph()
    model = VGAE(VGAEConfig(features=3)).eval()
    shifted = batch.features * 4 + 7
    model.refit_norm(shifted)
    frame = model.norm(shifted)
    torch.testing.assert_close(frame.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(frame.std(0), torch.ones(3), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"features": 0},
        {"latent": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"own": -1},
        {"decoder": "distance-aware"},
        {"likelihood": "negative-binomial"},
    ],
)
def test_impossible_shapes(changes):
    with pytest.raises(ConfigError):
        VGAEConfig(**{"features": 2, **changes})
