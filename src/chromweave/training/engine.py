"""The one training loop: Lightning drives, an objective says what is learned, the run folder keeps the rest.

Randomness: every step is seeded from (seed, epoch, batch), so that a resumed run draws what an uninterrupted
one would have drawn; torch's global generators are put back afterwards. Models draw their first weights
under :func:`seeded`, too.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from torch import Tensor, nn

from ..errors import ConfigError, DataError, TrainingError
from .callbacks import Checkpoints, MetricsTable, ProgressReport
from .checkpoint import fill, read_checkpoint
from .objectives import Objective, Staged, Tally

__all__ = ["FitConfig", "FitResult", "fit", "seeded"]


@dataclass(frozen=True)
class FitConfig:
    """How a model is optimised (AdamW).

    Parameters
    ----------
    epochs
        Passes over the training windows.
    batch_size
        Samples per step.
    learning_rate, weight_decay
        AdamW's.
    warmup_steps
        Steps over which the rate rises linearly to `learning_rate`; it then stays.
    gradient_clip
        Largest norm of the gradient; None does not clip.
    patience
        Epochs without a better validation score after which training ends; None never ends it early.
    log_every
        Steps between two training rows of `metrics.csv`.
    accelerator
        Lightning's name of the device: ``"auto"``, ``"cpu"``, ``"gpu"``, ``"mps"``.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    warmup_steps: int = 0
    gradient_clip: float | None = 1.0
    patience: int | None = None
    log_every: int = 10
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "log_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps must not be negative, but is {self.warmup_steps}.")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ConfigError(
                f"learning_rate ({self.learning_rate}) must be positive and weight_decay "
                f"({self.weight_decay}) not negative."
            )
        if self.gradient_clip is not None and self.gradient_clip <= 0:
            raise ConfigError(f"gradient_clip must be positive, not {self.gradient_clip}.")


@dataclass(frozen=True)
class FitResult:
    """How a training run went.

    Attributes
    ----------
    epochs, steps
        Done in all, those before a resumption included.
    best_epoch
        The epoch whose weights were kept, from 1.
    best_metrics
        Its validation scores; empty without validation.
    stopped_early
        Whether patience ran out before the epochs did.
    """

    epochs: int
    steps: int
    best_epoch: int
    best_metrics: dict[str, float]
    stopped_early: bool


@contextmanager
def seeded(seed: int, *where: int) -> Iterator[None]:
    """Seed torch's generators from `seed` (and a place in the run) in the block; restore them after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        _reseed(seed, *where)
        yield


def _reseed(seed: int, *where: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, *where]).generate_state(1, np.uint64)[0] >> 1))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice off the terminal: its settings are ours, not the user's."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        # Lightning 2.6 asks torch 2.13 in a way it no longer likes.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class Task(L.LightningModule):
    """A network and its objective, as Lightning wants them."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective[Any],
        config: FitConfig,
        table: MetricsTable,
        name_batch: Callable[[Any], str],
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.config = config
        self.table = table
        self.name_batch = name_batch
        self.seed = seed
        self.valid_metrics: dict[str, float] = {}
        self._batch: Any = None
        self._stage = objective
        self._recent, self._epoch, self._valid = Tally(False), Tally(False), Tally()

    @property
    def epoch_loss(self) -> float:
        """Mean training loss of the epoch so far."""
        return self._epoch.means().get("loss", math.nan)

    def configure_optimizers(self) -> Any:
        """AdamW, in its fused form, which is several times faster on a CPU, too; with a warm-up."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        rise = self.config.warmup_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / (rise + 1))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before, and take up the objective of this one."""
        if isinstance(self.objective, Staged):
            self._stage = self.objective.for_epoch(self.current_epoch, self.config.epochs)
        self._epoch = Tally(False)
        self.valid_metrics = {}

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of one batch; refuses to go on with one that is no number."""
        _reseed(self.seed, self.current_epoch, batch_idx)
        parts = self._stage.step(self.network, batch)
        if not torch.isfinite(parts.total):
            terms = ", ".join(f"{name} {value.item():.4g}" for name, value in parts.terms.items())
            raise TrainingError(
                f"the loss is {parts.total.item()} {self._place(batch)}"
                + (f" ({terms})" if terms else "")
                + "; "
                "look for values that are not finite in these windows, or lower the learning rate."
            )
        for tally in (self._recent, self._epoch):
            tally.add(parts, len(batch))
        self._batch = batch
        return parts.total

    def _place(self, batch: Any) -> str:
        return f"in epoch {self.current_epoch + 1}, step {self.global_step + 1}, {self.name_batch(batch)}"

    def configure_gradient_clipping(self, optimizer: Any, *arguments: Any, **options: Any) -> None:
        """Clip the gradient's norm; one that is no number would end in every weight."""
        if self.config.gradient_clip is None:
            return
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        if not torch.isfinite(norm):
            raise TrainingError(
                f"the gradient is not finite {self._place(self._batch)}; lower the learning rate."
            )

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Rows of the table every few steps, and at the end of an epoch."""
        if self.global_step % self.config.log_every == 0 or self.trainer.is_last_batch:
            self._write("train", self._recent.means())
            self._recent = Tally(False)

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self._valid = Tally()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Loss of one batch, and what the scores need of it."""
        self._valid.add(self.objective.step(self.network, batch), len(batch))

    def on_validation_epoch_end(self) -> None:
        """Scores of the split."""
        self.valid_metrics = self._valid.summary(self.objective)
        self._valid = Tally()
        self._write("valid", self.valid_metrics)

    def _write(self, split: str, metrics: dict[str, float]) -> None:
        self.table.add(self.global_step, self.current_epoch + 1, split, metrics)


def _some_batch(batch: Any) -> str:
    return "of samples that have no names"


def fit(
    network: nn.Module,
    objective: Objective[Any],
    run: str | Path,
    train: Iterable[Any],
    valid: Iterable[Any] | None,
    config: FitConfig,
    *,
    seed: int = 0,
    resume: bool = False,
    description: str = "training",
    name_batch: Callable[[Any], str] = _some_batch,
) -> FitResult:
    """Train `network` in place; it ends with the weights of the best epoch, in evaluation mode.

    Parameters
    ----------
    network, objective
        What is trained, and for what.
    run
        Run folder: `metrics.csv` and `checkpoints/` go there.
    train, valid
        Batches, anew in every epoch; a batch has a length and a method `to(device)`.
    config
        How.
    seed
        Of dropout and everything else drawn while training.
    resume
        Go on from `checkpoints/last.ckpt` instead of starting anew.
    description
        What the progress bar says.
    name_batch
        Says which samples a batch holds, for an error message.

    Raises
    ------
    TrainingError
        The loss or its gradient is not finite; the batch is named.
    ModelError
        There is no checkpoint to resume from, or it is damaged.
    DataError
        There is no batch to train on.
    """
    run = Path(run)
    if isinstance(train, Sized) and not len(train):
        raise DataError(f"{run}: there is no batch to train on; is the training split empty?")
    checkpoints = Checkpoints(run / "checkpoints", objective.monitor, objective.mode, config.patience)
    before = read_checkpoint(checkpoints.last) if resume else None
    if before:
        checkpoints.load_state_dict(before["callbacks"][checkpoints.state_key])
        if before["epoch"] + 1 >= config.epochs or checkpoints.out_of_patience:
            return _finish(network, checkpoints, before["epoch"] + 1, before["global_step"])
    else:
        for stale in (checkpoints.last, checkpoints.best_path):
            stale.unlink(missing_ok=True)
    table = MetricsTable(run / "metrics.csv", keep_until=before["global_step"] if before else None)
    task = Task(network, objective, config, table, name_batch, seed)
    with seeded(seed), _quiet_lightning():
        trainer = L.Trainer(
            max_epochs=config.epochs,
            accelerator=config.accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=run,
            callbacks=[ProgressReport(description, objective.monitor), checkpoints],
        )
        trainer.fit(task, train, valid, ckpt_path=checkpoints.last if before else None, weights_only=True)
    return _finish(network, checkpoints, trainer.current_epoch, trainer.global_step)


def _finish(network: nn.Module, checkpoints: Checkpoints, epochs: int, steps: int) -> FitResult:
    """Give `network` the weights of the best epoch, and tell how the run went."""
    best = read_checkpoint(checkpoints.best_path)["state_dict"]
    weights = {name.removeprefix("network."): tensor for name, tensor in best.items()}
    fill(network, weights, str(checkpoints.best_path))
    network.eval()
    return FitResult(
        epochs, steps, checkpoints.best_epoch, checkpoints.best_metrics, checkpoints.out_of_patience
    )
