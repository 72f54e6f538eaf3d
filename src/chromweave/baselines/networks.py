"""Every restated network by its name: what it answers, how it is built, and how it differs from the paper's.

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

__all__ = ["NETWORKS", "Description", "Network", "build", "configure", "describe"]


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


@dataclass(frozen=True)
class Description:
    """What a network has of the paper's.

    Attributes
    ----------
    kept
        As it is there.
    adapted
        Otherwise, since the input is one window of contacts and two segments of tracks.
    """

    kept: str
    adapted: str


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

_EPCOT = Description(
    "the convolutions of its encoder, each task's depth-wise convolution and trunk ({trunk}), and for "
    "contacts the mean, product and distance of a pair, and dilated 9 x 9 convolutions",
    "signal at 100 bp instead of sequence and accessibility at 1 bp, so smaller pools and one convolution "
    "less; no pre-training on epigenomic labels; both segments in one row of tokens{places}; a map is made "
    "symmetric only where both segments are the same",
)

_DESCRIPTIONS: Mapping[str, Description] = {
    "epiphany": Description(
        "a convolutional network shared by the bins' windows, recurrent layers both ways with residuals, a "
        "vector of contacts from each bin",
        "windows of 10 bins, max-pools of 2, 2 recurrent layers of 256 instead of 3 of 1200; a bin answers "
        "with its row or column, which are added, instead of a zig-zag stripe; no adversarial loss",
    ),
    "corigami": Description(
        "the signal encoder's residual blocks, 8 transformer layers, pairs of bins decoded by dilated "
        "residual convolutions",
        "no sequence branch; 6 blocks from 100 bp to bins instead of 12 from 1 bp; both segments in one row "
        "of tokens; a map is made symmetric where both segments are the same",
    ),
    "epcot-lstm": Description(
        _EPCOT.kept.format(trunk="recurrent layers both ways"), _EPCOT.adapted.format(places="")
    ),
    "epcot-transformer": Description(
        _EPCOT.kept.format(trunk="a transformer"),
        _EPCOT.adapted.format(places=", with sinusoidal places instead of relative ones"),
    ),
    "epi-cnn": Description(
        "three convolutions to 5 kb bins, 8 dilated ones with residuals, an exponential output",
        "a segment at a time; dilations begin anew where they would leave it; squared error of "
        "log2(1 + rate) instead of a Poisson likelihood of windows of 6 Mb",
    ),
    "epi-graph": Description(
        "three convolutions to 5 kb bins, 2 layers of graph attention by sigmoids with 4 heads, an "
        "exponential output",
        "the graph of one window, between its two segments; an edge is a pixel more than a standard "
        "deviation above the mean of its diagonal instead of a contact that HiC-DC+ calls; squared error of "
        "log2(1 + rate)",
    ),
    "dloopcaller": Description(
        "two pictures, contacts and the product of both bins' accessibility, scaled by window; three "
        "convolutions, one hidden layer",
        "contacts as transformed for all models; windows and labels of the benchmark instead of its own "
        "negatives, chosen by held-out chromosomes",
    ),
    "refhic": Description(
        "one encoder of contacts and contacts over expected for study and references, attention from the "
        "study's code to theirs, the head",
        "other cell lines of the project are the panel; no contrastive pre-training, down-sampling or focal "
        "loss",
    ),
}


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


def describe(name: str) -> Description:
    """What is kept of the paper's network, and what is adapted.

    Raises
    ------
    ConfigError
        There is no such network.
    """
    if name not in _DESCRIPTIONS:
        raise ConfigError(f"no baseline {name!r}; there are {', '.join(_DESCRIPTIONS)}.")
    return _DESCRIPTIONS[name]
