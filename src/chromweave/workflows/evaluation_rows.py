"""What the evaluations of all tasks share: settings, the windows that are opened, and what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import ConfigError, DataError, ModelError
from ..evaluation.bootstrap import Estimate, genome_blocks
from ..evaluation.table import Result, results_table, write_results
from ..files import atomic_path
from ..plot.style import image_bytes
from ..progress import notify
from ..training.checkpoint import CONFIG
from .inference import TaskModel
from .model_input import ModelInput, StoreLike, open_stores
from .seen_places import tell_trained_places

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "EvaluateConfig",
    "EvaluationRequest",
    "Opened",
    "Rows",
    "difference_rows",
    "open_evaluation",
    "write_evaluation",
]

EvaluatedSplit = Literal["test", "valid"]


@dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated, and how intervals are made.

    Parameters
    ----------
    split
        ``"test"``; or ``"valid"`` while something is still being chosen.
    block
        Length of the blocks that are resampled, bp.
    batch_size
        Windows at a time.
    most_training_windows
        Trivial rows that keep training windows, or are fitted on their bins, take at most so many, drawn at
        random.
    """

    split: EvaluatedSplit = "test"
    block: int = 5_000_000
    batch_size: int = 64
    most_training_windows: int = 4000

    def __post_init__(self) -> None:
        if self.split not in get_args(EvaluatedSplit):
            raise ConfigError(
                f"models are judged on {' or '.join(get_args(EvaluatedSplit))}, not on {self.split!r}."
            )
        for name in ("block", "batch_size", "most_training_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")


@dataclass(frozen=True)
class EvaluationRequest:
    """What is judged, and on what; parameters as of :func:`~chromweave.workflows.evaluate.evaluate`.

    Raises
    ------
    ConfigError
        Trivial rows have a store without a table.
    """

    model: str | Path
    store: StoreLike
    windows: str | Path
    trivial_store: StoreLike | None = None
    trivial_windows: str | Path | None = None
    beside: Mapping[str, str | Path] = field(default_factory=dict)
    scores: Mapping[str, str | Path] = field(default_factory=dict)
    seed: int = 0
    config: EvaluateConfig = field(default_factory=EvaluateConfig)

    def __post_init__(self) -> None:
        if (self.trivial_store is None) != (self.trivial_windows is None):
            raise ConfigError("trivial rows learn from a store and its window table: give both, or neither.")


@dataclass(frozen=True)
class Rows:
    """Windows of one store, of one split.

    Attributes
    ----------
    store
        Where they are cut from.
    table
        Schema `WINDOWS`.
    """

    store: RegionStore
    table: pd.DataFrame

    def blocks(self, size: int) -> np.ndarray:
        """Block of the genome that each window lies in."""
        return genome_blocks(self.table["chrom"].to_numpy(), self.table["x"].to_numpy(), size)


@dataclass(frozen=True)
class Opened:
    """A model, the windows it is judged on, and those the trivial rows learn from.

    Attributes
    ----------
    models
        All models that are judged by the names of their rows, ``"model"`` first.
    judged, learning
        Windows of the split, and training windows, which may be of another store.
    paths
        Everything that was read, for the provenance.
    """

    models: Mapping[str, TaskModel]
    judged: Rows
    learning: Rows
    paths: tuple[str | Path, ...]

    @property
    def first(self) -> TaskModel:
        """The model that is evaluated."""
        return self.models["model"]

    @property
    def given(self) -> ModelInput:
        """What it reads."""
        return self.first.given


def open_evaluation(task: str, request: EvaluationRequest, *, contacts: bool = True) -> Opened:
    """Open the windows of the split that is evaluated, and nothing of the others but training windows.

    `contacts`: whether the stores must have a map of the model's resolution, read by it or not.

    Raises
    ------
    ModelError
        The folder holds another kind of model, or a store or table does not fit it.
    DataError
        A table is of another store, or has no windows of the split or none to learn from.
    ConfigError
        A model beside is called like the one that is evaluated.
    """
    split, windows = request.config.split, request.windows
    if "model" in request.beside:
        raise ConfigError("the model that is evaluated is called 'model'; name the one beside otherwise.")
    runs = {"model": request.model, **request.beside}
    models = {name: _judged_model(run, task, split) for name, run in runs.items()}
    (opened,) = open_stores(request.store)
    judged = _rows(list(models.values()), opened, windows, split, contacts)
    for one in models.values():
        tell_trained_places(str(one.name), judged.table, one.loaded.description.provenance)
    first = [models["model"]]
    if request.trivial_store is None or request.trivial_windows is None:
        learning = _rows(first, opened, windows, "train", contacts)
        more: tuple[str | Path, ...] = ()
    else:
        (other,) = open_stores(request.trivial_store)
        learning = _rows(first, other, request.trivial_windows, "train", contacts)
        more = (other.path, Path(request.trivial_windows))
    read = (*(Path(run) / CONFIG for run in runs.values()), *map(Path, request.scores.values()))
    return Opened(models, judged, learning, (opened.path, Path(windows), *read, *more))


def _judged_model(model: str | Path, task: str, split: str) -> TaskModel:
    """The model, without the augmentations of its training."""
    read = TaskModel.of(model, task)
    plain = replace(read.given.transform, augmentations=())
    seen = read.loaded.description.provenance.get("include_test_chromosomes")
    if split == "test" and seen:
        notify(
            f"{model}: its pre-training saw windows of the test split (without labels), as the paper's did."
        )
    return replace(read, given=replace(read.given, transform=plain))


def _rows(
    models: Sequence[TaskModel], store: RegionStore, windows: str | Path, split: str, contacts: bool
) -> Rows:
    """Windows of a split, once they and the store are known to fit every model."""
    for one in models:
        one.given.check(store, one.name, contacts=contacts or one.reads_map)
    contacts = contacts or any(one.reads_map for one in models)
    table = read_windows(windows, store=store, splits=(split,), contacts=contacts)
    for one in models:
        try:
            one.given.check_windows(table, one.name)
        except ModelError as error:
            raise ModelError(f"{windows}: {error}") from error
    if not len(table):
        use = (
            "trivial rows have nothing to learn from; name a store and a table that has some for them"
            if split == "train"
            else "there is nothing to judge; make windows with such a split, or choose another"
        )
        raise DataError(f"{windows}: has no window of the split {split!r}: {use}.")
    return Rows(store, table)


def difference_rows(
    task: str, row: str, differences: Mapping[str, Estimate], seed: int, metrics: Sequence[str]
) -> list[Result]:
    """Paired differences of the model and a trivial row, as results of the method ``"model - ROW"``."""
    return [
        Result.of(task, f"model - {row}", name, differences[name], seed=seed)
        for name in metrics
        if name in differences
    ]


def write_evaluation(
    out: str | Path,
    task: str,
    results: Sequence[Result],
    opened: Opened,
    config: EvaluateConfig,
    figures: Mapping[str, Callable[[pd.DataFrame], Figure]],
) -> pd.DataFrame:
    """Write ``TASK.tsv``, ``TASK.json`` and each figure as ``TASK[_NAME].png``; returns the table."""
    folder = Path(out)
    table = results_table(results)
    images = {name: image_bytes(draw(table)) for name, draw in figures.items()}
    written = write_results(folder / task, results, inputs=opened.paths, extra={"config": asdict(config)})
    for name, image in images.items():
        with atomic_path(folder / f"{task}{'_' if name else ''}{name}.png") as temporary:
            temporary.write_bytes(image)
    notify(f"scores: {folder / task}.tsv, figures: {folder / task}*.png")
    return written
