import numpy as np
import pytest
import torch
from torch import nn

from chromweave.batch import EdgeBatch, GraphBatch, Posterior
from chromweave.training.edges import EdgePrediction, kl_per_node, reparameterise


class Fixed(nn.Module):
    """A model whose posterior is a table of its own and whose logit is z_i . z_j."""

    def __init__(self, mean, log_std):
        super().__init__()
        self.table = nn.Parameter(mean)
        self.log_std = log_std

    def encode(self, graph):
        return Posterior(self.table, self.log_std)

    def decode(self, z, graph, pairs):
        return (z[pairs[0]] * z[pairs[1]]).sum(1)


def batch(negatives):
    graph = GraphBatch(torch.zeros(3, 1), torch.eye(3).to_sparse_coo(), torch.arange(3), torch.arange(3) * 0)
    return EdgeBatch(graph, torch.tensor([[0], [1]]), torch.tensor(negatives))


def accuracy(label, logit):
    return {"auc": float(np.mean((logit > 0) == label))}


MEAN = torch.tensor([[2.0], [1.0], [-1.0]])


def test_kl_by_hand():
    # One node, one dimension: 0.5 (m^2 + s^2 - 1 - 2 log s) with m = 1, log s = 0 is 0.5; N(0, 1) costs 0.
    one = Posterior(torch.tensor([[1.0], [0.0]]), torch.zeros(2, 1))
    assert kl_per_node(one).item() == pytest.approx(0.25)
    wide = Posterior(torch.zeros(1, 3), torch.ones(1, 3))
    assert kl_per_node(wide).item() == pytest.approx(3 * 0.5 * (np.e**2 - 1 - 2), rel=1e-6)


def test_reparameterise():
    posterior = Posterior(torch.tensor([[1.0, 2.0]]), torch.log(torch.tensor([[0.5, 3.0]])))
    z = reparameterise(posterior, torch.tensor([[2.0, -1.0]]))
    torch.testing.assert_close(z, torch.tensor([[2.0, -1.0]]))


def test_loss_by_hand():
    model = Fixed(MEAN, torch.zeros(3, 1)).eval()
    parts = EdgePrediction(accuracy).step(model, batch([[0, 1], [2, 2]]))
    # logits: contact 2; non-contacts -2 and -1. KL: mean of m^2 / 2 = (4 + 1 + 1) / 6 = 1, over 3 nodes.
    expected = np.log1p(np.exp(-2)) + (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2
    assert parts.terms["reconstruction"].item() == pytest.approx(expected, rel=1e-6)
    assert parts.terms["kl"].item() == pytest.approx(1.0)
    assert parts.total.item() == pytest.approx(expected + 1 / 3, rel=1e-6)
    kept = {name: value.detach() for name, value in parts.outputs.items()}
    assert EdgePrediction(accuracy).summarise(kept) == {"auc": 1.0}


def test_validation_takes_the_mean_and_every_negative():
    model = Fixed(MEAN, torch.full((3, 1), 5.0)).eval()
    first = EdgePrediction(accuracy).step(model, batch([[0, 1], [2, 2]]))
    second = EdgePrediction(accuracy).step(model, batch([[0, 1], [2, 2]]))
    assert torch.equal(first.outputs["logit"], second.outputs["logit"])
    assert first.outputs["label"].tolist() == [1, 0, 0]


def test_training_draws_z_and_as_many_negatives_as_positives():
    model = Fixed(MEAN, torch.zeros(3, 1)).train()
    drawn = set()
    for seed in range(30):
        torch.manual_seed(seed)
        parts = EdgePrediction(accuracy).step(model, batch([[0, 1], [2, 2]]))
        assert parts.outputs == {}
        drawn.add(round(parts.total.item(), 5))
    assert len(drawn) == 30


def test_the_loss_pulls_contacts_together():
    model = Fixed(MEAN.clone(), torch.full((3, 1), -20.0)).train()
    EdgePrediction(accuracy).step(model, batch([[0], [2]])).terms["reconstruction"].backward()
    # A step down the gradient makes the contact's inner product grow and the non-contact's fall.
    moved = model.table.detach() - 0.1 * model.table.grad
    assert moved[0] * moved[1] > MEAN[0] * MEAN[1]
    assert moved[0] * moved[2] < MEAN[0] * MEAN[2]
