"""Settings of the foundation model's verbs, and their presets.

Presets are named after the network's size: ``tiny`` learns on a CPU, ``paper-*`` are the paper's.
"""

from __future__ import annotations

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

__all__ = ["LOOP_FITS", "PRETRAIN_FITS", "FinetuneConfig", "LoopCallConfig", "PretrainConfig"]

# Epochs, batch, rate and patience of paper-* are the paper's; it does not clip.
_PAPER_PRETRAIN = FitConfig(epochs=500, batch_size=256, learning_rate=1e-5, gradient_clip=None)
# As in the paper the mapping loss reaches the encoders; as in its code it waits for ten epochs.
_PAPER_LOSS = PairLossConfig(mapping_teaches="all", mapping_after=0.02)
_PAPER_LOOPS = FitConfig(
    epochs=200, batch_size=64, learning_rate=1e-5, weight_decay=1e-2, gradient_clip=None, patience=20
)
PRETRAIN_FITS = {
    "tiny": FitConfig(epochs=20, batch_size=32, learning_rate=3e-4, warmup_steps=30),
    "small": FitConfig(epochs=50, batch_size=64, learning_rate=2e-4, warmup_steps=100),
    "paper-128": _PAPER_PRETRAIN,
    "paper-256": _PAPER_PRETRAIN,
}
LOOP_FITS = {
    "tiny": FitConfig(epochs=16, batch_size=32, learning_rate=1e-3, warmup_steps=30, patience=8),
    "small": FitConfig(epochs=50, batch_size=64, learning_rate=2e-4, warmup_steps=100, patience=8),
    "paper-128": _PAPER_LOOPS,
    "paper-256": _PAPER_LOOPS,
}


# From few windows a small network learns nothing of maps whose values lie within a hundredth of each other.
_SMALL_TRANSFORM = WindowTransform(contacts="standard", augmentations=("swap",))


def _transform(name: str) -> WindowTransform:
    return WindowTransform() if name.startswith("paper") else _SMALL_TRANSFORM


def _of_preset(table: Mapping[str, Any], name: str) -> Any:
    if name not in table:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(table)}.")
    return table[name]


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
    """

    network: MixHicConfig = PRESETS["tiny"]
    loss: PairLossConfig = field(default_factory=PairLossConfig)
    fit: FitConfig = PRETRAIN_FITS["tiny"]
    transform: WindowTransform = _SMALL_TRANSFORM

    @classmethod
    def preset(cls, name: str, **changes: Any) -> PretrainConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Raises
        ------
        ConfigError
            No such preset.
        """
        network, settings = _of_preset(PRESETS, name), _of_preset(PRETRAIN_FITS, name)
        loss = _PAPER_LOSS if name.startswith("paper") else PairLossConfig()
        fit = replace(settings, **changes)
        return cls(network=network, loss=loss, fit=fit, transform=_transform(name))


@dataclass(frozen=True)
class FinetuneConfig:
    """What a task's model is, and how it is trained.

    Parameters
    ----------
    mode
        What it reads: ``"bimodal"`` map and tracks, ``"map"``, ``"tracks"``, or ``"infer_map"``, tracks and
        the map tokens inferred from them.
    network, transform
        Used from scratch only; a pre-trained model brings its own.
    fit
        Optimisation.
    """

    mode: LoopMode = "bimodal"
    network: MixHicConfig = PRESETS["tiny"]
    fit: FitConfig = LOOP_FITS["tiny"]
    transform: WindowTransform = _SMALL_TRANSFORM

    @classmethod
    def preset(cls, name: str, mode: LoopMode = "bimodal", **changes: Any) -> FinetuneConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Raises
        ------
        ConfigError
            No such preset.
        """
        network, settings = _of_preset(PRESETS, name), _of_preset(LOOP_FITS, name)
        fit = replace(settings, **changes)
        return cls(mode=mode, network=network, fit=fit, transform=_transform(name))


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
