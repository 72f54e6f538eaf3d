"""Settings of the foundation model's verbs, and their presets.

Presets are named after the network's size: ``tiny`` learns on a CPU, ``paper-*`` are the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..analysis.clustering import ClusterConfig
from ..analysis.loops import CandidateConfig
from ..data.transforms import WindowTransform
from ..errors import ConfigError
from ..models.mixhic import PRESETS, LoopMode, MixHicConfig
from ..training.engine import FitConfig
from ..training.objectives import PairLossConfig

__all__ = [
    "LOOP_FITS",
    "PRETRAIN_FITS",
    "FinetuneConfig",
    "LoadingConfig",
    "LoopCallConfig",
    "PretrainConfig",
]

# Epochs, batch, rate and patience of paper-* are the paper's; it does not clip.
_PAPER_PRETRAIN = FitConfig(epochs=500, batch_size=256, learning_rate=1e-5, gradient_clip=math.inf)
# As in the paper the mapping loss reaches the encoders; as in its code it waits for ten epochs.
_PAPER_LOSS = PairLossConfig(mapping_teaches="all", mapping_after=0.02)
_PAPER_LOOPS = FitConfig(
    epochs=200, batch_size=64, learning_rate=1e-5, weight_decay=1e-2, gradient_clip=math.inf, patience=20
)
PRETRAIN_FITS = {
    "tiny": FitConfig(
        epochs=20, batch_size=32, learning_rate=1e-3, warmup_steps=30, schedule="cosine", final_rate=0.02
    ),
    "small": FitConfig(
        epochs=10, batch_size=64, learning_rate=3e-4, warmup_steps=50, schedule="cosine", final_rate=0.02
    ),
    "paper-128": _PAPER_PRETRAIN,
    "paper-256": _PAPER_PRETRAIN,
}
LOOP_FITS = {
    "tiny": FitConfig(epochs=16, batch_size=32, learning_rate=1e-3, warmup_steps=30, patience=8),
    "small": FitConfig(epochs=50, batch_size=64, learning_rate=2e-4, warmup_steps=100, patience=8),
    "paper-128": _PAPER_LOOPS,
    "paper-256": _PAPER_LOOPS,
}

# A window's pooled tokens say where in it something is only if the tokens know where they stand; and maps
# are told apart by what is left of them when the decay with distance, alike in all, is taken away.
_NETWORKS = {
    name: network if name.startswith("paper") else replace(network, position_encoding="sinusoidal")
    for name, network in PRESETS.items()
}
_OURS = WindowTransform(contacts="observed_expected", augmentations=("swap", "flip"))


def _transform(name: str) -> WindowTransform:
    return WindowTransform() if name.startswith("paper") else _OURS


def _of_preset(table: Mapping[str, Any], name: str) -> Any:
    if name not in table:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(table)}.")
    return table[name]


@dataclass(frozen=True)
class LoadingConfig:
    """How training windows reach the model.

    Parameters
    ----------
    store_weights
        Share of each store (cell line) in an epoch, in their order; empty: every window once an epoch.
    workers
        Processes that cut windows beside the training; 0 cuts them in between.
    resident
        Keep contacts and tracks of all windows on the device, and cut there.
    """

    store_weights: tuple[float, ...] = ()
    workers: int = 0
    resident: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError(f"workers must not be negative, but is {self.workers}.")
        if self.resident and self.workers:
            raise ConfigError("windows of a resident store are cut on the device: leave workers at 0.")


@dataclass(frozen=True)
class PretrainConfig:
    """What is pre-trained, and how.

    Parameters
    ----------
    network
        Sizes; tracks, window and positions are taken from the data.
    loss, fit
        Objective and optimisation.
    transform
        What is done to the windows; its tracks are all that the stores share if it names none.
    loading
        How windows reach the model.
    include_test_chromosomes
        Train on windows of the split ``test``, too, as the paper did. What is fine-tuned from the model has
        then no test of its own on these chromosomes; the model card says so.
    """

    network: MixHicConfig = _NETWORKS["tiny"]
    loss: PairLossConfig = field(default_factory=PairLossConfig)
    fit: FitConfig = PRETRAIN_FITS["tiny"]
    transform: WindowTransform = _OURS
    loading: LoadingConfig = field(default_factory=LoadingConfig)
    include_test_chromosomes: bool = False

    @classmethod
    def preset(cls, name: str, **changes: Any) -> PretrainConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Raises
        ------
        ConfigError
            No such preset.
        """
        network, settings = _of_preset(_NETWORKS, name), _of_preset(PRETRAIN_FITS, name)
        loss = _PAPER_LOSS if name.startswith("paper") else PairLossConfig()
        transform = _transform(name)
        if transform.augmentations:  # nothing here speaks of the anchor pixel, so that it may be moved
            transform = replace(transform, augmentations=(*transform.augmentations, "jitter"))
        return cls(network=network, loss=loss, fit=replace(settings, **changes), transform=transform)


@dataclass(frozen=True)
class FinetuneConfig:
    """What a task's model is, and how it is trained.

    Parameters
    ----------
    mode
        What it reads: ``"bimodal"`` map and tracks, ``"map"``, ``"tracks"``, or ``"infer_map"``, tracks and
        the map tokens inferred from them.
    network, transform
        Used from scratch; a pre-trained model brings its own, but for dropout in the head and augmentations.
    fit
        Optimisation.
    loading
        How windows reach the model.
    """

    mode: LoopMode = "bimodal"
    network: MixHicConfig = _NETWORKS["tiny"]
    fit: FitConfig = LOOP_FITS["tiny"]
    transform: WindowTransform = _OURS
    loading: LoadingConfig = field(default_factory=LoadingConfig)

    @classmethod
    def preset(cls, name: str, mode: LoopMode = "bimodal", **changes: Any) -> FinetuneConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Raises
        ------
        ConfigError
            No such preset.
        """
        network, settings = _of_preset(_NETWORKS, name), _of_preset(LOOP_FITS, name)
        transform = _transform(name)
        return cls(mode=mode, network=network, fit=replace(settings, **changes), transform=transform)


@dataclass(frozen=True)
class LoopCallConfig:
    """How loops are called over a chromosome.

    Parameters
    ----------
    candidates
        Which pixels are scored.
    clusters
        How scored pixels become loops; its threshold is on the probability.
    batch_size
        Windows scored at a time.
    """

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    clusters: ClusterConfig = field(default_factory=ClusterConfig)
    batch_size: int = 256
