"""How a model is optimised, and by how many processes."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from ..errors import ConfigError

__all__ = ["FitConfig", "Precision", "Schedule", "Strategy", "check_surroundings", "rate_factor"]

Precision = Literal["32-true", "bf16-mixed"]
Schedule = Literal["constant", "cosine"]
Strategy = Literal["auto", "ddp", "fsdp"]


@dataclass(frozen=True)
class FitConfig:
    """How a model is optimised (AdamW).

    Parameters
    ----------
    epochs
        Passes over the training windows.
    batch_size
        Samples per batch, of all processes together.
    learning_rate, weight_decay
        AdamW's.
    warmup_steps
        Steps over which the rate rises linearly to `learning_rate`.
    schedule
        What the rate does then: stay (``"constant"``), or fall along half a cosine to `final_rate` at the
        last step of all epochs. A run resumed with other epochs follows the new curve.
    final_rate
        The last rate of the cosine, as a fraction of `learning_rate`.
    gradient_clip
        Largest norm of the gradient; `inf` does not clip.
    accumulate
        Batches per optimiser step; its gradient is the mean of theirs. Contrastive negatives still come from
        one batch, so that this is no substitute for a larger one. The last step of an epoch may have fewer.
    ema
        Decay per step of an exponential moving average of the weights, e.g. 0.999. It is the average that is
        validated, kept as the best, and returned. None keeps none.
    patience
        Epochs without a better validation score after which training ends; None never ends it early.
    log_every
        Steps between two training rows of `metrics.csv`.
    tensorboard
        Whether to write the same numbers for TensorBoard, into `tensorboard/` of the run folder.
    checkpoint_every
        Steps between two checkpoints; None keeps one after each epoch only.
    accelerator
        Lightning's name of the device: ``"auto"``, ``"cpu"``, ``"gpu"``, ``"mps"``.
    devices, nodes
        Processes on each machine, and machines; they have to share the run folder.
    precision
        ``"32-true"``, or ``"bf16-mixed"``: weights in single precision, most arithmetic in bfloat16.
    strategy
        How several processes share the work. ``"ddp"``: each holds the model. ``"fsdp"``: each holds a part
        of its weights and of the optimiser's state (no `ema`). ``"auto"`` is ``"ddp"``.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    warmup_steps: int = 0
    schedule: Schedule = "constant"
    final_rate: float = 0.0
    gradient_clip: float = 1.0
    accumulate: int = 1
    ema: float | None = None
    patience: int | None = None
    log_every: int = 10
    tensorboard: bool = False
    checkpoint_every: int | None = None
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision = "32-true"
    strategy: Strategy = "auto"

    def __post_init__(self) -> None:
        positive = (
            "epochs", "batch_size", "log_every", "patience", "accumulate", "checkpoint_every", "devices",
            "nodes",
        )  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")
        for name, allowed in (
            ("schedule", ("constant", "cosine")),
            ("precision", ("32-true", "bf16-mixed")),
            ("strategy", ("auto", "ddp", "fsdp")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps must not be negative, but is {self.warmup_steps}.")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ConfigError(
                f"learning_rate ({self.learning_rate}) must be positive and weight_decay "
                f"({self.weight_decay}) not negative."
            )
        if not self.gradient_clip > 0:
            raise ConfigError(
                f"gradient_clip must be positive (inf clips nothing), not {self.gradient_clip}."
            )
        if not 0 <= self.final_rate <= 1:
            raise ConfigError(f"final_rate must lie in [0, 1], not {self.final_rate}.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ConfigError(f"ema must lie between 0 and 1, e.g. 0.999, not {self.ema}.")
        self._check_processes()

    def _check_processes(self) -> None:
        if self.batch_size % self.processes:
            raise ConfigError(
                f"batch_size ({self.batch_size}) is dealt out to devices x nodes = {self.processes} "
                f"processes; make it a multiple."
            )
        if self.strategy == "fsdp" and self.processes == 1:
            raise ConfigError("strategy fsdp shards a model over several processes; ask for more devices.")
        if self.strategy == "fsdp" and self.ema is not None:
            raise ConfigError("weights sharded by fsdp cannot be averaged; leave out ema, or use ddp.")

    @property
    def processes(self) -> int:
        """How many train together."""
        return self.devices * self.nodes


def rate_factor(config: FitConfig, step: int, steps: float) -> float:
    """Learning rate of step `step` (from 0) of `steps`, as a fraction of the configured one."""
    rise = config.warmup_steps
    if step < rise or config.schedule == "constant":
        return min(1.0, (step + 1) / (rise + 1))
    way = min(1.0, (step - rise) / max(1.0, steps - 1 - rise))
    return config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * way)) / 2


def check_surroundings(config: FitConfig) -> None:
    """Refuse what this environment cannot do.

    Raises
    ------
    ConfigError
        TensorBoard is not installed, or torchrun or SLURM start other processes than asked for.
    """
    if config.tensorboard and find_spec("tensorboard") is None:
        raise ConfigError(
            "tensorboard is not installed; run pip install 'chromweave[tensorboard]', or do without."
        )
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if "TORCHELASTIC_RUN_ID" in os.environ and started != config.processes:
        raise ConfigError(
            f"torchrun started {started} processes, but devices x nodes is {config.devices} x "
            f"{config.nodes}; say the same to both."
        )
    if config.processes > 1:
        _check_slurm(config)


def _check_slurm(config: FitConfig) -> None:
    """Refuse tasks of SLURM that would not find one another.

    Lightning leaves the processes to SLURM wherever that has tasks, but for torchrun and for interactive
    jobs, which it tells by their name.
    """
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_NTASKS" not in os.environ or interactive or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    told = {
        "--nodes": os.environ.get("SLURM_NNODES"),
        "--ntasks": os.environ["SLURM_NTASKS"],
        "--ntasks-per-node": os.environ.get("SLURM_NTASKS_PER_NODE"),
    }
    fitting = {
        "--nodes": (None, str(config.nodes)),
        "--ntasks": (str(config.processes),),
        "--ntasks-per-node": (str(config.devices),),  # without it, Lightning does not know the machines
    }
    if any(value not in fitting[name] for name, value in told.items()):
        said = " ".join(f"{name}={value}" for name, value in told.items() if value is not None)
        raise ConfigError(
            f"srun was told {said}, but devices x nodes is {config.devices} x {config.nodes}; say the same "
            f"to both: srun --nodes={config.nodes} --ntasks-per-node={config.devices}, without --ntasks."
        )
