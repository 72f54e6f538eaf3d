"""A network and its objective, as Lightning wants them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from ..batch import MapTrackBatch
from ..errors import ConfigError, DataError, TrainingError
from .distributed import any_of_us, average_gradient, first_of_us, rank, world
from .objectives import Objective, Staged, Tally
from .passes import Passes
from .seeds import reseed
from .settings import FitConfig, rate_factor

__all__ = ["Place", "ShardedTask", "Sources", "Task"]

_KEY = "chromweave"


@dataclass(frozen=True)
class Place:
    """Where in a run a checkpoint was taken.

    Attributes
    ----------
    epoch, batch
        Epochs done, and batches done of the next one.
    step
        Optimiser steps done.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0

    @staticmethod
    def of(checkpoint: Mapping[str, Any]) -> Place:
        """Read it off a checkpoint."""
        batch = int(checkpoint.get(_KEY, {}).get("batch", 0))
        return Place(checkpoint["epoch"] + (batch == 0), batch, checkpoint["global_step"])


@dataclass(frozen=True)
class Sources:
    """Where batches come from, and how to name one."""

    train: Iterable[Any]
    valid: Iterable[Any] | None
    name_batch: Callable[[Any], str]


class Task(L.LightningModule):
    """A network and its objective, as Lightning wants them.

    Parameters
    ----------
    network, objective, sources, config, seed
        See :func:`chromweave.training.engine.fit`.
    place
        Where the run is taken up again.

    Attributes
    ----------
    epoch_loss
        Mean training loss of the last finished epoch.
    valid_metrics
        Scores of the last validation; empty without.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective[Any],
        sources: Sources,
        config: FitConfig,
        seed: int,
        place: Place,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective, self.sources, self.config = objective, sources, config
        self.seed, self.place = seed, place
        self.epoch_loss = math.nan
        self.valid_metrics: dict[str, float] = {}
        self._batch: Any = None
        self._done = place.batch
        self._stage = objective
        self._recent, self._epoch, self._valid = Tally(False), Tally(False), Tally()

    def __deepcopy__(self, memo: dict[int, Any]) -> Task:
        """A task with a network of its own; batches and stores are not copied (weights get averaged so)."""
        network = deepcopy(self.network, memo)
        return type(self)(network, self.objective, self.sources, self.config, self.seed, self.place)

    def train_dataloader(self) -> Passes:
        """The training batches of this process, from where the run stands.

        Raises
        ------
        DataError
            There are fewer windows than one batch of several processes takes.
        """
        passes = Passes(self.sources.train, self._root_device(), self.place.batch)
        if any_of_us(passes.own == 0):
            raise DataError(
                f"there is no whole batch of {self.config.batch_size} to divide among {world()} processes; "
                f"choose a smaller batch_size, or train on one device."
            )
        return passes

    def val_dataloader(self) -> Passes:
        """The validation batches of this process."""
        return Passes(self.sources.valid or (), self._root_device())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch; the copy of windows in page-locked memory to a GPU does not wait."""
        if isinstance(batch, MapTrackBatch) and device.type == "cuda":
            return batch.to(device, non_blocking=True)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _root_device(self) -> torch.device:
        return self.trainer.strategy.root_device

    def configure_optimizers(self) -> Any:
        """AdamW, in its fused form, which is several times faster on a CPU, too; with its schedule."""
        optimizer = torch.optim.AdamW(
            self._parameter_groups(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        steps = math.inf
        if self.config.schedule == "cosine":
            steps = self.trainer.estimated_stepping_batches
            if steps < 1:
                raise ConfigError(
                    "a cosine schedule needs to know how many batches there are; give batches with a length, "
                    "or keep the rate constant."
                )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(self.config, step, steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Take up the objective of the epoch, which may have begun before."""
        self._choose_stage()

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before, and take up the objective of this one."""
        self._choose_stage()
        self._epoch = Tally(False)
        self.valid_metrics = {}

    def _choose_stage(self) -> None:
        if isinstance(self.objective, Staged):
            self._stage = self.objective.for_epoch(self.current_epoch, self.config.epochs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of one batch; refuses to go on with one that is no number."""
        reseed(self.seed, self.current_epoch, batch_idx, *([rank()] if world() > 1 else []))
        parts = self._stage.step(self.network, batch)
        self._check_loss(parts.total, parts.terms, batch)
        for tally in (self._recent, self._epoch):
            tally.add(parts, len(batch))
        self._batch, self._done = batch, batch_idx + 1
        return parts.total * self._share(batch_idx) if self.config.accumulate > 1 else parts.total

    def _check_loss(self, loss: Tensor, terms: Mapping[str, Tensor], batch: Any) -> None:
        word = None
        if not torch.isfinite(loss):
            listed = ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
            word = f"the loss is {loss.item()} {self._where(batch)}" + (f" ({listed})" if listed else "")
        word = first_of_us(word)
        if word is not None:
            raise TrainingError(
                f"{word}; look for values that are not finite in these windows, or lower the learning rate."
            )

    def _share(self, batch_idx: int) -> float:
        """Lightning divides by `accumulate`; the last step of an epoch may have fewer batches."""
        batches, wanted = self.trainer.num_training_batches, self.config.accumulate
        return wanted / min(wanted, batches - batch_idx // wanted * wanted)

    def _where(self, batch: Any) -> str:
        place = f"in epoch {self.current_epoch + 1}, step {self.global_step + 1}"
        return f"{place}, {self.sources.name_batch(batch)}"

    def configure_gradient_clipping(self, optimizer: Any, *arguments: Any, **options: Any) -> None:
        """Clip the gradient's norm; one that is no number would end in every weight, clipped or not."""
        norm = self._gradient_norm()
        if not torch.isfinite(norm):  # the same norm in every process
            raise TrainingError(
                f"the gradient is not finite {self._where(self._batch)}; lower the learning rate."
            )
        if math.isinf(self.config.gradient_clip):
            return
        for group in self._parameter_groups():
            torch.nn.utils.clip_grads_with_norm_(group["params"], self.config.gradient_clip, norm)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters that can be worked on in one go, alike for every strategy, so that a run may change it.

        FSDP numbers them as the network does, which has single numbers of its own before its modules'.
        """
        parameters = self._learned()
        groups = [p for p in parameters if not p.ndim], [p for p in parameters if p.ndim]
        return [{"params": group} for group in groups if group]

    def _gradient_norm(self) -> Tensor:
        """Norm of the gradient of all parameters."""
        return _norm(self._learned())

    def _learned(self) -> list[nn.Parameter]:
        """Parameters that are not frozen."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def take_recent(self) -> dict[str, float]:
        """Means since they were last taken."""
        means = self._recent.means()
        self._recent = Tally(False)
        return means

    def on_train_batch_end(self, *arguments: Any) -> None:
        """At the end of an epoch, its mean loss."""
        if self.trainer.is_last_batch:
            self.epoch_loss = self._epoch.means().get("loss", math.nan)

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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the middle of an epoch has to remember."""
        checkpoint[_KEY] = {
            "batch": 0 if self.trainer.is_last_batch else self._done,
            "recent": self._recent.state(),
            "epoch": self._epoch.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the running means again."""
        saved = checkpoint.get(_KEY)
        if saved and self.place.batch:
            for tally, name in ((self._recent, "recent"), (self._epoch, "epoch")):
                tally.load(saved[name], self._root_device())


def _norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


class ShardedTask(Task):
    """A task whose network lies in parts in the memories of all processes (FSDP2).

    Single numbers, such as a learned temperature, cannot be divided: each process has them whole.
    """

    def configure_model(self) -> None:
        """Shard each block of a sequence of blocks, then what is left."""
        if isinstance(self.network, FSDPModule):
            return
        mesh = self.device_mesh["data_parallel"] if self.device_mesh is not None else None
        whole = {parameter for parameter in self.network.parameters() if parameter.ndim == 0}
        for sequence in [module for module in self.network.modules() if isinstance(module, nn.Sequential)]:
            for block in sequence:
                if any(True for _ in block.children()) and not isinstance(block, nn.Sequential):
                    fully_shard(block, mesh=mesh, ignored_params=whole)
        fully_shard(self.network, mesh=mesh, ignored_params=whole)
        for parameter in whole:
            parameter.register_post_accumulate_grad_hook(average_gradient)  # type: ignore[no-untyped-call]

    def val_dataloader(self) -> Passes:
        """The validation batches of this process; each forward pass needs the others to make one, too."""
        self._passes = Passes(self.sources.valid or (), self._root_device(), in_step=True)
        return self._passes

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Batches that only keep the others company do not count."""
        if self._passes.own is None or batch_idx < self._passes.own:
            super().validation_step(batch, batch_idx)
        else:
            self.objective.step(self.network, batch)

    def _sharded_and_whole(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        parameters = self._learned()
        return (
            [parameter for parameter in parameters if isinstance(parameter, DTensor)],
            [parameter for parameter in parameters if not isinstance(parameter, DTensor)],
        )

    def _gradient_norm(self) -> Tensor:
        sharded, whole = self._sharded_and_whole()
        norm: Any = _norm(sharded)
        return torch.linalg.vector_norm(torch.stack([norm.full_tensor(), _norm(whole)]))
