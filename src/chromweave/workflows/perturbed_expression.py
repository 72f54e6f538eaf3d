"""The predicted signal of a region's bins before and after edits: table, bigWigs and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data.edits import SignalEdit
from ..io.export import write_bigwig
from ..plot.tracks import SignalTrack, tracks_figure
from ..schemas import Column, Schema
from .edit_effects import log2_change
from .edit_task import EditTask, Outcome, save_figure
from .expression_prediction import linear, predicted_signal

__all__ = ["EXPRESSION_CHANGES", "perturbed_expression"]

EXPRESSION_CHANGES = Schema(
    "expression change",
    (
        Column("chrom", "text", "chromosome"),
        Column("start", "integer", "bp"),
        Column("end", "integer", "bp"),
        Column("before", "number", "predicted signal", nullable=True),
        Column("after", "number", "the same with the edit", nullable=True),
        Column("log2_ratio", "number", "log2((after + 1) / (before + 1))", nullable=True),
    ),
    (("start", "end"),),
)


def perturbed_expression(task: EditTask, folder: Path) -> Outcome:
    """Predict, and write `before.bw`, `after.bw`, `log2_ratio.bw` and a figure into `folder`.

    The table is :data:`EXPRESSION_CHANGES`, the bins of the region.
    """
    import pandas as pd

    model, resolution = task.model, task.model.resolution
    first, last = task.bins
    before, after = (_signal(task, edits) for edits in ((), task.edits))
    signals = {"before": before, "after": after, "log2_ratio": log2_change(before, after)}
    for name, values in signals.items():
        write_bigwig(folder / f"{name}.bw", {task.chrom: values}, resolution, model.store.assembly)
    shown = {name: values[first:last] for name, values in signals.items()}
    start = np.arange(first, last) * resolution
    end = np.minimum(start + resolution, model.store.assembly.length(task.chrom))
    table = pd.DataFrame({"chrom": task.chrom, "start": start, "end": end, **shown})
    _draw(task, shown, folder)
    ratio = shown["log2_ratio"][np.isfinite(shown["log2_ratio"])]
    summary = {
        "bins": len(ratio),
        "mean_abs_log2_ratio": float(np.abs(ratio).mean()),
        "largest_log2_ratio": float(ratio[np.argmax(np.abs(ratio))]),
    }
    return Outcome(EXPRESSION_CHANGES.check(table, "changes of expression"), summary)


def _signal(task: EditTask, edits: Sequence[SignalEdit]) -> np.ndarray:
    """Predicted signal of a chromosome's bins, float64 (n_bins,); NaN outside the region or without data."""
    found = predicted_signal(
        task.model.loaded,
        task.model.store,
        task.chrom,
        region=task.region,
        batch_size=task.batch_size,
        change=task.model.change(task.chrom, edits),
    )
    return linear(found.value, task.model.transform)


def _draw(task: EditTask, shown: Mapping[str, np.ndarray], folder: Path) -> None:
    """The edited input, and the prediction before and after."""
    region = task.whole_bins
    predicted = [
        SignalTrack(name.replace("_", " "), values, region.start, task.model.resolution)
        for name, values in shown.items()
    ]
    save_figure(folder / "perturbation.png", tracks_figure([*task.signals(region)[1], *predicted], region))
