"""Around the steps of a training run: numbers to a table, states to disk, progress to whoever listens."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..errors import FileFormatError, InterruptedTraining
from ..files import atomic_path, writing
from ..progress import notify, track
from .distributed import first_of_us, wait_for_all
from .interruption import StopWish

__all__ = ["Checkpoints", "Curve", "MetricsTable", "ProgressReport", "averaging"]

COLUMNS = ("step", "epoch", "split", "metric", "value")


class MetricsTable:
    """A run's `metrics.csv`: one number per row, with the step and epoch it belongs to.

    Parameters
    ----------
    path
        The file; rows are added to it as training goes on.
    keep_until
        Rows of later steps are dropped first: those of a stretch that is about to be trained again.
        None starts an empty table.
    """

    def __init__(self, path: str | Path, keep_until: int | None = None) -> None:
        self.path = Path(path)
        rows = self._read(keep_until) if keep_until is not None and self.path.is_file() else []
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])

    def _read(self, keep_until: int) -> list[list[str]]:
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise FileFormatError(
                f"{self.path}: is no table of metrics; its columns must be {', '.join(COLUMNS)}."
            )
        # A run that was killed may have left half a row at the end.
        whole = [row for row in rows[1:] if len(row) == len(COLUMNS) and row[0].isdigit()]
        return [row for row in whole if int(row[0]) <= keep_until]

    def add(self, step: int, epoch: int, split: str, metrics: Mapping[str, float]) -> None:
        """Add one row per metric; `epoch` counts from 1, a value that is not a number is left empty."""
        rows = [
            [step, epoch, split, name, format(value, ".8g") if math.isfinite(value) else ""]
            for name, value in metrics.items()
        ]
        with writing(self.path), self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _stepped(trainer: L.Trainer, batch_idx: int) -> bool:
    """Whether the optimiser made a step with this batch."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch


class Curve(L.Callback):
    """Numbers to `metrics.csv`, and to TensorBoard on request; the first process writes those of all.

    Parameters
    ----------
    run
        Run folder.
    log_every
        Steps between two rows of the training; each epoch's last step has one as well.
    keep_until
        See :class:`MetricsTable`.
    tensorboard
        Whether to write into `tensorboard/`, too.
    """

    def __init__(self, run: Path, log_every: int, keep_until: int | None, tensorboard: bool) -> None:
        self.run, self.log_every, self.keep_until, self.tensorboard = run, log_every, keep_until, tensorboard
        self._table: MetricsTable | None = None
        self._board: TensorBoardLogger | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Open what is written to."""
        if not trainer.is_global_zero:
            return
        self._table = MetricsTable(self.run / "metrics.csv", self.keep_until)
        if self.tensorboard:
            start = None if self.keep_until is None else self.keep_until + 1
            self._board = TensorBoardLogger(self.run, name="tensorboard", version="", purge_step=start)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Rows of the training."""
        due = trainer.global_step % self.log_every == 0 and _stepped(trainer, batch_idx)
        if due or trainer.is_last_batch:
            self._write(trainer, "train", pl_module.take_recent())

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Rows of the validation."""
        self._write(trainer, "valid", pl_module.valid_metrics)

    def _write(self, trainer: L.Trainer, split: str, metrics: Mapping[str, float]) -> None:
        if self._table is not None:
            self._table.add(trainer.global_step, trainer.current_epoch + 1, split, metrics)
        if self._board is not None:
            named = {f"{split}/{name}": value for name, value in metrics.items()}
            self._board.log_metrics(named, trainer.global_step)

    def teardown(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Close what was opened."""
        if self._board is not None:
            self._board.finalize("done")


class Checkpoints(L.Callback):
    """States to disk: `last.ckpt`, before it `previous.ckpt`, and `best.ckpt` if an epoch's score improved.

    They are taken after every epoch, every few optimiser steps on request, and when the run is asked to stop,
    which it does with an :class:`InterruptedTraining` at the end of the step. What is due at the last
    step of an epoch is done after its validation. A step whose batches are not all in is never saved.

    Parameters
    ----------
    directory
        Where the files go.
    monitor, mode
        The validation score to watch, and whether ``"min"`` or ``"max"`` of it is best. Where there is no
        validation, the last epoch counts as the best.
    patience
        Epochs without improvement after which training ends; None never ends it early.
    every
        Optimiser steps between two checkpoints within an epoch; None takes none there.
    stop
        Where a wish to stop is noted.
    """

    def __init__(
        self,
        directory: Path,
        monitor: str,
        mode: str,
        patience: int | None,
        every: int | None,
        stop: StopWish,
    ) -> None:
        self.directory, self.monitor, self.mode, self.patience = directory, monitor, mode, patience
        self.every, self.stop = every, stop
        self.best: float | None = None
        self.best_epoch = 0
        self.best_metrics: dict[str, float] = {}
        self.epochs_without = 0
        self.resumed = self.last_is_sound = False

    @property
    def last(self) -> Path:
        """The latest state."""
        return self.directory / "last.ckpt"

    @property
    def previous(self) -> Path:
        """The state that was the latest before."""
        return self.directory / "previous.ckpt"

    @property
    def best_path(self) -> Path:
        """State after the best epoch."""
        return self.directory / "best.ckpt"

    @property
    def out_of_patience(self) -> bool:
        """Whether the score has stood still for too long."""
        return self.patience is not None and self.epochs_without >= self.patience

    def resume(self, checkpoint: Mapping[str, Any], path: Path) -> None:
        """Go on from a checkpoint that was read from `path`."""
        self.load_state_dict(checkpoint["callbacks"][self.state_key])
        # A damaged last.ckpt must not push out the sound one before it.
        self.resumed, self.last_is_sound = True, path.resolve() == self.last.resolve()

    def knows(self, best: Mapping[str, Any]) -> bool:
        """Whether `best`, what `best.ckpt` holds, is of the epoch that is best here."""
        then = best["callbacks"][self.state_key]
        return all(then[name] == getattr(self, name) for name in ("best", "best_epoch"))

    def forget_best(self) -> None:
        """Look for the best epoch anew."""
        self.best, self.best_epoch, self.best_metrics, self.epochs_without = None, 0, {}, 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        names = ("best", "best_epoch", "best_metrics", "epochs_without")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Remove what another run left here; listen to whoever wants this one to stop."""
        self.stop.listen()
        if not trainer.is_global_zero:
            return
        kept = (self.last, self.previous, self.best_path)
        for stale in [left for path in kept for left in self.directory.glob(f".{path.stem}.*{path.suffix}")]:
            stale.unlink(missing_ok=True)  # of a process that was killed while it wrote
        if not self.resumed:
            for stale in kept:
                stale.unlink(missing_ok=True)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Within an epoch: save if it is time to, or the end."""
        if trainer.is_last_batch or not _stepped(trainer, batch_idx):
            return
        stopped = first_of_us(self.stop.signal)
        if stopped or (self.every is not None and trainer.global_step % self.every == 0):
            self._save(trainer)
        if stopped:
            self._end(trainer, stopped)

    def _improved(self, metrics: Mapping[str, float]) -> bool:
        value = metrics.get(self.monitor)
        if value is None:
            return not metrics
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return value < self.best if self.mode == "min" else value > self.best

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Save, and stop when the score has stood still for too long."""
        metrics: Mapping[str, float] = pl_module.valid_metrics
        improved = self._improved(metrics) or not self.best_epoch
        if improved:
            value = metrics.get(self.monitor)
            self.best = value if value is not None and math.isfinite(value) else None
            self.best_epoch = trainer.current_epoch + 1
            self.best_metrics = dict(metrics)
            self.epochs_without = 0
        else:
            self.epochs_without += 1
        self._save(trainer, best=improved)
        stopped = first_of_us(self.stop.signal)
        if stopped:
            self._end(trainer, stopped)
        if self.out_of_patience:
            trainer.should_stop = True

    def _save(self, trainer: L.Trainer, best: bool = False) -> None:
        """Write `last.ckpt`, and `best.ckpt` alike; every process takes part, the first one writes."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.last)
            return
        with atomic_path(self.last) as temporary:
            trainer.save_checkpoint(temporary)
            if best:
                with atomic_path(self.best_path) as copy:
                    shutil.copyfile(temporary, copy)
            if self.last_is_sound and self.last.is_file():
                self._keep_last()
        self.last_is_sound = True

    def _keep_last(self) -> None:
        """Make `last.ckpt` known as `previous.ckpt`, too, without a moment in which there is neither."""
        with atomic_path(self.previous) as temporary:
            try:
                temporary.hardlink_to(self.last)
            except OSError:  # a file system without such links
                shutil.copyfile(self.last, temporary)

    def _end(self, trainer: L.Trainer, signal: str) -> None:
        wait_for_all()  # Lightning ends the others as soon as one is gone
        raise InterruptedTraining(
            f"stopped by {signal} after step {trainer.global_step}; go on with --resume.", signal=signal
        )


def averaging(decay: float) -> L.Callback:
    """Keeps the exponential moving average of weights and running statistics, one update per step."""
    return WeightAveraging(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


class ProgressReport(L.Callback):
    """Steps to the current reporter's bar, and one line per epoch.

    Parameters
    ----------
    description
        What is being done, as a user would say it.
    monitor
        The validation score to name in the line.
    """

    def __init__(self, description: str, monitor: str) -> None:
        self.description, self.monitor = description, monitor
        self._steps: Iterator[int] | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Open the bar, where the run stands."""
        total = int(trainer.estimated_stepping_batches) - trainer.global_step
        self._steps = iter(track(range(total), self.description, total=total, unit="step"))
        next(self._steps, None)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step further."""
        if self._steps is not None and _stepped(trainer, batch_idx):
            next(self._steps, None)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Say how the epoch went."""
        line = f"{self.description}: epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        line += f", loss {pl_module.epoch_loss:.4g}"
        if self.monitor in pl_module.valid_metrics:
            line += f", validation {self.monitor} {pl_module.valid_metrics[self.monitor]:.4g}"
        notify(line)

    def teardown(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Close the bar, also after an early end."""
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()
        self._steps = None
