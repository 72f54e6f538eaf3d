"""What a model predicts before and after an edit of its tracks, at one place of the genome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.edits import SignalEdit
from ..errors import AssemblyError, ConfigError
from ..files import atomic_directory, write_json
from ..genome import Interval
from ..io.export import write_table
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .edit_effects import PSEUDOCOUNT
from .edit_task import EditTask, Outcome, reach_bins
from .edited_windows import EditableModel
from .model_input import StoreLike
from .perturbed_expression import perturbed_expression
from .perturbed_loops import perturbed_loops
from .perturbed_map import perturbed_map

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Perturbation", "perturb"]

_MARKER = "perturbation.json"

_PREDICT: Mapping[str, Callable[[EditTask, Path], Outcome]] = {
    "contacts": perturbed_map,
    "expression": perturbed_expression,
    "loops": perturbed_loops,
}


@dataclass(frozen=True)
class Perturbation:
    """What :func:`perturb` wrote.

    Attributes
    ----------
    folder
        With the table, `perturbation.json` and, as the task has them, maps, bigWigs and a figure.
    region
        What was predicted.
    table
        :data:`~.perturbed_map.MAP_CHANGES`, :data:`~.perturbed_expression.EXPRESSION_CHANGES` or
        :data:`~.perturbed_loops.LOOP_CHANGES`.
    summary
        Plain values: how large the change is.
    """

    folder: Path
    region: Interval
    table: pd.DataFrame
    summary: Mapping[str, float | int | None]


def perturb(
    out: str | Path,
    *,
    model: str | Path | LoadedModel,
    store: StoreLike,
    edits: Sequence[SignalEdit],
    region: Interval | None = None,
    loops: str | Path | None = None,
    batch_size: int = 64,
) -> Perturbation:
    """Predict a region as it is and after edits of the tracks, and write both and their difference.

    Of a contact model: ``before.cool``, ``after.cool``, ``difference.cool`` (after - before), and a table of
    the change at each distance, of insulation at each edit, and of the pixels that change most. Of an
    expression model: a table of bins and bigWigs. Of a loop model: a table of loops.

    Parameters
    ----------
    out
        Folder to write.
    model
        Run folder of a fine-tuned model that reads tracks, or the model itself. A contact map that it reads
        as well is kept as measured.
    store
        With the model's tracks.
    edits
        Made in order; all on one chromosome.
    region
        What is predicted; if not given, as far as the model's predictions reach on either side of the edits.
    loops
        For a loop model: BEDPE file of the loops whose probabilities are asked for; those with an anchor
        that overlaps the region.
    batch_size
        Windows at a time.

    Raises
    ------
    ConfigError
        There is no edit, edits or region lie on several chromosomes, or loops are given to a model that is
        not of loops, or none to one that is.
    ModelError
        The model reads no tracks, or not those that are edited; or the store does not fit it.
    DataError
        The region holds no data, or no window fits into the chromosome.
    """
    opened = EditableModel.open(model, store)
    _require_one_chromosome(opened, edits, region)
    opened.require_tracks(name for edit in edits for name in edit.tracks)
    if (loops is not None) != (opened.task == "loops"):
        raise ConfigError(
            "a loop model needs --loops, a BEDPE file of the loops to predict."
            if loops is None
            else f"--loops is for models of loops, and {opened.model.name} predicts {opened.task}; "
            "leave it out (screen reads loops off predicted maps)."
        )
    task = EditTask(opened, tuple(edits), region or _around(opened, edits), opened.at_once(batch_size), loops)
    with atomic_directory(out, marker=_MARKER) as folder:
        found = _PREDICT[opened.task](task, folder)
        write_table(folder / "perturbation.tsv", found.table)
        write_json(folder / _MARKER, _about(task, model, found.summary))
    notify(f"perturbation: {out}")
    return Perturbation(Path(out), task.region, found.table, found.summary)


def _require_one_chromosome(
    opened: EditableModel, edits: Sequence[SignalEdit], region: Interval | None
) -> None:
    if not edits:
        raise ConfigError("there is nothing to edit; name a stretch with --delete or --scale.")
    places = [edit.interval for edit in edits] + ([] if region is None else [region])
    chroms = {place.chrom for place in places}
    if len(chroms) > 1:
        raise ConfigError(
            f"edits and region lie on {', '.join(sorted(chroms))}; what is predicted is within one "
            "chromosome. Perturb each by itself."
        )
    chrom = places[0].chrom
    length = opened.store.assembly.length(opened.store.require(chrom))
    beyond = [place for place in places if place.end > length]
    if beyond:
        raise AssemblyError(f"{beyond[0]}: ends beyond {chrom}, which is {length:,} bp long.")


def _around(opened: EditableModel, edits: Sequence[SignalEdit]) -> Interval:
    """As far on either side of the edits as they can be seen."""
    reach, chrom = reach_bins(opened) * opened.resolution, edits[0].interval.chrom
    start = min(edit.interval.start for edit in edits) - reach
    end = max(edit.interval.end for edit in edits) + reach
    return Interval(chrom, max(0, start), min(end, opened.store.assembly.length(chrom)))


def _about(task: EditTask, model: str | Path | LoadedModel, summary: Mapping[str, Any]) -> dict[str, Any]:
    opened = task.model
    inputs: list[str | Path] = [opened.store.path]
    if not isinstance(model, LoadedModel):
        inputs.append(Path(model) / CONFIG)
    if task.loops is not None:
        inputs.append(task.loops)
    medians = opened.editor([task.chrom]).background(task.chrom)
    known = {
        name: float(value) if np.isfinite(value) else None
        for name, value in zip(opened.transform.tracks, medians, strict=True)
    }
    return {
        "kind": "perturbation",
        **describe_process(),
        "task": opened.task,
        "model": opened.model.name,
        "resolution": opened.resolution,
        **task.described(),
        "background": known,
        "map_kept_as_measured": opened.model.reads_map,
        "pseudocount": PSEUDOCOUNT,
        "summary": dict(summary),
        "inputs": describe_inputs(inputs),
    }
