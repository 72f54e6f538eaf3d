"""The predicted contact map of a region before and after edits: maps, difference, table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.edits import SignalEdit
from ..io.contact_export import ComputedMap, write_cool
from ..plot.perturbation import perturbation_figure
from ..progress import notify
from ..schemas import Column, Schema
from .edit_effects import PSEUDOCOUNT, insulation_at_centre, log2_change
from .edit_task import EditTask, Outcome, band_bins, save_figure
from .prediction import SCALE, PredictedMap, predicted_band

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAP_CHANGES", "perturbed_map"]

_MOST_DRAWN = 2000  # bins of a region that is drawn, and held as a square
_MOST_PIXELS = 20

MAP_CHANGES = Schema(
    "map change",
    (
        Column("measure", "text", "distance, insulation or pixel"),
        Column("chrom", "text", "chromosome"),
        Column("start1", "integer", "of the pixel's first bin, or of the bin scored, bp", nullable=True),
        Column("start2", "integer", "of the pixel's second bin, bp", nullable=True),
        Column("distance", "integer", "between the bins of a pixel, bp", nullable=True),
        Column("pixels", "integer", "how many the row is of"),
        Column("before", "number", "contacts (their mean), or insulation score, log2", nullable=True),
        Column("after", "number", "the same with the edit", nullable=True),
        Column(
            "change",
            "number",
            "distance: mean |log2((after + 1) / (before + 1))|; insulation: after - before; "
            "pixel: log2((after + 1) / (before + 1))",
            nullable=True,
        ),
    ),
)


def perturbed_map(task: EditTask, folder: Path) -> Outcome:
    """Predict, and write `before.cool`, `after.cool`, `difference.cool` and a figure into `folder`.

    The table is :data:`MAP_CHANGES`. A region too large to be drawn has no figure.
    """
    before, after = (_map(task, edits) for edits in ((), task.edits))
    difference = before._replace(value=after.value - before.value)
    for name, found in (("before", before), ("after", after), ("difference", difference)):
        write_cool(
            folder / f"{name}.cool",
            {task.chrom: ComputedMap(*found)},
            task.model.store.assembly,
            task.model.resolution,
            metadata={"kind": f"{name} of a perturbation", "scale": SCALE, **task.described()},
        )
    _draw(task, before, after, folder)
    table = _table(task, before, after)
    return Outcome(table, _summary(table, log2_change(before.value, after.value)))


def _map(task: EditTask, edits: Sequence[SignalEdit]) -> PredictedMap:
    return predicted_band(
        task.model.loaded,
        task.model.store,
        task.chrom,
        region=task.region,
        batch_size=task.batch_size,
        change=task.model.change(task.chrom, edits),
    )


def _table(task: EditTask, before: PredictedMap, after: PredictedMap) -> pd.DataFrame:
    import pandas as pd

    pieces = [
        _by_distance(before, after, task.model.resolution),
        *[_insulation(task, edit, before, after) for edit in task.edits],
        _largest(before, after, task.model.resolution),
    ]
    table = pd.concat([piece.assign(chrom=task.chrom) for piece in pieces], ignore_index=True)
    for column in MAP_CHANGES.columns:
        if column.name not in table:
            table[column.name] = None
        if column.kind == "integer":
            table[column.name] = table[column.name].astype("Int64")
    return MAP_CHANGES.check(MAP_CHANGES.order(table), "changes of the map")


def _by_distance(before: PredictedMap, after: PredictedMap, resolution: int) -> pd.DataFrame:
    """Means at each distance that has pixels."""
    import pandas as pd

    apart = before.bin2 - before.bin1
    pixels = np.bincount(apart)
    held = np.flatnonzero(pixels)
    columns = (before.value, after.value, np.abs(log2_change(before.value, after.value)))
    old, new, change = (np.bincount(apart, values)[held] / pixels[held] for values in columns)
    return pd.DataFrame(
        {
            "measure": "distance",
            "distance": held * resolution,
            "pixels": pixels[held],
            "before": old,
            "after": new,
            "change": change,
        }
    )


def _insulation(task: EditTask, edit: SignalEdit, before: PredictedMap, after: PredictedMap) -> pd.DataFrame:
    """Of the bin in the edit's middle, in a square of the map as large as a window around it."""
    import pandas as pd

    side, resolution = task.model.window_bins, task.model.resolution
    middle = (edit.interval.start + edit.interval.end) // 2 // resolution
    first = middle - side // 2
    squares = np.stack([each.square(first, first + side) for each in (before, after)])
    old, new = insulation_at_centre(squares)
    row = {"measure": "insulation", "start1": middle * resolution, "before": old, "after": new}
    return pd.DataFrame([{**row, "change": new - old, "pixels": int(np.isfinite(squares[0]).sum())}])


def _largest(before: PredictedMap, after: PredictedMap, resolution: int) -> pd.DataFrame:
    """The pixels that change most, largest first."""
    import pandas as pd

    change = log2_change(before.value, after.value)
    order = np.argsort(-np.abs(change), kind="stable")[:_MOST_PIXELS]
    order = order[change[order] != 0]
    return pd.DataFrame(
        {
            "measure": "pixel",
            "start1": before.bin1[order] * resolution,
            "start2": before.bin2[order] * resolution,
            "distance": (before.bin2 - before.bin1)[order] * resolution,
            "pixels": 1,
            "before": before.value[order],
            "after": after.value[order],
            "change": change[order],
        }
    )


def _summary(table: pd.DataFrame, change: np.ndarray) -> dict[str, Any]:
    walls = table.loc[table["measure"] == "insulation", "change"].to_numpy(float)
    walls = walls[np.isfinite(walls)]
    return {
        "pixels": len(change),
        "mean_abs_log2_ratio": float(np.abs(change).mean()) if len(change) else None,
        "largest_log2_ratio": float(change[np.argmax(np.abs(change))]) if len(change) else None,
        "insulation_change": float(walls[np.argmax(np.abs(walls))]) if len(walls) else None,
    }


def _draw(task: EditTask, before: PredictedMap, after: PredictedMap, folder: Path) -> None:
    first, last = task.bins
    if last - first > _MOST_DRAWN:
        notify(f"no figure of {last - first:,} bins, {_MOST_DRAWN:,} at most; name a smaller --region")
        return
    tracks_before, tracks_after = task.signals(task.whole_bins)
    figure = perturbation_figure(
        before.square(first, last),
        after.square(first, last),
        task.whole_bins,
        task.model.resolution,
        edits=[edit.interval for edit in task.edits],
        tracks_before=tracks_before,
        tracks_after=tracks_after,
        pseudocount=PSEUDOCOUNT,
        max_distance=band_bins(task.model) * task.model.resolution,
    )
    save_figure(folder / "perturbation.png", figure)
