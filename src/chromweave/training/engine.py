"""The one training loop: Lightning drives, an objective says what is learned, the run folder keeps the rest.

Randomness: every step is seeded from (seed, epoch, batch), so that a resumed run draws what an uninterrupted
one would have drawn; torch's global generators are put back afterwards. Models draw their first weights
under :func:`seeded`, too.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from ..errors import ConfigError, DataError, InterruptedTraining, ModelError
from ..progress import notify
from .callbacks import Checkpoints, Curve, ProgressReport, averaging
from .checkpoint import fill, read_checkpoint
from .distributed import wait_for_all
from .interruption import StopWish
from .objectives import Objective
from .seeds import seeded
from .settings import FitConfig, check_surroundings
from .task import Place, ShardedTask, Sources, Task

__all__ = ["FitConfig", "FitResult", "fit", "seeded"]


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
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice off the terminal: its settings are ours, not the user's."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        # Lightning 2.6 asks torch 2.13 in a way it no longer likes.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        # Gradients of depth-wise convolutions are laid out otherwise than DDP would like; they are small.
        warnings.filterwarnings("ignore", message="Grad strides do not match", category=UserWarning)
        # Nothing is done in place to what a network returns.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* view tensor", category=UserWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _devices_named(config: FitConfig) -> Iterator[None]:
    """Lightning's refusal of devices that are not here, as ours."""
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(
            f"this machine cannot train on {config.devices} device(s) of accelerator {config.accelerator!r}: "
            f"{error}"
        ) from error


@contextmanager
def _ends_named() -> Iterator[None]:
    """Undo what Lightning makes of signals that come before or besides ours."""
    try:
        yield
    except SIGTERMException as error:  # before the first step
        message = "stopped by SIGTERM before a step was made; start again."
        raise InterruptedTraining(message, signal="SIGTERM") from error
    except SystemExit as error:  # a second Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


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
    resume: bool | str | Path = False,
    description: str = "training",
    name_batch: Callable[[Any], str] = _some_batch,
) -> FitResult:
    """Train `network` in place; it ends with the weights of the best epoch, in evaluation mode.

    With several processes, every one of them calls this with the same arguments, and gets the same result.
    Those of the first machine are started from the command that runs (once more from its beginning, see
    Lightning), or by torchrun or SLURM.

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
        Go on from `checkpoints/last.ckpt`, or from another checkpoint of this run, instead of starting anew.
    description
        What the progress bar says.
    name_batch
        Says which samples a batch holds, for an error message.

    Raises
    ------
    TrainingError
        The loss or its gradient is not finite; the batch is named.
    InterruptedTraining
        SIGTERM or Ctrl-C came; the state after the step is in `checkpoints/last.ckpt`.
    ModelError
        There is no checkpoint to resume from, or it is damaged.
    DataError
        There is no batch to train on.
    ConfigError
        This environment, or these batches, cannot do what `config` asks for.
    """
    run = Path(run)
    check_surroundings(config)
    if isinstance(train, Sized) and not len(train):
        raise DataError(f"{run}: there is no batch to train on; is the training split empty?")
    stop = StopWish()
    checkpoints = Checkpoints(
        run / "checkpoints", objective.monitor, objective.mode, config.patience, config.checkpoint_every, stop
    )
    source, place = None, Place()
    if resume:
        source = checkpoints.last if resume is True else Path(resume)
        place = _take_up(source, network, checkpoints)
        if place.epoch >= config.epochs or (checkpoints.out_of_patience and not place.batch):
            return _finish(network, checkpoints, config, place)
    kind, trained = (ShardedTask, deepcopy(network)) if config.strategy == "fsdp" else (Task, network)
    task = kind(trained.train(), objective, Sources(train, valid, name_batch), config, seed, place)
    curve = Curve(run, config.log_every, place.step if source else None, config.tensorboard)
    callbacks = [curve, checkpoints, ProgressReport(description, objective.monitor)]
    if config.ema is not None:
        callbacks.insert(0, averaging(config.ema))  # before the state is saved
    with seeded(seed), _quiet_lightning(), stop, _ends_named():
        trainer = _trainer(run, config, callbacks, validates=valid is not None)
        trainer.fit(task, ckpt_path=source, weights_only=True)
    wait_for_all()
    return _finish(network, checkpoints, config, Place(trainer.current_epoch, step=trainer.global_step))


def _take_up(source: Path, network: nn.Module, checkpoints: Checkpoints) -> Place:
    """Where a checkpoint stands, once it is known to fit; Lightning reads the rest itself."""
    before = read_checkpoint(source)
    try:
        checkpoints.resume(before, source)
        place = Place.of(before)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: is no checkpoint of chromweave; give one of this run.") from error
    fill(network, _network_weights(before), str(source))
    if checkpoints.best_epoch and not _best_is_known(checkpoints):
        notify(
            f"{checkpoints.best_path}: is not of epoch {checkpoints.best_epoch}, the best when {source.name} "
            f"was written; the best epoch is looked for anew."
        )
        checkpoints.forget_best()
    return place


def _best_is_known(checkpoints: Checkpoints) -> bool:
    """Whether the best weights on disk are of the run as it stands, not of a stretch that was given up."""
    path = checkpoints.best_path
    return path.is_file() and checkpoints.knows(read_checkpoint(path))


def _network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name.removeprefix("network."): tensor for name, tensor in checkpoint["state_dict"].items()}


def _trainer(run: Path, config: FitConfig, callbacks: list[L.Callback], validates: bool) -> L.Trainer:
    strategy: Any = "auto"
    if config.strategy == "fsdp":
        strategy = ModelParallelStrategy(
            data_parallel_size=config.processes, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    elif config.processes > 1:
        strategy = DDPStrategy()
    plugins: list[Any] = []
    if config.processes == 1:
        plugins = [LightningEnvironment()]  # alone, also as one of many commands that srun started
    elif SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        plugins = [SLURMEnvironment(auto_requeue=False)]  # resuming is up to the user
    with _devices_named(config):
        return L.Trainer(
            max_epochs=config.epochs,
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=strategy,
            precision=config.precision,
            plugins=plugins,
            accumulate_grad_batches=config.accumulate,
            use_distributed_sampler=False,
            limit_val_batches=None if validates else 0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=run,
            callbacks=callbacks,
        )


def _finish(network: nn.Module, checkpoints: Checkpoints, config: FitConfig, place: Place) -> FitResult:
    """Give `network` the weights of the best epoch, and tell how the run went.

    Where no epoch is known as the best, and there is none left to train, those it was resumed with stay.
    """
    if checkpoints.best_epoch:
        best = read_checkpoint(checkpoints.best_path)
        fill(network, _network_weights(best), str(checkpoints.best_path))
    network.eval()
    return FitResult(
        epochs=place.epoch,
        steps=place.step,
        best_epoch=checkpoints.best_epoch or place.epoch,
        best_metrics=checkpoints.best_metrics,
        stopped_early=checkpoints.out_of_patience and place.epoch < config.epochs,
    )
