"""The loop on made-up windows: it learns, can be interrupted, names a bad batch, and leaves no trace."""

import csv
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.errors import ConfigError, DataError, ModelError, TrainingError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.tasks import LoopModel
from chromweave.progress import reporting
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.objectives import LoopClassification, PairedPretraining, PairLossConfig
from tests.fakes_windows import Batches, synthetic_batch

CONFIG = MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=400)


def pair_model(seed=0):
    with seeded(seed):
        return MixHicPretrain(CONFIG)


def loop_model(seed=0, **changes):
    with seeded(seed):
        return LoopModel(replace(CONFIG, **changes))


def accuracy(label, probability):
    return {"auroc": float(((probability > 0.5) == label).mean())}


def rows(run):
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def values(run, split, metric):
    return [float(r["value"]) for r in rows(run) if r["split"] == split and r["metric"] == metric]


@pytest.fixture(scope="module")
def train():
    return Batches(synthetic_batch(64, seed=1), 16)


@pytest.fixture(scope="module")
def valid():
    return Batches(synthetic_batch(32, seed=2), 16)


class Scripted(PairedPretraining):
    """Every epoch's score is given."""

    monitor, mode = "auroc", "max"

    def __init__(self, scores):
        super().__init__()
        self.scores = iter(scores)

    def summarise(self, outputs):
        return {"auroc": next(self.scores)}


class Notes:
    """Listens to what is told."""

    def __init__(self):
        self.lines = []

    def track(self, items, description, total, unit):
        yield from items

    def notify(self, message):
        self.lines.append(message)


FIT = FitConfig(epochs=3, learning_rate=3e-3, log_every=2, accelerator="cpu")


def test_pretraining_lowers_the_loss_and_keeps_its_books(tmp_path, train, valid):
    model = pair_model()
    result = fit(
        model, PairedPretraining(PairLossConfig(mapping_after=0.0)), tmp_path, train, valid, FIT, seed=0
    )
    losses = values(tmp_path, "train", "loss")
    assert losses[-1] < losses[0] - 0.5
    assert (result.epochs, result.steps, result.stopped_early) == (3, 12, False)
    found = rows(tmp_path)
    assert list(found[0]) == ["step", "epoch", "split", "metric", "value"]
    assert [int(r["step"]) for r in found if r["split"] == "train" and r["metric"] == "loss"] == [
        2,
        4,
        6,
        8,
        10,
        12,
    ]
    assert [r["step"] for r in found if r["split"] == "valid" and r["metric"] == "loss"] == ["4", "8", "12"]
    metrics = {r["metric"] for r in found if r["split"] == "valid"}
    assert metrics >= {
        "contrastive",
        "orthogonal",
        "mapping",
        "retrieval_top1",
        "retrieval_top5",
        "uniformity",
    }
    best = values(tmp_path, "valid", "loss")
    assert result.best_metrics["loss"] == pytest.approx(min(best), rel=1e-6)
    assert result.best_epoch == best.index(min(best)) + 1
    kept = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert not model.training


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path, train, valid):
    whole, halved = loop_model(), loop_model()
    objective = LoopClassification(accuracy)
    fit(whole, objective, tmp_path / "whole", train, valid, replace(FIT, epochs=4), seed=5)
    fit(halved, objective, tmp_path / "halved", train, valid, replace(FIT, epochs=2), seed=5)
    # what a kill between two checkpoints leaves: rows of a later step, the last one cut short
    with (tmp_path / "halved" / "metrics.csv").open("a") as file:
        file.write("10,3,train,loss,99\n11,3,tr")
    again = loop_model(seed=9)  # its first weights do not matter
    result = fit(
        again, objective, tmp_path / "halved", train, valid, replace(FIT, epochs=4), seed=5, resume=True
    )
    assert (result.epochs, result.steps) == (4, 16)
    assert rows(tmp_path / "whole") == rows(tmp_path / "halved")
    last = [
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("whole", "halved")
    ]
    for name, tensor in last[0]["state_dict"].items():
        assert torch.equal(tensor, last[1]["state_dict"][name]), name


def test_resuming_a_finished_run_gives_its_best_weights(tmp_path, train, valid):
    first, second = pair_model(), pair_model(seed=3)
    done = fit(first, PairedPretraining(), tmp_path, train, valid, replace(FIT, epochs=1))
    again = fit(second, PairedPretraining(), tmp_path, train, valid, replace(FIT, epochs=1), resume=True)
    assert again == done
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])


def test_there_must_be_something_to_resume(tmp_path, train):
    with pytest.raises(ModelError, match=r"last\.ckpt: there is no such checkpoint"):
        fit(pair_model(), PairedPretraining(), tmp_path, train, None, FIT, resume=True)


def test_resuming_with_fewer_epochs_than_were_begun_ends_at_once(tmp_path, train, valid):
    fit(pair_model(), PairedPretraining(), tmp_path, train, valid, replace(FIT, epochs=2))
    again = fit(
        pair_model(), PairedPretraining(), tmp_path, train, valid, replace(FIT, epochs=1), resume=True
    )
    assert again.epochs == 2


def test_a_checkpoint_of_something_else_is_refused(tmp_path, train):
    torch.save({"state_dict": {}, "epoch": 0}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match=r"other.ckpt: is no checkpoint of chromweave; give one of this run"):
        fit(pair_model(), PairedPretraining(), tmp_path, train, None, FIT, resume=tmp_path / "other.ckpt")


def test_a_device_that_is_not_here_is_refused(tmp_path, train):
    with pytest.raises(ConfigError, match=r"cannot train on 1 device.* of accelerator 'abacus'"):
        fit(pair_model(), PairedPretraining(), tmp_path, train, None, replace(FIT, accelerator="abacus"))


def test_patience_ends_training_and_the_best_epoch_is_kept(tmp_path, train, valid):
    model = pair_model()
    scores = [0.6, 0.9, 0.8, math.nan, 0.9, 0.95]
    result = fit(model, Scripted(scores), tmp_path, train, valid, replace(FIT, epochs=6, patience=3))
    assert (result.epochs, result.best_epoch, result.stopped_early) == (5, 2, True)
    assert result.best_metrics["auroc"] == 0.9
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(best[f"network.{name}"], tensor) for name, tensor in model.state_dict().items())
    scores = [r["value"] for r in rows(tmp_path) if r["metric"] == "auroc"]
    assert scores == ["0.6", "0.9", "0.8", "", "0.9"]


def test_patience_that_ends_with_the_last_epoch_stops_nothing_early(tmp_path, train, valid):
    config = replace(FIT, patience=2)
    result = fit(pair_model(), Scripted([0.9, 0.8, 0.7]), tmp_path, train, valid, config)
    assert (result.epochs, result.best_epoch, result.stopped_early) == (3, 1, False)
    again = fit(pair_model(), Scripted([]), tmp_path, train, valid, config, resume=True)
    assert again == result


def kept(run, name):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)


@pytest.mark.parametrize(("epochs", "best_epoch", "auroc"), [(4, 4, 0.8), (3, 3, 0.7), (2, 2, None)])
def test_the_best_of_a_stretch_that_was_given_up_is_forgotten(
    tmp_path, train, valid, epochs, best_epoch, auroc
):
    """The third epoch was the best of all, but the run is taken up after the second."""
    fit(pair_model(), Scripted([0.5, 0.6, 0.9]), tmp_path, train, valid, FIT)
    second = kept(tmp_path, "previous")["state_dict"]
    model, listener = pair_model(), Notes()
    with reporting(listener):
        result = fit(
            model, Scripted([0.7, 0.8]), tmp_path, train, valid, replace(FIT, epochs=epochs, patience=5),
            resume=tmp_path / "checkpoints" / "previous.ckpt",
        )  # fmt: skip
    assert "best.ckpt: is not of epoch 2, the best when previous.ckpt was written" in listener.lines[0]
    assert (result.epochs, result.best_epoch, result.best_metrics.get("auroc")) == (epochs, best_epoch, auroc)
    expected = second if epochs == 2 else kept(tmp_path, "best")["state_dict"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(expected[f"network.{name}"], tensor), name


def test_the_best_of_before_is_remembered(tmp_path, train, valid):
    fit(pair_model(), Scripted([0.9, 0.6, 0.5]), tmp_path, train, valid, FIT)
    listener = Notes()
    with reporting(listener):
        result = fit(
            pair_model(), Scripted([0.5]), tmp_path, train, valid, FIT,
            resume=tmp_path / "checkpoints" / "previous.ckpt",
        )  # fmt: skip
    assert result.best_epoch == 1
    assert not any("best.ckpt" in line for line in listener.lines)


def test_a_loss_that_is_no_number_names_the_batch(tmp_path, train):
    bad = synthetic_batch(64, seed=1)
    bad.tracks[40, 7] = torch.nan
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 1, step 3, of windows 132 to 147"):
        fit(
            pair_model(),
            PairedPretraining(),
            tmp_path,
            Batches(bad, 16),
            None,
            FIT,
            name_batch=lambda batch: f"of windows {batch.x[0]} to {batch.x[-1]}",
        )


def test_a_gradient_that_is_no_number_names_the_batch(tmp_path, train):
    class Infinite(PairedPretraining):
        def step(self, model, batch):
            parts = super().step(model, batch)
            zero = (model.to_map.dense.bias * 0).sum()  # sqrt has an infinite slope at 0
            return replace(parts, total=parts.total + zero.sqrt())

    with pytest.raises(TrainingError, match=r"gradient is not finite in epoch 1, step 1, of samples"):
        fit(pair_model(), Infinite(PairLossConfig(mapping_after=0.0)), tmp_path, train, None, FIT)


def test_without_validation_the_last_epoch_is_the_best(tmp_path, train):
    result = fit(pair_model(), PairedPretraining(), tmp_path, train, None, replace(FIT, epochs=2))
    assert (result.best_epoch, result.best_metrics) == (2, {})


def test_no_batches_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no batch to train on"):
        fit(pair_model(), PairedPretraining(), tmp_path, [], None, FIT)


def test_the_callers_generators_and_loggers_are_left_alone(tmp_path, train, valid):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    level = logging.getLogger("lightning.pytorch").level
    fit(loop_model(), LoopClassification(accuracy), tmp_path, train, valid, replace(FIT, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert logging.getLogger("lightning.pytorch").level == level


def test_nothing_is_printed_and_progress_is_told(tmp_path, train, valid, capfd):
    class Listener:
        def __init__(self):
            self.steps, self.lines, self.closed = 0, [], False

        def track(self, items, description, total, unit):
            self.total, self.unit = total, unit
            try:
                for item in items:
                    yield item
                    self.steps += 1
            finally:
                self.closed = True

        def notify(self, message):
            self.lines.append(message)

    listener = Listener()
    with reporting(listener):
        fit(pair_model(), PairedPretraining(), tmp_path, train, valid, FIT, description="pre-training")
    assert (listener.steps, listener.total, listener.unit, listener.closed) == (12, 12, "step", True)
    assert len(listener.lines) == 3
    assert listener.lines[2].startswith("pre-training: epoch 3/3, loss ")
    assert "validation loss" in listener.lines[2]
    assert capfd.readouterr() == ("", "")


def test_warm_up_starts_gently_and_survives_a_resumption(tmp_path, train):
    config = replace(FIT, epochs=2, warmup_steps=7)
    rates = []

    class Watched(LoopClassification):
        def step(self, model, batch):
            rates.append(next(g["lr"] for g in optimizers[-1].param_groups))
            return super().step(model, batch)

    optimizers, made = [], torch.optim.AdamW.__init__

    def remember(self, *arguments, **options):
        made(self, *arguments, **options)
        optimizers.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "__init__", remember)
        fit(loop_model(), Watched(accuracy), tmp_path, train, None, replace(config, epochs=1))
        fit(loop_model(), Watched(accuracy), tmp_path, train, None, config, resume=True)
    expected = [config.learning_rate * (step + 1) / 8 for step in range(8)]
    assert rates == pytest.approx(expected)


def test_a_staged_objective_changes_with_the_epochs(tmp_path, train, valid):
    fit(pair_model(), PairedPretraining(PairLossConfig(mapping_after=0.5)), tmp_path, train, valid,
        replace(FIT, epochs=2, log_every=4))  # fmt: skip

    def of(split, metric):
        return values(tmp_path, split, metric)

    first, second = of("train", "loss")
    assert first == pytest.approx(of("train", "contrastive")[0] + of("train", "orthogonal")[0])
    assert second > of("train", "contrastive")[1] + 0.9 * of("train", "mapping")[1]
    for loss, contrastive, mapping in zip(
        of("valid", "loss"), of("valid", "contrastive"), of("valid", "mapping"), strict=True
    ):
        assert loss > contrastive + 0.9 * mapping  # validation weighs all terms from the start


def test_seeded_is_repeatable_and_distinguishes_places():
    def draw(*where):
        with seeded(*where):
            return torch.rand(3).tolist()

    assert draw(1) == draw(1)
    assert len({tuple(draw(*where)) for where in ((1,), (2,), (1, 0, 1), (1, 1, 0))}) == 4


def test_a_step_of_several_batches_has_the_mean_of_their_gradients(tmp_path):
    """64 windows as 8 batches, 3 to a step: what AdamW gets is the mean over 3, 3 and, at the end, 2."""
    batches = Batches(synthetic_batch(64, seed=1), 8)
    model, twin = loop_model(head_dropout=0.0), loop_model(head_dropout=0.0)
    config = replace(FIT, epochs=1, accumulate=3, log_every=1, gradient_clip=math.inf)
    result = fit(model, LoopClassification(accuracy), tmp_path, batches, None, config)
    assert result.steps == 3
    assert [r["step"] for r in rows(tmp_path)] == ["1", "2", "3"]
    optimizer = torch.optim.AdamW(twin.parameters(), lr=FIT.learning_rate, weight_decay=FIT.weight_decay)
    losses, every = [], list(batches)
    for group in (every[:3], every[3:6], every[6:]):
        optimizer.zero_grad()
        parts = [LoopClassification(accuracy).step(twin, batch).total for batch in group]
        torch.stack(parts).mean().backward()
        optimizer.step()
        losses.append(sum(part.item() for part in parts) / len(group))
    assert values(tmp_path, "train", "loss") == pytest.approx(losses, abs=1e-5)
    for name, tensor in model.state_dict().items():
        if "stem" not in name:  # a bias before BatchNorm has no gradient but rounding, which AdamW blows up
            assert torch.allclose(tensor, twin.state_dict()[name], atol=1e-4), name


def test_the_moving_average_is_what_is_validated_kept_and_returned(tmp_path, train, valid):
    seen = []

    class Watched(LoopClassification):
        def step(self, model, batch):
            if not model.training:
                seen.append(model.head.out.bias.item())
            return super().step(model, batch)

    def bias(path, key="state_dict"):
        state = torch.load(tmp_path / path / "checkpoints" / "last.ckpt", weights_only=True)[key]
        return state["network.head.out.bias"].item()

    one = replace(FIT, epochs=1, ema=0.75)
    biases = []
    for steps in (1, 2, 3):
        model = loop_model(head_dropout=0.0)
        part = Batches(train.whole[: 16 * steps], 16)
        fit(model, Watched(accuracy), tmp_path / str(steps), part, valid, one)
        biases.append(bias(str(steps), "current_model_state"))
    average = biases[0]  # it starts as the weights after the first step
    for value in biases[1:]:
        average = 0.75 * average + 0.25 * value
    assert bias("3") == pytest.approx(average, rel=1e-5)
    assert seen[-1] == bias("3") == model.head.out.bias.item()
    assert average != pytest.approx(biases[-1], rel=1e-3)


def test_a_cosine_schedule_needs_a_length(tmp_path, train):
    config = replace(FIT, schedule="cosine")
    with pytest.raises(ConfigError, match="needs to know how many batches"):
        fit(pair_model(), PairedPretraining(), tmp_path, (batch for batch in train), None, config)


def test_bfloat16_learns_alike(tmp_path, train, valid):
    for name, precision in (("single", "32-true"), ("half", "bf16-mixed")):
        model = pair_model()
        fit(model, PairedPretraining(), tmp_path / name, train, valid, replace(FIT, precision=precision))
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    single, half = (values(tmp_path / name, "train", "loss") for name in ("single", "half"))
    assert half != single
    assert half[0] == pytest.approx(single[0], rel=0.02)
    assert half[-1] < half[0] - 0.5


def test_the_same_numbers_for_tensorboard(tmp_path, train, valid):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(loop_model(), LoopClassification(accuracy), tmp_path, train, valid, replace(FIT, tensorboard=True))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    table = [(int(r["step"]), float(r["value"])) for r in rows(tmp_path)
             if (r["split"], r["metric"]) == ("train", "loss")]  # fmt: skip
    assert [step for step, _ in found] == [step for step, _ in table]
    assert [value for _, value in found] == pytest.approx([value for _, value in table], rel=1e-6)
    assert [event.step for event in events.Scalars("valid/auroc")] == [4, 8, 12]
