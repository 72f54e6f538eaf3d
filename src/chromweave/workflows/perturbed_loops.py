"""Probabilities of known loops before and after edits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..batch import MapTrackBatch
from ..errors import DataError
from ..io.pairs import read_bedpe
from ..schemas import Column, Schema
from .edit_task import EditTask, Outcome
from .edited_windows import EditableModel, EditedAnswer
from .inference import bins_with_data, window_table
from .loop_places import LoopPlace, loop_places
from .loop_scores import temperature_of

__all__ = ["LOOP_CHANGES", "NO_DATA", "loop_columns", "perturbed_loops"]

LOOP_CHANGES = Schema(
    "loop change",
    (
        Column("chrom", "text", "chromosome"),
        Column("start1", "integer", "first anchor, bp"),
        Column("end1", "integer", "first anchor, bp"),
        Column("start2", "integer", "second anchor, bp"),
        Column("end2", "integer", "second anchor, bp"),
        Column("name", "text", "loop"),
        Column("probability_before", "number", "of a loop at the anchors, calibrated", nullable=True),
        Column("probability_after", "number", "the same with the edit", nullable=True),
        Column("logit_change", "number", "after - before", nullable=True),
        Column("reason", "text", "why there is no probability; empty where there is"),
    ),
)

NO_DATA = "no data at an anchor"
_COLUMNS = ("probability_before", "probability_after", "logit_change")


def perturbed_loops(task: EditTask, folder: Path) -> Outcome:
    """Predict the loops of `task.loops` with an anchor in the region; nothing is written into `folder`.

    The table is :data:`LOOP_CHANGES`, in the file's order.

    Raises
    ------
    DataError
        No loop has an anchor there.
    """
    import pandas as pd

    assert task.loops is not None
    every = loop_places(read_bedpe(task.loops, task.model.store.assembly), task.model)
    places = [one for one in every if any(anchor.overlaps(task.region) for anchor in one.anchors)]
    if not places:
        raise DataError(f"{task.loops}: no loop has an anchor in {task.region}; give others, or --region.")
    table = pd.DataFrame([_described(place) for place in places])
    shown = (table["reason"] == "").to_numpy()
    for name, values in _changes(task, [place for place in places if not place.reason]).items():
        table[name] = np.nan
        table.loc[shown, name] = values
    table.loc[shown & table["logit_change"].isna(), "reason"] = NO_DATA
    change = table["logit_change"].dropna().to_numpy()
    largest = float(change[np.argmax(np.abs(change))]) if len(change) else None
    table = LOOP_CHANGES.check(LOOP_CHANGES.order(table), "changes of loops")
    return Outcome(table, {"loops": len(change), "largest_logit_change": largest})


def _described(place: LoopPlace) -> dict[str, Any]:
    first, second = place.anchors
    return {
        "chrom": first.chrom,
        "start1": first.start,
        "end1": first.end,
        "start2": second.start,
        "end2": second.end,
        "name": place.name,
        "reason": place.reason,
    }


def _changes(task: EditTask, places: Sequence[LoopPlace]) -> dict[str, np.ndarray]:
    """Columns of :data:`LOOP_CHANGES`, float64 (places,)."""
    parts = [np.empty((3, 0))]
    if places:
        x, y = (np.array([getattr(place, side) for place in places]) for side in ("x", "y"))
        table = window_table(task.chrom, x, y, task.model.resolution)
        each = [task.edits] * len(table)
        for answer in task.model.answers(table, each, task.batch_size, "predicting loops"):
            parts.append(np.stack(list(loop_columns(answer, task.model).values())))
    return dict(zip(_COLUMNS, np.concatenate(parts, axis=1), strict=True))


def loop_columns(answer: EditedAnswer, model: EditableModel) -> dict[str, np.ndarray]:
    """Calibrated probabilities before and after, and the change of their logit, each float64 (batch,).

    NaN where an anchor has no data.
    """
    temperature = temperature_of(model.model)
    logits = []
    for prediction in (answer.before, answer.after):
        assert prediction.logit is not None
        logits.append(prediction.logit.double() / temperature)
    values = (*(torch.sigmoid(logit) for logit in logits), logits[1] - logits[0])
    known = _anchors_known(answer.batch, model.model.reads_map)
    return {
        name: np.where(known, value.numpy(), np.nan) for name, value in zip(_COLUMNS, values, strict=True)
    }


def _anchors_known(batch: MapTrackBatch, reads_map: bool) -> np.ndarray:
    """Whether both anchor bins have track data and, where the map is read, their pixel is known."""
    middle = batch.contact_map.shape[-1] // 2
    known = np.asarray(bins_with_data(batch)[:, :, middle].all(1))
    return known & batch.contact_mask[:, 0, middle, middle].numpy() if reads_map else known
