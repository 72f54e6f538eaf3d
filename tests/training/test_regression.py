"""Regression of contacts and signal: moments against scipy, losses by hand, and both tasks learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from torch import nn

from chromweave.batch import Prediction
from chromweave.errors import DataError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.tasks import ContactModel, ExpressionModel
from chromweave.training.checkpoint import transfer
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.regression import (
    ContactRegression,
    SignalRegression,
    masked_moments,
    pearson_of_moments,
)
from tests.fakes_windows import Batches, synthetic_batch

CONFIG = MixHicConfig(
    channels=8, heads=1, depth=1, window_bins=16, positions=320, pools=(2, 5), contact_mixing=True
)
FIT = FitConfig(epochs=4, learning_rate=3e-3, accelerator="cpu")


def made_up(windows, seed):
    return synthetic_batch(windows, seed=seed, positions=320)


class Constant(nn.Module):
    """Says what it was told to, and remembers what it was shown."""

    def __init__(self, value):
        super().__init__()
        self.value, self.shown = value, None

    def forward(self, contact_map, tracks):
        self.shown = (contact_map, tracks)
        return Prediction(self.value)


# --- moments


def test_moments_by_hand():
    truth = torch.tensor([[1.0, 2.0, 50.0], [3.0, 4.0, 5.0]])
    prediction = torch.tensor([[2.0, 5.0, 60.0], [1.0, 1.0, 2.0]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    found = masked_moments(truth, prediction, mask)
    assert found.dtype == torch.float64
    assert found.tolist() == [[2, 3, 7, 5, 29, 12], [0, 0, 0, 0, 0, 0]]


@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.05, 1))
def test_correlation_is_scipys_over_all_known_entries(seed, windows, share):
    rng = np.random.default_rng(seed)
    truth = rng.normal(2, 3, (windows, 1, 4, 4))
    prediction = 0.5 * truth + rng.normal(size=truth.shape)
    mask = rng.random(truth.shape) < share
    mask.flat[:3] = True
    moments = masked_moments(*map(torch.from_numpy, (truth, prediction, mask)))
    expected = pearsonr(truth[mask], prediction[mask]).statistic
    assert pearson_of_moments(moments) == pytest.approx(expected, abs=1e-9)
    # batches add up to the split
    assert pearson_of_moments(moments.flip(0)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("truth", "prediction", "mask"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [True, False, False]),  # one entry
        ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1], [True, True, True]),
        ([0.3, 0.3, 9.0], [1.0, 2.0, 3.0], [True, True, False]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [False, False, False]),
    ],
)
def test_correlation_of_what_does_not_vary_is_not_known(truth, prediction, mask):
    moments = masked_moments(*(torch.tensor([values]) for values in (truth, prediction, mask)))
    assert np.isnan(pearson_of_moments(moments))


# --- losses


def contacts_batch():
    """Two windows of 2 x 2; of the first the last column is masked, and 0."""
    batch = made_up(2, 0)
    truth = torch.tensor([[[[1.0, 0.0], [3.0, 0.0]]], [[[2.0, 2.0], [2.0, 2.0]]]])
    mask = torch.ones_like(truth, dtype=torch.bool)
    mask[0, 0, :, 1] = False
    return replace(batch, contact_map=truth, contact_mask=mask)


@pytest.mark.parametrize(
    ("masked", "loss"),
    [
        (True, (1 + 1 + 4 * 0) / 6),  # |2 - 1|^2 and |2 - 3|^2 over six known entries
        (False, (1 + 1 + 4 + 4) / 8),  # and 2 where 0 stands for what is not known
    ],
)
def test_masked_entries_count_as_no_contacts_or_not_at_all(masked, loss):
    model, batch = Constant(torch.full((2, 1, 2, 2), 2.0)), contacts_batch()
    parts = ContactRegression(masked).step(model, batch)
    assert parts.total.item() == pytest.approx(loss)
    assert model.shown[0] is None  # what is to be predicted is not shown
    assert parts.outputs["moments"].tolist() == [[2, 4, 4, 10, 8, 8], [4, 8, 8, 16, 16, 16]]


@pytest.mark.parametrize(("masked", "loss"), [(True, (4 + 1) / 2), (False, (4 + 1 + 9) / 3)])
def test_bins_without_data_count_as_no_signal_or_not_at_all(masked, loss):
    """Also where something stands in the target that is not known: it is 0 by contract."""
    batch = replace(
        made_up(1, 0), target=torch.tensor([[1.0, 4.0, 0.0]]), target_mask=torch.tensor([[True, True, False]])
    )
    model = Constant(torch.tensor([[3.0, 5.0, 3.0]]))
    parts = SignalRegression(masked).step(model, batch)
    assert parts.total.item() == pytest.approx(loss)
    assert model.shown == (batch.contact_map, batch.tracks)
    assert parts.outputs["moments"].tolist() == [[2, 5, 8, 17, 34, 23]]
    assert SignalRegression(masked).summarise(parts.outputs)["pearson"] == pytest.approx(1)  # of two points


@pytest.mark.parametrize("name", ["target", "target_mask"])
def test_a_signal_must_be_there(name):
    batch = replace(made_up(2, 0), target=None, target_mask=None)
    with pytest.raises(DataError, match="no target signal; name the track"):
        SignalRegression().step(Constant(torch.zeros(2, 32)), batch)


def test_a_batch_in_which_nothing_is_known_teaches_nothing():
    batch = made_up(2, 0)
    batch = replace(batch, target_mask=torch.zeros_like(batch.target_mask))
    value = torch.ones(2, 32, requires_grad=True)
    loss = SignalRegression().step(Constant(value), batch).total
    loss.backward()
    assert loss.item() == 0
    assert not value.grad.any()


def test_no_gradient_flows_through_the_scores():
    batch, value = made_up(2, 0), torch.ones(2, 32, requires_grad=True)
    assert not SignalRegression().step(Constant(value), batch).outputs["moments"].requires_grad


# --- training


@pytest.fixture(scope="module")
def train():
    return Batches(made_up(192, 1), 16)


@pytest.fixture(scope="module")
def valid():
    return Batches(made_up(32, 2), 16)


def built(cls, mode, seed=0, **options):
    with seeded(seed):
        return cls(CONFIG, mode, **options)


def test_contacts_are_learned_from_the_tracks(tmp_path, train, valid):
    """The decay with distance, and a band at the place of a peak; the mean map alone gives less."""
    model = built(ContactModel, "tracks", output="linear")
    result = fit(model, ContactRegression(), tmp_path, train, valid, replace(FIT, epochs=8))
    maps = valid.whole.contact_map
    average = train.whole.contact_map.mean(0).expand_as(maps)
    trivial = pearsonr(maps.flatten(), average.flatten()).statistic
    assert result.best_metrics["pearson"] > trivial + 0.15
    assert result.best_metrics["pearson"] > 0.8


@pytest.mark.parametrize(("mode", "epochs"), [("bimodal", 4), ("infer_map", 4), ("map", 16)])
def test_a_signal_is_learned_in_every_bin(tmp_path, train, valid, mode, epochs):
    """The target is the tracks' own mean, and the map has a band where its peak is."""
    with seeded(0):
        model = ExpressionModel(replace(CONFIG, position_encoding="sinusoidal", head_dropout=0.0), mode)
    result = fit(model, SignalRegression(), tmp_path, train, valid, replace(FIT, epochs=epochs))
    assert result.best_metrics["pearson"] > 0.6
    means = train.whole.target.mean(0).expand_as(valid.whole.target)
    assert abs(pearsonr(means.flatten(), valid.whole.target.flatten()).statistic) < 0.3


@pytest.mark.parametrize("probe", [False, True])
def test_training_leaves_what_is_frozen_as_it_was(tmp_path, train, valid, probe):
    """Only what is new learns, through validation, averaging and the best weights' return, too."""
    with seeded(3):
        before = MixHicPretrain(CONFIG)
    model = built(ContactModel, "infer_map", probe=probe)
    moved = transfer(model, before.state_dict(), "before")
    model.freeze({name.split(".")[0] for name in moved.moved})
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, ContactRegression(), tmp_path, train, valid, replace(FIT, epochs=1, ema=0.5))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, start[name])}
    assert changed <= set(moved.new)
    learned = {name.split(".")[0] for name in changed}
    assert learned == ({"head"} if probe else {"fusion", "decoder", "head"})
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"][0]
    optimised = sum(len(group["params"]) for group in kept["param_groups"])
    assert optimised == sum(parameter.requires_grad for parameter in model.parameters()) == len(moved.new)
