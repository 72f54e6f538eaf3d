"""What the evaluations of all tasks share: settings, the windows that are opened, and what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..evaluation.bootstrap import Estimate, genome_blocks
from ..evaluation.table import Result, write_results
from ..files import atomic_path
from ..models.tasks import reads_map
from ..plot.style import image_bytes
from ..progress import notify
from ..training.checkpoint import LoadedModel, read_description
from .model_input import ModelInput, StoreLike, open_stores
from .networks import load_task

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["EvaluateConfig", "Opened", "Rows", "difference_rows", "open_evaluation", "write_evaluation"]


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

    split: Literal["test", "valid"] = "test"
    block: int = 5_000_000
    batch_size: int = 64
    most_training_windows: int = 4000


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
    loaded
        The model.
    given
        What it reads.
    judged, learning
        Windows of the split, and training windows, which may be of another store.
    paths
        Everything that was read, for the provenance.
    """

    loaded: LoadedModel
    given: ModelInput
    judged: Rows
    learning: Rows
    paths: tuple[str | Path, ...]

    @property
    def model(self) -> Mapping[str, Any]:
        """What the model's description builds it from."""
        return self.loaded.description.model


def open_evaluation(
    task: str,
    model: str | Path,
    store: StoreLike,
    windows: str | Path,
    config: EvaluateConfig,
    trivial_store: StoreLike | None = None,
    trivial_windows: str | Path | None = None,
    *,
    contacts: bool = True,
) -> Opened:
    """Open the windows of the split that is evaluated, and nothing of the others but training windows.

    `contacts`: whether the stores must have a map of the model's resolution, read by it or not.

    Raises
    ------
    ModelError
        The folder holds another kind of model, or a store or table does not fit it.
    """
    loaded = load_task(model, task)
    contacts = contacts or reads_map(loaded.description.model["mode"])
    given = ModelInput.parse(loaded.description.data, f"{model}: config.json")
    if config.split == "test" and read_description(model).provenance.get("include_test_chromosomes"):
        notify(
            f"{model}: its pre-training saw windows of the test split (without labels), as the paper's did."
        )
    (opened,) = open_stores(store)
    judged = _rows(opened, windows, config.split, given, model, contacts)
    if trivial_store is None or trivial_windows is None:
        learning = _rows(opened, windows, "train", given, model, contacts)
        more: tuple[str | Path, ...] = ()
    else:
        (other,) = open_stores(trivial_store)
        learning = _rows(other, trivial_windows, "train", given, model, contacts)
        more = (other.path, Path(trivial_windows))
    return Opened(loaded, given, judged, learning, (opened.path, Path(windows), Path(model), *more))


def _rows(
    store: RegionStore, windows: str | Path, split: str, given: ModelInput, model: str | Path, contacts: bool
) -> Rows:
    given.check(store, model, contacts=contacts)
    table = read_windows(windows, store=store, splits=(split,), contacts=contacts)
    given.check_windows(table, model)
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
    written = write_results(
        folder / task, results, inputs=opened.paths, extra={"config": asdict(config)}
    )  # fmt: skip
    for name, draw in figures.items():
        with atomic_path(folder / f"{task}{'_' if name else ''}{name}.png") as temporary:
            temporary.write_bytes(image_bytes(draw(written)))
    notify(f"scores: {folder / task}.tsv, figures: {folder / task}*.png")
    return written
