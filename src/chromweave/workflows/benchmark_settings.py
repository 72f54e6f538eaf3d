"""What a benchmark compares, on which cell lines, and with what budget: the file that `--config` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import config as configs
from ..data.targets import LEAST_KNOWN
from ..errors import ConfigError
from .architectures import MIX_HIC, architectures
from .few_shot import FewShotConfig
from .graph_settings import DISTANCE_AWARE, ORIGINAL

__all__ = [
    "GRAPH_MODELS",
    "PEAKACHU",
    "REFHIC",
    "VARIANTS",
    "Annotation",
    "BenchConfig",
    "GraphBench",
    "Line",
    "Methods",
    "PretrainingInput",
    "ablated",
    "label",
    "load_bench",
]

PEAKACHU, REFHIC = "peakachu", "refhic"
VARIANTS = {"mix-hic-scratch": None, "mix-hic-map": "map", "mix-hic-tracks": "tracks"}
"""MIX-HIC without something: its pre-training, the tracks, the map; and the mode that it then has."""
GRAPH_MODELS: Mapping[str, Mapping[str, str]] = {
    DISTANCE_AWARE: {"preset": DISTANCE_AWARE},
    "distance-aware-sage": {"preset": DISTANCE_AWARE, "encoder": "sage"},
    "distance-aware-gat": {"preset": DISTANCE_AWARE, "encoder": "gat"},
    ORIGINAL: {"preset": ORIGINAL},
    "vgae-sage": {"preset": ORIGINAL, "encoder": "sage"},
    "vgae-gat": {"preset": ORIGINAL, "encoder": "gat"},
}
"""Graph models: a preset of :mod:`chromweave.workflows.graph_settings`, and what is changed in it."""
_LABELS = {
    MIX_HIC: "MIX-HIC",
    "mix-hic-scratch": "MIX-HIC, not pre-trained",
    "mix-hic-map": "MIX-HIC, map only",
    "mix-hic-tracks": "MIX-HIC, tracks only",
    "epiphany": "Epiphany",
    "corigami": "C.Origami",
    "epcot-lstm": "EPCOT-LSTM",
    "epcot-transformer": "EPCOT-transformer",
    "epi-cnn": "Epi-CNN",
    "epi-graph": "Epi-Graph",
    PEAKACHU: "Peakachu",
    "dloopcaller": "DLoopCaller",
    REFHIC: "RefHiC",
    "distance-aware-sage": "distance-aware, GraphSAGE",
    "distance-aware-gat": "distance-aware, GAT",
    "vgae-sage": "vgae, GraphSAGE",
    "vgae-gat": "vgae, GAT",
}
_LOOPS = (MIX_HIC, PEAKACHU, "dloopcaller", REFHIC)


def ablated(task: str) -> tuple[str, ...]:
    """MIX-HIC and its variants for a task; a map from tracks has none that reads the map."""
    return MIX_HIC, *(name for name in VARIANTS if (task, name) != ("contacts", "mix-hic-map"))


def label(method: str) -> str:
    """A method as tables and figures spell it."""
    return _LABELS.get(method, method)


_LINE_FILES = ("store", "loops", "contacts", "expression", "published", "compartments")


@dataclass(frozen=True)
class Line:
    """A cell line: its store, and its window table for each task that it takes part in.

    Parameters
    ----------
    name
        In tables.
    store
        Its store.
    loops, contacts, expression
        Window tables with train, valid and test; None: it does not take part.
    published
        Published loops (BEDPE) that whole-chromosome annotation is held against.
    compartments
        Published compartments (BED, names that begin with A or B) that graph embeddings are asked for.
    """

    name: str
    store: str
    loops: str | None = None
    contacts: str | None = None
    expression: str | None = None
    published: str | None = None
    compartments: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """What is read, by its setting."""
        given = {name: getattr(self, name) for name in _LINE_FILES}
        return {name: path for name, path in given.items() if path is not None}

    def windows(self, task: str) -> str | None:
        """Its window table for a task."""
        return {"loops": self.loops, "contacts": self.contacts, "expression": self.expression}[task]


@dataclass(frozen=True)
class PretrainingInput:
    """What MIX-HIC is pre-trained on: stores and a window table of each; or a finished run.

    Parameters
    ----------
    stores, windows
        In the same order.
    epochs
        Instead of the preset's.
    run
        Run folder of a pre-training, instead of these.
    """

    stores: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    epochs: int | None = None
    run: str | None = None

    def __post_init__(self) -> None:
        if bool(self.stores) == (self.run is not None):
            raise ConfigError("a pre-training has stores and windows, or a run that is there: give either.")
        if len(self.stores) != len(self.windows):
            raise ConfigError(
                f"{len(self.stores)} stores and {len(self.windows)} window tables to pre-train on: give one "
                "table per store, in order."
            )


@dataclass(frozen=True)
class Methods:
    """Which methods are compared for each task; all there are by default."""

    contacts: tuple[str, ...] = architectures("contacts")
    expression: tuple[str, ...] = architectures("expression")
    loops: tuple[str, ...] = _LOOPS
    graph: tuple[str, ...] = tuple(GRAPH_MODELS)

    def __post_init__(self) -> None:
        known = {
            "contacts": architectures("contacts"),
            "expression": architectures("expression"),
            "loops": _LOOPS,
            "graph": tuple(GRAPH_MODELS),
        }
        for task, names in known.items():
            if unknown := [name for name in getattr(self, task) if name not in names]:
                raise ConfigError(f"no method {unknown[0]!r} for {task}; there are {', '.join(names)}.")
            if not getattr(self, task):
                raise ConfigError(f"no method for {task} is named; leave {task} out for all of them.")
            if len(set(getattr(self, task))) < len(getattr(self, task)):
                raise ConfigError(f"a method for {task} is named twice: {', '.join(getattr(self, task))}.")


@dataclass(frozen=True)
class Annotation:
    """Whole chromosomes that loops are annotated on.

    Parameters
    ----------
    chroms
        Chromosomes; the test chromosomes of the line's loop windows by default.
    programs
        Folder with the programs of other callers (``bin`` of a virtual environment); PATH without it.
    timeout
        Seconds that a caller may take.
    """

    chroms: tuple[str, ...] = ()
    programs: str | None = None
    timeout: float = 3600.0


@dataclass(frozen=True)
class GraphBench:
    """Graphs whose held-out contacts are predicted, one of each line.

    Parameters
    ----------
    resolution
        Width of a bin, bp.
    chroms, features
        Chromosomes, and tracks of nodes; all of a store by default.
    max_distance
        Longest contacts, bp.
    epochs
        Instead of the presets'.
    block
        Blocks that a probe holds out and intervals resample, bp.
    """

    resolution: int
    chroms: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    max_distance: int = 5_000_000
    epochs: int | None = None
    block: int = 2_000_000

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise ConfigError(f"[graph] resolution must be at least 1 bp, not {self.resolution}.")
        for name in ("max_distance", "block"):
            if getattr(self, name) < self.resolution:
                raise ConfigError(
                    f"[graph] {name} must be at least {self.resolution}, a bin, not {getattr(self, name)}."
                )
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"[graph] epochs must be at least 1, not {self.epochs}.")


@dataclass(frozen=True)
class BenchConfig:
    """A benchmark.

    Parameters
    ----------
    lines
        Cell lines; models are trained on each and tested on each (and, across lines, on the others).
    pretraining
        Of MIX-HIC; None: it starts from scratch.
    preset
        Sizes and optimisation of all methods: ``"tiny"``, ``"small"``, ``"paper-128"`` or ``"paper-256"``;
        graph models have presets of their own.
    epochs
        Of every training but those of graphs, instead of the preset's.
    tracks
        Tracks that all methods but graph models read; those that all lines share by default.
    signal, least_known
        Track that expression is, and the part of a bin that it must cover for the bin to count.
    expression_tracks
        Tracks that methods for expression read instead; MIX-HIC then starts from scratch.
    seed, seeds
        The first, and how many trainings of each method; a claim needs at least three.
    timeout
        Seconds that a training may take.
    block
        Blocks that are resampled for intervals, bp.
    methods, few_shot, annotation, graph
        Further settings of single tables.
    """

    lines: tuple[Line, ...]
    pretraining: PretrainingInput | None = None
    preset: str = "tiny"
    epochs: int | None = None
    tracks: tuple[str, ...] = ()
    signal: str = "CAGE"
    least_known: float = LEAST_KNOWN
    expression_tracks: tuple[str, ...] = ()
    seed: int = 0
    seeds: int = 1
    timeout: float = 7200.0
    block: int = 5_000_000
    methods: Methods = field(default_factory=Methods)
    few_shot: FewShotConfig = field(default_factory=FewShotConfig)
    annotation: Annotation = field(default_factory=Annotation)
    graph: GraphBench | None = None

    def __post_init__(self) -> None:
        names = [line.name for line in self.lines]
        if not names:
            raise ConfigError("a benchmark needs a cell line: [[lines]] with name, store and window tables.")
        if len(set(names)) < len(names):
            raise ConfigError(f"two cell lines have one name among {', '.join(names)}.")
        if self.seeds < 1:
            raise ConfigError(f"seeds must be at least 1, not {self.seeds}.")
        if self.block < 1:
            raise ConfigError(f"block must be at least 1 bp, not {self.block}.")
        if not (self.timeout > 0 and self.annotation.timeout > 0):
            raise ConfigError("a timeout must be above 0 seconds.")

    def taking_part(self, task: str) -> tuple[Line, ...]:
        """Lines that have windows for a task.

        Raises
        ------
        ConfigError
            None has.
        """
        found = tuple(line for line in self.lines if line.windows(task) is not None)
        if not found:
            raise ConfigError(f"no cell line has windows for {task}: give [[lines]] {task} = 'TABLE'.")
        return found


def load_bench(path: str | Path, data: str | Path | None = None) -> BenchConfig:
    """Read a benchmark's file; paths in it start from `data`, or from the file's own folder.

    Raises
    ------
    ConfigError
        It is no TOML, or has an unknown, missing or unfit setting.
    """
    read, here = configs.load(BenchConfig, path), Path(path).parent if data is None else Path(data)

    def from_here(values: Iterable[str]) -> tuple[str, ...]:
        return tuple(str(here / value) for value in values)

    def given(one: Any, *names: str) -> Any:
        known = {name: getattr(one, name) for name in names}
        return replace(one, **{name: str(here / value) for name, value in known.items() if value is not None})

    lines = tuple(given(line, *_LINE_FILES) for line in read.lines)
    before = read.pretraining
    if before is not None:
        before = replace(
            given(before, "run"), stores=from_here(before.stores), windows=from_here(before.windows)
        )
    return replace(
        read, lines=lines, pretraining=before, annotation=given(read.annotation, "programs")
    )  # fmt: skip
