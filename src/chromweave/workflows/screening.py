"""A screen: many edits, each by itself, ranked by what they do to a model's prediction.

Every edit is looked at in one window, before and after, so that hundreds take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.edits import SignalEdit
from ..errors import ConfigError, DataError
from ..files import write_json
from ..io.export import write_table
from ..io.intervals import read_bed
from ..io.pairs import read_bedpe
from ..plot.screen import screen_figure
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .edit_effects import PSEUDOCOUNT, insulation_at_centre, log2_change, loop_strength
from .edit_task import save_figure
from .edited_windows import EditableModel, EditedAnswer
from .expression_prediction import linear
from .inference import window_table
from .loop_places import loop_places
from .model_input import StoreLike
from .perturbed_loops import NO_DATA, loop_columns
from .screen_cases import ScreenCase, anchor_cases, interval_cases, pair_cases
from .screen_table import described, effect_of, labelled, ranked, recall

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Screen", "screen"]

NOTHING_TO_EDIT = "no data to edit"
NOT_PREDICTED = "nothing predicted there"


@dataclass(frozen=True)
class Screen:
    """What :func:`screen` found.

    Attributes
    ----------
    table
        :data:`~.screen_table.SCREEN`, largest effect first; at the end, in the order given, what could not be
        scored.
    scored
        Rows with an effect.
    recall
        Of a loop model, by factor: rows with a probability, and how many of them are at the threshold or
        above before and after; None for other models.
    """

    table: pd.DataFrame
    scored: int
    recall: pd.DataFrame | None


def screen(
    out: str | Path,
    *,
    model: str | Path | LoadedModel,
    store: StoreLike,
    intervals: str | Path | None = None,
    factors: Sequence[float | None] = (None,),
    tracks: Sequence[str] = (),
    loops: str | Path | None = None,
    all_loops: bool = False,
    threshold: float = 0.5,
    batch_size: int = 64,
) -> Screen:
    """Edit many intervals, each by itself, and rank them by what that does to a model's prediction.

    Without loops, the window is on the diagonal around the interval's middle. With loops, each interval is
    held against every loop that has an anchor in it, in a window that shows the loop (see
    :func:`~.loop_places.loop_places`). With loops and no intervals, each loop's two anchors are edited
    together and the loop itself is looked at: MIX-HIC's in-silico experiment.

    Parameters
    ----------
    out
        Table to write; ``OUT.json`` (settings, provenance, recall) and ``OUT.png`` go beside it.
    model
        Run folder of a fine-tuned model that reads tracks, or the model itself. A contact map that it reads
        as well is kept as measured.
    store
        With the model's tracks.
    intervals
        BED file.
    factors
        What the signal is multiplied by, each in turn; None deletes it (see
        :class:`~chromweave.data.edits.SignalEdit`).
    tracks
        Those that are edited; all that the model reads if not given.
    loops
        BEDPE file.
    all_loops
        Hold an interval against every loop whose window it touches.
    threshold
        Probability from which a loop counts as predicted, in `Screen.recall`.
    batch_size
        Windows at a time.

    Raises
    ------
    ConfigError
        Neither intervals nor loops, no factor or one out of range, a loop model without loops, or loops for
        a model that says nothing of them.
    ModelError
        The model reads no tracks, or not those that are edited; or the store does not fit it.
    DataError
        Nothing can be scored; the first reason is named.
    """
    opened = EditableModel.open(model, store)
    opened.require_tracks(tracks)
    _require_sense(opened, intervals, loops, factors, all_loops)
    cases = _cases(opened, intervals, loops, all_loops)
    settled = [(case, factor) for factor in factors for case in cases]
    named = tuple(dict.fromkeys(tracks))
    table = ranked(_scored(opened, settled, named, opened.at_once(batch_size)))
    scored = int(table["rank"].notna().sum())
    if not scored:
        first = table.iloc[0]
        raise DataError(f"{intervals or loops}: nothing can be scored; {first['name']}: {first['reason']}.")
    recalled = recall(table, threshold) if opened.task == "loops" else None
    write_table(out, table)
    _write_beside(Path(out), table, recalled, opened, model, (intervals, loops))
    notify(f"{scored:,} of {len(table):,} edits scored: {out}")
    return Screen(table, scored, recalled)


def _require_sense(
    opened: EditableModel,
    intervals: str | Path | None,
    loops: str | Path | None,
    factors: Sequence[float | None],
    all_loops: bool,
) -> None:
    if intervals is None and loops is None:
        raise ConfigError("name what is edited: --intervals (BED), --loops (BEDPE, their anchors), or both.")
    if not factors:
        raise ConfigError("say what is done to the signal: --delete, or --scale with a factor.")
    if opened.task == "loops" and loops is None:
        raise ConfigError("a loop model says something of loops alone; name them with --loops.")
    if all_loops and (intervals is None or loops is None):
        raise ConfigError("--all-loops is about which loops an interval is held against; give both.")


def _cases(
    opened: EditableModel, intervals: str | Path | None, loops: str | Path | None, all_loops: bool
) -> list[ScreenCase]:
    assembly = opened.store.assembly
    places = [] if loops is None else loop_places(read_bedpe(loops, assembly), opened)
    if intervals is None:
        return anchor_cases(places)
    rows = read_bed(intervals, assembly)
    return interval_cases(rows, opened) if loops is None else pair_cases(rows, places, opened, all_loops)


def _scored(
    opened: EditableModel,
    settled: Sequence[tuple[ScreenCase, float | None]],
    tracks: tuple[str, ...],
    batch_size: int,
) -> pd.DataFrame:
    """One row for each case and factor, in order."""
    import pandas as pd

    table = pd.DataFrame([described(case, factor, opened.resolution) for case, factor in settled])
    shown = [k for k, (case, _) in enumerate(settled) if not case.reason]
    if not shown:
        return table.assign(effect=np.nan)
    chosen = [settled[k][0] for k in shown]
    edits = [
        [SignalEdit(interval, tracks, factor) for interval in case.edited]
        for case, factor in (settled[k] for k in shown)
    ]
    chrom = np.array([case.chrom for case in chosen], object)
    x, y = (np.array([getattr(case, side) for case in chosen]) for side in ("x", "y"))
    windows = window_table(chrom, x, y, opened.resolution)
    parts, first = [], 0
    for answer in opened.answers(windows, edits, batch_size, "screening"):
        parts.append(_effects(answer, opened, chosen[first : first + len(answer.batch)]))
        first += len(answer.batch)
    found = pd.concat(parts, ignore_index=True).set_index(np.array(shown))
    table.loc[shown, "reason"] = found["reason"]
    return table.join(found.drop(columns="reason"))


def _effects(answer: EditedAnswer, opened: EditableModel, cases: Sequence[ScreenCase]) -> pd.DataFrame:
    """Columns of a batch, `effect` and `reason` among them."""
    import pandas as pd

    if opened.task == "loops":
        values = loop_columns(answer, opened)
        effect, missing = values["logit_change"], NO_DATA
    elif opened.task == "contacts":
        values = _map_columns(answer, opened, cases)
        effect = values["strength_change" if cases[0].loop is not None else "mean_abs_log2_ratio"]
        missing = NOT_PREDICTED
    else:
        values = _expression_columns(answer, opened)
        effect, missing = values["mean_abs_log2_ratio"], NOT_PREDICTED
    effect = np.where(answer.taken, effect, np.nan)
    reason = np.where(answer.taken, np.where(np.isnan(effect), missing, ""), NOTHING_TO_EDIT)
    return pd.DataFrame({"effect": effect, **values, "reason": reason.astype(object)})


def _map_columns(
    answer: EditedAnswer, opened: EditableModel, cases: Sequence[ScreenCase]
) -> dict[str, np.ndarray]:
    before, after = opened.contacts(answer)
    found = {"mean_abs_log2_ratio": _mean_abs(log2_change(before, after).reshape(len(before), -1))}
    if cases[0].loop is None:
        scores = [insulation_at_centre(maps) for maps in (before, after)]
        return found | _compared("insulation", *scores)
    places = [case.loop for case in cases if case.loop is not None]
    row, column = (np.array([getattr(place, side) for place in places]) for side in ("row", "column"))
    return found | _compared("strength", *[loop_strength(maps, row, column) for maps in (before, after)])


def _expression_columns(answer: EditedAnswer, opened: EditableModel) -> dict[str, np.ndarray]:
    before, after = (
        linear(one.value.double().numpy(), opened.transform) for one in (answer.before, answer.after)
    )
    known = answer.batch.track_mask.any(-1).reshape(len(before), before.shape[1], -1).any(-1).numpy()
    return {"mean_abs_log2_ratio": _mean_abs(np.where(known, log2_change(before, after), np.nan))}


def _compared(name: str, before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_before": before, f"{name}_after": after, f"{name}_change": after - before}


def _mean_abs(values: np.ndarray) -> np.ndarray:
    """Mean size of what is known in each row; NaN where nothing is."""
    known = np.isfinite(values)
    total, n = np.where(known, np.abs(values), 0).sum(1), known.sum(1)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


_LABELS = {
    "mean_abs_log2_ratio": "mean |log2 ratio| in the window",
    "strength_change": "change of loop strength (log2)",
    "logit_change": "change of the loop's logit",
}


def _write_beside(
    out: Path,
    table: pd.DataFrame,
    recalled: pd.DataFrame | None,
    opened: EditableModel,
    model: str | Path | LoadedModel,
    files: Sequence[str | Path | None],
) -> None:
    figure = screen_figure(labelled(table), effect=_LABELS[effect_of(table)])
    save_figure(out.with_name(f"{out.name}.png"), figure)
    inputs = [opened.store.path, *(file for file in files if file is not None)]
    if not isinstance(model, LoadedModel):
        inputs.append(Path(model) / CONFIG)
    write_json(
        f"{out}.json",
        {
            "kind": "screen",
            **describe_process(),
            "task": opened.task,
            "model": opened.model.name,
            "effect": effect_of(table),
            "rows": len(table),
            "scored": int(table["rank"].notna().sum()),
            "map_kept_as_measured": opened.model.reads_map,
            "pseudocount": PSEUDOCOUNT,
            "recall": None if recalled is None else json.loads(recalled.to_json(orient="records")),
            "inputs": describe_inputs(inputs),
        },
    )
