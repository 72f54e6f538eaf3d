"""Around the steps of a training run: numbers to a table, states to disk, progress to whoever listens."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L

from ..errors import FileFormatError
from ..files import atomic_path, writing
from ..progress import notify, track

__all__ = ["Checkpoints", "MetricsTable", "ProgressReport"]

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


class Checkpoints(L.Callback):
    """After every epoch: `last.ckpt`; `best.ckpt` if the score improved; the end if patience ran out.

    Parameters
    ----------
    directory
        Where the two files go.
    monitor, mode
        The validation score to watch, and whether ``"min"`` or ``"max"`` of it is best. Where there is no
        validation, the last epoch counts as the best.
    patience
        Epochs without improvement after which training ends; None never ends it early.
    """

    def __init__(self, directory: Path, monitor: str, mode: str, patience: int | None) -> None:
        self.directory, self.monitor, self.mode, self.patience = directory, monitor, mode, patience
        self.best: float | None = None
        self.best_epoch = 0
        self.best_metrics: dict[str, float] = {}
        self.epochs_without = 0

    @property
    def last(self) -> Path:
        """State after the latest epoch."""
        return self.directory / "last.ckpt"

    @property
    def best_path(self) -> Path:
        """State after the best epoch."""
        return self.directory / "best.ckpt"

    @property
    def out_of_patience(self) -> bool:
        """Whether the score has stood still for too long."""
        return self.patience is not None and self.epochs_without >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        names = ("best", "best_epoch", "best_metrics", "epochs_without")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for name, value in state_dict.items():
            setattr(self, name, value)

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
            self.best = metrics.get(self.monitor)
            self.best_epoch = trainer.current_epoch + 1
            self.best_metrics = dict(metrics)
            self.epochs_without = 0
        else:
            self.epochs_without += 1
        with atomic_path(self.last) as temporary:
            trainer.save_checkpoint(temporary)
        if improved:
            with atomic_path(self.best_path) as temporary:
                shutil.copyfile(self.last, temporary)
        if self.out_of_patience:
            trainer.should_stop = True


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

    def on_train_batch_end(self, *arguments: Any, **options: Any) -> None:
        """One step further."""
        if self._steps is not None:
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
