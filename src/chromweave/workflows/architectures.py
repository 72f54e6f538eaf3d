"""Which network a task's model is: MIX-HIC's, or another paper's restated on the same windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .. import config as configs
from ..baselines.networks import NETWORKS, configure
from ..errors import ConfigError, ModelError
from ..models.mixhic import MixHicConfig
from ..training.checkpoint import CONFIG

__all__ = ["MIX_HIC", "architecture_mode", "architectures", "build_baseline", "describe_baseline"]

MIX_HIC = "mix-hic"


def architectures(task: str) -> tuple[str, ...]:
    """Names of the networks that can be trained for a task, MIX-HIC's first.

    RefHiC, which reads maps of other cell lines, is none of them.
    """
    others = NETWORKS.get(task, {})
    return MIX_HIC, *(name for name, network in others.items() if not network.build.needs_references)


def _require(name: str, task: str) -> None:
    if name not in architectures(task):
        raise ConfigError(f"no architecture {name!r} for {task}; there are {', '.join(architectures(task))}.")


def architecture_mode(name: str, task: str) -> str:
    """What a baseline reads, as a mode of :class:`~chromweave.models.tasks.TaskBody`.

    Raises
    ------
    ConfigError
        The task has no such baseline.
    """
    _require(name, task)
    network = NETWORKS[task][name].build
    return {(True, True): "bimodal", (True, False): "map", (False, True): "tracks"}[
        (network.needs_map, network.needs_tracks)
    ]


def describe_baseline(
    name: str, task: str, preset: str, sizes: MixHicConfig, **changes: Any
) -> dict[str, Any]:
    """What builds a baseline: its name, and all settings of its network.

    Parameters
    ----------
    name, task
        Of :func:`architectures`.
    preset
        ``"tiny"`` or ``"paper"``.
    sizes
        Tracks, bins and positions of the windows; nothing else of it is read.
    changes
        Further settings of the network.

    Raises
    ------
    ConfigError
        There is no such network, preset or setting, or the windows do not fit.
    """
    _require(name, task)
    chosen = configure(name, task, sizes.n_tracks, sizes.window_bins, sizes.positions, preset, **changes)
    return {"architecture": name, "network": configs.to_mapping(chosen)}


def build_baseline(model: Mapping[str, Any], task: str) -> nn.Module:
    """A baseline's network, with new weights, from what a run folder says of it.

    Raises
    ------
    ModelError
        The description does not fit.
    """
    name, settings = model["architecture"], model.get("network")
    if name not in architectures(task) or not isinstance(settings, Mapping):
        raise ModelError(f"{CONFIG}: no architecture {name!r} for {task} with its network; it is damaged.")
    network = NETWORKS[task][name]
    kind = type(next(iter(network.presets.values())))
    try:
        return network.build(configs.from_mapping(kind, settings, where=f"{CONFIG}: network"))
    except ConfigError as error:
        raise ModelError(str(error)) from error
