"""The likelihood of counts where some are held out, and the prior along the chromosome."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from chromweave.batch import CountBatch, GraphBatch, Posterior
from chromweave.data.graph import GraphConfig, MessageEdges, build_graph, split_edges
from chromweave.data.graph_batches import graph_parts, normalised_adjacency
from chromweave.errors import ConfigError
from chromweave.evaluation.classification import auroc
from chromweave.models.graph_likelihoods import Poisson
from chromweave.models.vgae import VGAE, VGAEConfig
from chromweave.training.edge_counts import ContactPrediction, CountPrediction, log_unseen, roughness
from tests.fakes_graph import planted_store


def no_scores(label, evidence):
    return {}


def graph(bins=(0, 1, 3), chrom=(0, 0, 0)):
    n = len(bins)
    adjacency = normalised_adjacency(n, MessageEdges(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0)))
    return GraphBatch(torch.zeros(n, 1), adjacency, torch.tensor(bins), torch.tensor(chrom))


class Fixed(nn.Module):
    """Latents from a table, log rate z_i . z_j, Poisson counts."""

    def __init__(self, mean):
        super().__init__()
        self.table = nn.Parameter(mean)
        self.likelihood = Poisson(10)

    def encode(self, graph):
        return Posterior(self.table, torch.full_like(self.table, -1.0))

    def decode(self, z, graph, pairs):
        return (z[pairs[0]] * z[pairs[1]]).sum(1)


MEAN = torch.tensor([[1.0], [0.5], [-1.0]])
BATCH = CountBatch(
    graph(), torch.tensor([[0], [1]]), torch.tensor([3.0]), torch.tensor([[0, 1], [2, 2]]), share=0.5
)


def test_unseen_pairs_are_none_or_held_out():
    none = torch.tensor([0.0, -1.0, -30.0])
    found = log_unseen(none, 0.2).exp()
    assert found.tolist() == pytest.approx([1.0, np.exp(-1) + 0.2 * (1 - np.exp(-1)), 0.2])
    assert torch.equal(log_unseen(none, 0), none)


def test_loss_by_hand():
    parts = CountPrediction(0.2, 2.0, no_scores, noise=False).step(Fixed(MEAN).train(), BATCH)
    # log rates: contact 0.5; others -1 and -0.5.
    contacts = -stats.poisson.logpmf(3, np.exp(0.5))
    nothing = np.exp(-np.exp([-1.0, -0.5]))
    others = -np.log(nothing + 0.2 * (1 - nothing)).sum()
    # KL of three nodes with log sigma -1; neighbours 1 and 2 bins apart, each sigma^2 = exp(-2).
    kl = 0.5 * sum(m**2 + np.exp(-2) - 1 + 2 for m in (1, 0.5, -1))
    rough = 0.5 * 2.0 * ((0.25 + 2 * np.exp(-2)) / 1 + (2.25 + 2 * np.exp(-2)) / 2)
    expected = {"contacts": contacts, "others": others, "kl": kl, "roughness": rough}
    assert {name: v.item() / 0.5 for name, v in parts.terms.items()} == pytest.approx(expected, rel=1e-5)
    assert parts.total.item() == pytest.approx(0.5 * sum(expected.values()), rel=1e-5)
    assert parts.outputs == {}


def test_chromosomes_are_not_neighbours():
    posterior = Posterior(MEAN, torch.full((3, 1), -20.0))
    assert roughness(posterior, graph()).item() == pytest.approx(0.25 + 2.25 / 2)
    assert roughness(posterior, graph((5, 6, 0), (0, 0, 1))).item() == pytest.approx(0.25)


def test_validation_is_the_likelihood_of_a_count_given_a_contact():
    objective = CountPrediction(0.2, 2.0, lambda label, score: {"auc": auroc(label, score)})
    parts = objective.step(Fixed(MEAN).eval(), BATCH)
    rate = np.exp(0.5)
    expected = stats.poisson.logpmf(3, rate) - np.log1p(-np.exp(-rate))
    kept = {name: value.detach() for name, value in parts.outputs.items()}
    assert objective.summarise(kept) == pytest.approx({"log_likelihood": expected, "auc": 1.0}, rel=1e-5)
    assert parts.total.item() == pytest.approx(-expected, rel=1e-5)


def test_noise_is_drawn_only_where_it_is_wanted():
    def losses(noise):
        objective = CountPrediction(0.2, 0.0, no_scores, noise)
        model, found = Fixed(MEAN).train(), set()
        for seed in range(5):
            torch.manual_seed(seed)
            found.add(objective.step(model, BATCH).total.item())
        return len(found)

    assert (losses(True), losses(False)) == (5, 1)


def test_few_of_many_others_stand_for_all():
    n = 60
    bins = tuple(range(n))
    others = torch.combinations(torch.arange(n)).T.contiguous()
    batch = CountBatch(graph(bins, (0,) * n), torch.tensor([[0], [1]]), torch.ones(1), others, 1.0)
    model = Fixed(torch.zeros(n, 1)).train()
    parts = CountPrediction(0.0, 0.0, no_scores, noise=False).step(model, batch)
    assert parts.terms["others"].item() == pytest.approx(others.shape[1], rel=1e-5)  # rate 1 everywhere


def test_parts_add_up_to_the_whole():
    """Mean loss over chromosomes, and every gradient but the encoder's, are those of the whole graph."""
    config = GraphConfig(10_000, ("chr1", "chr2"), ("signal",), max_distance=200_000)
    made = build_graph(planted_store(chroms=config.chroms, n_bins=40), config)
    message = split_edges(made).message
    shape = VGAEConfig(
        1, 4, 4, 0.0, decoder="distance-aware", likelihood="negative-binomial", own=76, max_bins=20
    )
    losses, gradients = [], []
    for apart in (False, True):
        torch.manual_seed(0)
        model = VGAE(shape).train()
        model.own.place(torch.from_numpy(made.chrom), torch.from_numpy(made.bins))
        batches = graph_parts(made, message, by_chromosome=apart).counted(message)
        objective = CountPrediction(0.2, 3.0, no_scores, noise=False)
        loss = sum(objective.step(model, batch).total for batch in batches) / len(batches)
        loss.backward()
        losses.append(loss.item())
        named = model.named_parameters()
        gradients.append({n: p.grad for n, p in named if n.split(".")[0] in ("own", "decoder", "likelihood")})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, expected in gradients[0].items():
        assert expected.abs().sum() > 0
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-5)


def planted(depth=40.0, n=60, held_out=0.2, seed=0):
    """Counts of two compartments on a decay, a fifth of the contacts held out; message and held-out pairs."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, min(n, i + 21))]).T
    state = np.where((np.arange(n) // 10) % 2 == 0, 1.0, -1.0)
    rate = depth / (pairs[1] - pairs[0]) * np.exp(0.7 * state[pairs[0]] * state[pairs[1]])
    counts = rng.poisson(rate)
    hidden = (rng.random(len(counts)) < held_out) & (counts > 0)
    message = (counts > 0) & ~hidden
    batch = CountBatch(
        replace(graph(tuple(range(n)), (0,) * n), visibility=torch.zeros(n)),
        torch.from_numpy(pairs[:, message]),
        torch.from_numpy(counts[message]).float(),
        torch.from_numpy(pairs[:, ~message]),
        1 / pairs.shape[1],
    )
    return batch, pairs, rate, hidden | (counts == 0), state


def trained(held_out_told, likelihood="poisson", batch_of=planted):
    batch, pairs, rate, unseen, state = batch_of()
    torch.manual_seed(0)
    config = VGAEConfig(1, 4, 4, 0.0, decoder="distance-aware", likelihood=likelihood, own=60, max_bins=20)
    model = VGAE(config)
    objective = CountPrediction(held_out_told, 2.0, no_scores, noise=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        total = objective.step(model.train(), batch).total
        total.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        asked = torch.from_numpy(pairs[:, unseen])
        found = model.decode(model.encode(batch.graph).mean, batch.graph, asked)
    return found.exp().numpy(), rate[unseen], model, state


def test_a_planted_signal_is_learned_and_not_thinned_by_what_is_held_out():
    found, rate, model, state = trained(0.2)
    # Rates of pairs never seen, though a fifth of the contacts were taken for nothing else than unknown.
    assert np.corrcoef(np.log(found), np.log(rate))[0, 1] > 0.93
    assert found.mean() == pytest.approx(rate.mean(), rel=0.1)
    z = model.own.mean.detach().numpy()
    similar = z @ z.T
    same = np.equal.outer(state, state)
    near = np.abs(np.subtract.outer(np.arange(60), np.arange(60))) <= 20
    assert similar[same & near].mean() > similar[~same & near].mean() + 0.5


def test_held_out_contacts_taken_for_zeros_thin_the_rates():
    found, rate, *_ = trained(0.0)
    assert found.mean() < 0.9 * rate.mean()


def test_negative_binomial_learns_the_same():
    found, rate, *_ = trained(0.2, "negative-binomial")
    assert np.corrcoef(np.log(found), np.log(rate))[0, 1] > 0.93


def test_contacts_alone_are_judged_by_auc():
    assert (ContactPrediction.monitor, CountPrediction.monitor) == ("auc", "log_likelihood")


@pytest.mark.parametrize(
    ("held_out", "smoothness", "message"),
    [(1.0, 0.0, "0 <= held_out < 1"), (-0.1, 0.0, "0 <= held_out"), (0.2, -1.0, "smoothness must be 0")],
)
def test_numbers_out_of_range(held_out, smoothness, message):
    with pytest.raises(ConfigError, match=message):
        CountPrediction(held_out, smoothness, no_scores)
