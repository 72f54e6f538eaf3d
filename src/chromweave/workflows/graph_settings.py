"""What a training run of a graph autoencoder is made of, and the presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from ..data.graph import GraphConfig
from ..errors import ConfigError
from ..models.vgae import Decoder, Encoder, Family, VGAEConfig
from ..training.engine import FitConfig

__all__ = ["DISTANCE_AWARE", "ORIGINAL", "PRESETS", "GraphTrainConfig", "preset_settings"]

ORIGINAL = "vgae-original"
DISTANCE_AWARE = "distance-aware"

PRESETS: Mapping[str, Mapping[str, Any]] = {
    ORIGINAL: {
        "encoder": "gcn",
        "decoder": "inner-product",
        "likelihood": "bernoulli",
        "hidden": 64,
        "latent": 32,
        "dropout": 0.2,
        "own": False,
        "smoothness": 0.0,
        "noise": True,
        "structure": 0,
        "epochs": 300,
        "patience": 20,
        "learning_rate": 1e-2,
        "schedule": "constant",
    },
    DISTANCE_AWARE: {
        "encoder": "gcn",
        "decoder": "distance-aware",
        "likelihood": "negative-binomial",
        "hidden": 64,
        "latent": 16,
        "dropout": 0.2,
        "own": True,
        "smoothness": 60.0,
        "noise": False,
        "structure": 0,
        "epochs": 200,
        "patience": 50,
        "learning_rate": 3e-2,
        "schedule": "cosine",
    },
}
"""Settings by name: the original, and what predicts held-out contacts best."""

_NAMES: Mapping[str, Any] = {"encoder": Encoder, "decoder": Decoder, "likelihood": Family}


@dataclass(frozen=True)
class GraphTrainConfig:
    """Everything a training run of the graph autoencoder is made of.

    Attributes
    ----------
    graph
        How the graph is made.
    model
        Shape of the network.
    fit
        How it is optimised; the whole graph is one step, in one batch or in several.
    valid, test
        Fractions of the edges held out.
    repeats
        Trainings, with consecutive seeds; each has its own split, negatives and first weights.
    preset
        What the settings started from, and what the model is called in tables.
    smoothness
        How much neighbouring bins are expected to resemble each other; see
        :func:`chromweave.training.edge_counts.roughness`. The original knows none.
    noise
        Whether z is drawn while training, as in a variational autoencoder; the original always draws.
    balance
        Whether balancing weights are offsets instead of visibilities from message edges.
    by_chromosome
        Whether each chromosome is a batch of its own, so that memory is that of the largest.
    """

    graph: GraphConfig
    model: VGAEConfig
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=300,
            patience=20,
            batch_size=1,
            learning_rate=1e-2,
            weight_decay=0.0,
            gradient_clip=math.inf,
            log_every=1,
        )
    )
    valid: float = 0.1
    test: float = 0.1
    repeats: int = 1
    preset: str = ORIGINAL
    smoothness: float = 0.0
    noise: bool = True
    balance: bool = False
    by_chromosome: bool = False

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"repeats must be at least 1, not {self.repeats}.")
        if self.smoothness < 0:
            raise ConfigError(f"smoothness must not be negative, but is {self.smoothness}.")
        if self.model.original and (self.smoothness or not self.noise):
            raise ConfigError(
                "an inner product of contacts and non-contacts is trained as the original was, with noise "
                "and without smoothness; choose --decoder distance-aware or another --likelihood."
            )
        if self.balance and self.model.decoder != "distance-aware":
            raise ConfigError("balancing weights are offsets of --decoder distance-aware alone.")


def preset_settings(preset: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, with those of `chosen` that are not None in their place.

    Raises
    ------
    ConfigError
        There is no such preset, it has no such setting, or a setting has a name that nothing has.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset {preset!r}; there are {', '.join(PRESETS)}.")
    given = {name: value for name, value in chosen.items() if value is not None}
    unknown = sorted(set(given) - set(PRESETS[preset]))
    if unknown:
        raise ConfigError(f"a preset has no {', '.join(unknown)}; it has {', '.join(PRESETS[preset])}.")
    settings = {**PRESETS[preset], **given}
    for name, kinds in _NAMES.items():
        if settings[name] not in get_args(kinds):
            raise ConfigError(f"{name} must be {' or '.join(get_args(kinds))}, not {settings[name]!r}.")
    return settings
