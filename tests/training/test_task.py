"""Stopped anywhere and taken up again, a run is the run that was never stopped, to the last bit."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from chromweave.errors import InterruptedTraining, ModelError
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.objectives import PairedPretraining
from chromweave.training.task import Place, Sources, Task
from tests.fakes_windows import Batches, synthetic_batch
from tests.training.toys import Shuffled, TinyPair

FIT = FitConfig(epochs=2, learning_rate=3e-3, log_every=2, checkpoint_every=2, accelerator="cpu")
EVERYTHING = replace(FIT, accumulate=3, ema=0.8, schedule="cosine", warmup_steps=2, final_rate=0.1)


class Crash(Exception):
    pass


class Fragile(PairedPretraining):
    """Fails, or calls for a signal, at a training step counted from 1."""

    def __init__(self, at=None, signal_number=None):
        super().__init__()
        self.at, self.signal_number, self.seen = at, signal_number, 0

    def for_epoch(self, epoch, epochs):
        return self

    def step(self, model, batch):
        if model.training:
            self.seen += 1
            if self.seen == self.at:
                if self.signal_number is None:
                    raise Crash
                os.kill(os.getpid(), self.signal_number)
        return super().step(model, batch)


def pair_model(seed=0):
    with seeded(seed):
        return TinyPair()


@pytest.fixture
def train():
    return Shuffled(synthetic_batch(64, seed=1), 8)  # 8 batches an epoch


@pytest.fixture(scope="module")
def valid():
    return Batches(synthetic_batch(16, seed=2), 8)


def table(run):
    return (run / "metrics.csv").read_text()


def checkpoint(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same(first, second):
    """The same nested values, tensors to the last bit."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif first == first:  # NaN is as good as NaN
        assert first == second


@pytest.mark.parametrize(
    ("config", "crash", "taken_up"),
    [
        (FIT, 6, [(0, b) for b in range(4, 8)] + [(1, b) for b in range(8)]),  # within the first epoch
        (FIT, 10, [(1, b) for b in range(8)]),  # after an epoch's end
        (FIT, 13, [(1, b) for b in range(4, 8)]),
        (replace(FIT, checkpoint_every=3), 8, [(0, 6), (0, 7)] + [(1, b) for b in range(8)]),
        (replace(FIT, log_every=3), 6, None),
        (EVERYTHING, 8, [(0, 6), (0, 7)] + [(1, b) for b in range(8)]),  # steps of 3, 3 and 2 batches
        (EVERYTHING, 15, [(1, b) for b in range(3, 8)]),
    ],
)
def test_a_crash_anywhere_leaves_no_trace(tmp_path, train, valid, config, crash, taken_up):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    result = fit(pair_model(), PairedPretraining(), whole, train, valid, config, seed=5)
    with pytest.raises(Crash):
        fit(pair_model(), Fragile(crash), halved, train, valid, config, seed=5)
    again, before = pair_model(seed=9), len(train.read)  # its first weights do not matter
    resumed = fit(again, PairedPretraining(), halved, train, valid, config, seed=5, resume=True)
    assert resumed == result
    assert table(halved) == table(whole)
    for name in ("last", "best", "previous"):
        assert_same(checkpoint(halved, name)["state_dict"], checkpoint(whole, name)["state_dict"])
    assert_same(checkpoint(halved)["optimizer_states"], checkpoint(whole)["optimizer_states"])
    assert_same(checkpoint(halved)["chromweave"], checkpoint(whole)["chromweave"])
    if taken_up:
        assert train.read[before:] == taken_up


@pytest.mark.parametrize(("device", "options"), [("cuda:0", {"non_blocking": True}), ("cpu", {})])
def test_windows_go_to_a_gpu_without_waiting(monkeypatch, device, options):
    moves, batch = [], synthetic_batch(2)
    monkeypatch.setattr(type(batch), "to", lambda self, *to, **how: moves.append((to, how)) or self)
    task = Task(TinyPair(), PairedPretraining(), Sources((), None, str), FIT, 0, Place())
    assert task.transfer_batch_to_device(batch, torch.device(device), 0) is batch
    assert moves == [((torch.device(device),), options)]


def test_other_batches_move_as_lightning_moves_them():
    task = Task(TinyPair(), PairedPretraining(), Sources((), None, str), FIT, 0, Place())
    moved = task.transfer_batch_to_device({"x": torch.ones(2)}, torch.device("meta"), 0)
    assert moved["x"].device.type == "meta"


def test_batches_that_cannot_start_in_the_middle_are_gone_through(tmp_path, valid):
    train = Batches(synthetic_batch(64, seed=1), 8)
    fit(pair_model(), PairedPretraining(), tmp_path / "whole", train, valid, FIT)
    with pytest.raises(Crash):
        fit(pair_model(), Fragile(6), tmp_path / "halved", train, valid, FIT)
    fit(pair_model(), PairedPretraining(), tmp_path / "halved", train, valid, FIT, resume=True)
    assert table(tmp_path / "halved") == table(tmp_path / "whole")


@pytest.mark.parametrize(
    ("config", "at", "number", "step", "name"),
    [
        (replace(FIT, checkpoint_every=None), 3, signal.SIGTERM, 3, "SIGTERM"),
        (replace(FIT, checkpoint_every=None), 3, signal.SIGINT, 3, "Ctrl-C"),
        (replace(FIT, checkpoint_every=None), 8, signal.SIGTERM, 8, "SIGTERM"),  # the epoch's last
        (EVERYTHING, 4, signal.SIGTERM, 2, "SIGTERM"),  # the second step's batches come in first
    ],
)
def test_a_wish_to_stop_is_met_at_the_end_of_the_step(tmp_path, train, valid, config, at, number, step, name):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    fit(pair_model(), PairedPretraining(), whole, train, valid, config)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedTraining) as caught:
        fit(pair_model(), Fragile(at, number), halved, train, valid, config)
    assert str(caught.value) == f"stopped by {name} after step {step}; go on with --resume."
    assert caught.value.signal == name
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert checkpoint(halved)["global_step"] == step
    fit(pair_model(), PairedPretraining(), halved, train, valid, config, resume=True)
    assert table(halved) == table(whole)
    assert_same(checkpoint(halved)["state_dict"], checkpoint(whole)["state_dict"])


def test_ctrl_c_twice_stops_at_once(tmp_path, train):
    class Impatient(PairedPretraining):
        def step(self, model, batch):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(pair_model(), Impatient(), tmp_path, train, None, FIT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_truncated_checkpoint_is_refused_and_the_one_before_leads_on(tmp_path, train, valid):
    whole, run = tmp_path / "whole", tmp_path / "run"
    fit(pair_model(), PairedPretraining(), whole, train, valid, FIT)
    with pytest.raises(Crash):
        fit(pair_model(), Fragile(13), run, train, valid, FIT)
    last, previous = run / "checkpoints" / "last.ckpt", run / "checkpoints" / "previous.ckpt"
    assert [checkpoint(run, name)["global_step"] for name in ("last", "previous")] == [12, 10]
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(ModelError) as caught:
        fit(pair_model(), PairedPretraining(), run, train, valid, FIT, resume=True)
    assert str(caught.value) == (
        f"{last}: is truncated or no checkpoint of chromweave; go on from the one before with "
        f"--resume-from {previous}."
    )
    with pytest.raises(Crash):  # after the next checkpoint, the damaged one has not become the previous
        fit(pair_model(), Fragile(4), run, train, valid, FIT, resume=previous)
    assert [checkpoint(run, name)["global_step"] for name in ("last", "previous")] == [12, 10]
    last.unlink()
    with pytest.raises(ModelError, match=r"there is no such checkpoint .* --resume-from .*previous\.ckpt"):
        fit(pair_model(), PairedPretraining(), run, train, valid, FIT, resume=True)
    fit(pair_model(), PairedPretraining(), run, train, valid, FIT, resume=previous)
    assert table(run) == table(whole)


def test_more_epochs_after_the_end(tmp_path, train, valid):
    """A finished run goes on when asked for more, as if it had been from the start."""
    fit(pair_model(), PairedPretraining(), tmp_path / "whole", train, valid, replace(FIT, epochs=3))
    fit(pair_model(), PairedPretraining(), tmp_path / "run", train, valid, FIT)
    done = replace(FIT, epochs=3)
    assert (
        fit(pair_model(), PairedPretraining(), tmp_path / "run", train, valid, done, resume=True).epochs == 3
    )
    assert table(tmp_path / "run") == table(tmp_path / "whole")
