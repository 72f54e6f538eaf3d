"""Every restated network by its name: what it answers, and how it is built.

>>> build("epiphany", "contacts", n_tracks=2, window_bins=50, positions=5000, preset="tiny")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from .. import config as configs
from ..errors import ConfigError
from . import corigami, dloopcaller, epcot, epiphany, graphreg, refhic
from .sizes import WindowSizes

__all__ = ["NETWORKS", "Network", "build", "configure"]


@dataclass(frozen=True)
class Network:
    """A network for one task.

    Attributes
    ----------
    build
        Its class, a :class:`torch.nn.Module` made of its configuration; `needs_map`, `needs_tracks` and
        `needs_references` say what it reads.
    presets
        Configurations by name: ``"paper"``, whose sizes are those of the paper on our input, ``"tiny"``, of
        which a CPU takes many steps a second, and perhaps others.
    """

    build: Any
    presets: Mapping[str, WindowSizes]


NETWORKS: Mapping[str, Mapping[str, Network]] = {
    "contacts": {
        "epiphany": Network(epiphany.Epiphany, epiphany.PRESETS),
        "corigami": Network(corigami.COrigami, corigami.PRESETS),
        "epcot-lstm": Network(epcot.EpcotContacts, epcot.CONTACT_PRESETS["lstm"]),
        "epcot-transformer": Network(epcot.EpcotContacts, epcot.CONTACT_PRESETS["transformer"]),
    },
    "expression": {
        "epcot-lstm": Network(epcot.EpcotExpression, epcot.EXPRESSION_PRESETS["lstm"]),
        "epcot-transformer": Network(epcot.EpcotExpression, epcot.EXPRESSION_PRESETS["transformer"]),
        "epi-cnn": Network(graphreg.EpiCnn, graphreg.CNN_PRESETS),
        "epi-graph": Network(graphreg.EpiGraph, graphreg.GRAPH_PRESETS),
    },
    "loops": {
        "dloopcaller": Network(dloopcaller.DLoopCaller, dloopcaller.PRESETS),
        "refhic": Network(refhic.RefHiC, refhic.PRESETS),
    },
}
"""By task, then by name. All are called like the models of :mod:`chromweave.models.tasks`, but for RefHiC,
which is given small maps and references; a network's `needs_map`, `needs_tracks` and `needs_references` say
what it reads."""


def _network(name: str, task: str) -> Network:
    if task not in NETWORKS:
        raise ConfigError(f"no baselines for {task!r}; there are some for {', '.join(NETWORKS)}.")
    if name not in NETWORKS[task]:
        raise ConfigError(f"no baseline {name!r} for {task}; there are {', '.join(NETWORKS[task])}.")
    return NETWORKS[task][name]


def configure(
    name: str,
    task: str,
    n_tracks: int,
    window_bins: int,
    positions: int,
    preset: str = "paper",
    **changes: Any,
) -> WindowSizes:
    """A preset's configuration for windows of these sizes, with changes.

    Parameters
    ----------
    name, task
        A key of :data:`NETWORKS`.
    n_tracks, window_bins, positions
        See :class:`~chromweave.baselines.sizes.WindowSizes`.
    preset
        Where the other sizes come from.
    changes
        Fields of the network's configuration, such as `output` of contacts, or `track` of DLoopCaller.

    Raises
    ------
    ConfigError
        There is no such task, network, preset or field, or the sizes do not fit one another.
    """
    presets = _network(name, task).presets
    if preset not in presets:
        raise ConfigError(f"no preset {preset!r} of {name}; there are {', '.join(presets)}.")
    sizes = {"n_tracks": n_tracks, "window_bins": window_bins, "positions": positions}
    values = {**configs.to_mapping(presets[preset]), **changes, **sizes}
    return configs.from_mapping(type(presets[preset]), values, where=f"baseline {name}")


def build(
    name: str,
    task: str,
    n_tracks: int,
    window_bins: int,
    positions: int,
    preset: str = "paper",
    **changes: Any,
) -> nn.Module:
    """A network with weights drawn from torch's global generator; its `config` says how it was built.

    Parameters and errors are those of :func:`configure`.
    """
    sizes = configure(name, task, n_tracks, window_bins, positions, preset, **changes)
    network: nn.Module = _network(name, task).build(sizes)
    return network
