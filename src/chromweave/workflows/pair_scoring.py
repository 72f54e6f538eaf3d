"""A loop model's probability for pairs of anchors that are given, line by line, and why some have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.layers import TRACK_WIDTH
from ..data.store import RegionStore
from ..errors import SchemaError
from ..files import write_json
from ..io.export import write_table
from ..io.text import Rows, read_rows
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .inference import TaskModel, require_file_names, window_table
from .loop_scores import score_windows, temperature_of
from .model_input import StoreLike, open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PairScores", "predict_loops"]

_COORDINATES = ("chrom1", "start1", "end1", "chrom2", "start2", "end2")
_FURTHER = ("name", "score", "strand1", "strand2")  # of BEDPE, where the file has no header
_OURS = ("probability", "reason")

BETWEEN = "between two chromosomes"
ELSEWHERE = "chromosome not in the store"
BEYOND = "anchor beyond the chromosome"
STICKS_OUT = "window sticks out of the chromosome"
TOO_FAR = "farther apart than the stored contacts"
NO_TRACKS = "anchor without track data"
MASKED = "anchor masked in the map"


@dataclass(frozen=True)
class PairScores:
    """What :func:`predict_loops` found.

    Attributes
    ----------
    table
        One row for each pair, in the file's order, as text like the file's; `probability` is float64, NaN
        where there is none, and `reason` says why ("" where there is one).
    scored
        How many have a probability.
    reasons
        How many have none, by reason.
    """

    table: pd.DataFrame
    scored: int
    reasons: dict[str, int]


def predict_loops(
    out: str | Path,
    *,
    model: str | Path | LoadedModel,
    store: StoreLike,
    loops: str | Path,
    batch_size: int = 256,
) -> PairScores:
    """Probability that each of given pairs of anchors is a loop.

    Parameters
    ----------
    out
        BEDPE file to write, with a header: the given lines in their order, `probability` (calibrated; "." if
        the pair cannot be scored) and `reason`. Settings and provenance go beside it as ``OUT.json``.
    model
        Run folder of a model fine-tuned for loops, or the model itself.
    store
        With what the model reads: contacts, tracks or both.
    loops
        BEDPE, or Juicebox' and HiCCUPS' lists, plain or gzipped. The bin of an anchor is that of its start.
    batch_size
        Windows at a time.

    Raises
    ------
    ModelError
        The model is of another task, or the store does not fit it.
    SchemaError
        A line has too few columns, or no coordinates.
    FileFormatError
        `loops` cannot be read.
    OutputError
        The file cannot be written.
    """
    require_file_names(out, f"{out}.json")
    task = TaskModel.of(model, "loops")
    (opened,) = open_stores(store)
    task.check(opened)
    rows = read_rows(loops, "a list of pairs (BEDPE or Juicebox)")
    pairs = _Pairs.of(rows, opened, task.given.resolution)
    reason = _reasons(pairs, task, opened)
    probability = _scored(pairs, reason, task, opened, batch_size)
    table = _table(rows, probability, reason)
    _write(out, table)
    names, counts = np.unique(reason[reason != ""].astype(str), return_counts=True)
    done = PairScores(
        table, int((reason == "").sum()), dict(zip(names.tolist(), counts.tolist(), strict=True))
    )  # fmt: skip
    inputs = [opened.path, loops, *([] if isinstance(model, LoadedModel) else [Path(model) / CONFIG])]
    write_json(
        f"{out}.json",
        {
            "kind": "scored pairs",
            **describe_process(),
            "model": task.name,
            "temperature": temperature_of(task),
            "pairs": len(rows),
            "scored": done.scored,
            "not_scored": done.reasons,
            "inputs": describe_inputs(inputs),
        },
    )
    notify(f"{done.scored:,} of {len(rows):,} pairs scored: {out}")
    return done


@dataclass(frozen=True)
class _Pairs:
    """Pairs as the store sees them; arrays of one value for each.

    Parameters
    ----------
    chrom1, chrom2
        The store's names, "" for a chromosome that it does not have.
    start1, start2
        bp.
    x, y
        Anchor bins, x <= y.
    """

    chrom1: np.ndarray
    chrom2: np.ndarray
    start1: np.ndarray
    start2: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, rows: Rows, store: RegionStore, resolution: int) -> _Pairs:
        rows.require_columns(6, "two chromosomes, starts and ends")
        chroms, starts = [], []
        for first in (0, 3):
            chroms.append(_names(rows.text(first), store))
            start = rows.integers(first + 1, _COORDINATES[first + 1])
            end = rows.integers(first + 2, _COORDINATES[first + 2])
            wrong = np.flatnonzero((start < 0) | (start >= end))
            if len(wrong):
                row = int(wrong[0])
                raise SchemaError(
                    f"{rows.where(row)} has start {start[row]:,} and end {end[row]:,}; 0 <= start < end must "
                    f"hold ({len(wrong):,} such lines). Correct or drop them."
                )
            starts.append(start)
        bins = np.sort(np.stack(starts) // resolution, axis=0)
        return cls(*chroms, *starts, *bins)


def _names(given: np.ndarray, store: RegionStore) -> np.ndarray:
    """The store's names of chromosomes, object; a foreign one keeps its own, so that two are told apart."""
    known = {name: store.assembly.canonical(name) or name for name in set(given.tolist())}
    return np.array([known[name] for name in given], object)


def _reasons(pairs: _Pairs, task: TaskModel, store: RegionStore) -> np.ndarray:
    """Why each pair cannot be scored, object; "" where it can."""
    reason = np.full(len(pairs.x), "", object)
    reason[~np.isin(pairs.chrom1.astype(str), store.chromosomes)] = ELSEWHERE
    reason[pairs.chrom1 != pairs.chrom2] = BETWEEN
    for chrom in np.unique(pairs.chrom1[reason == ""].astype(str)).tolist():
        rows = np.flatnonzero((pairs.chrom1 == chrom) & (reason == ""))
        reason[rows] = _reasons_on(chrom, pairs, rows, task, store)
    return reason


def _reasons_on(
    chrom: str, pairs: _Pairs, rows: np.ndarray, task: TaskModel, store: RegionStore
) -> np.ndarray:
    """The same for the pairs of one chromosome; of several reasons the first stands."""
    given, n_bins, x, y = task.given, task.n_bins(store, chrom), pairs.x[rows], pairs.y[rows]
    half = given.window_bins // 2
    found = np.full(len(rows), "", object)
    beyond = np.maximum(pairs.start1[rows], pairs.start2[rows]) >= store.assembly.length(chrom)
    inside = (x >= half) & (y + half <= n_bins)
    near, far = np.minimum(x, n_bins - 1), np.minimum(y, n_bins - 1)
    rules = [(BEYOND, beyond), (STICKS_OUT, ~inside)]
    if task.reads_map:
        layer = store.layer(chrom, given.resolution)
        valid = layer.valid(None if given.transform.weight == "raw" else given.transform.weight)
        rules += [(TOO_FAR, y - x >= (layer.n_diagonals or n_bins)), (MASKED, ~(valid[near] & valid[far]))]
    if given.transform.tracks:
        known = _bins_with_signal(store, chrom, given.transform.tracks, given.resolution)
        rules.append((NO_TRACKS, ~(known[near] & known[far])))
    for name, holds in reversed(rules):
        found[holds] = name
    return found


def _bins_with_signal(store: RegionStore, chrom: str, tracks: Sequence[str], resolution: int) -> np.ndarray:
    """bool (n_bins,): bins in which any of the tracks has data."""
    steps = np.logical_or.reduce([np.isfinite(store.track(name, chrom).mean) for name in tracks])
    return np.logical_or.reduceat(steps, np.arange(0, len(steps), resolution // TRACK_WIDTH))


def _scored(
    pairs: _Pairs, reason: np.ndarray, task: TaskModel, store: RegionStore, batch_size: int
) -> np.ndarray:
    """Probabilities, float64; NaN where there is a reason."""
    probability = np.full(len(reason), np.nan)
    rows = np.flatnonzero(reason == "")
    if len(rows):
        table = window_table(pairs.chrom1[rows], pairs.x[rows], pairs.y[rows], task.given.resolution)
        probability[rows] = score_windows(
            task.loaded, store, table, batch_size=batch_size, description="scoring pairs"
        )  # fmt: skip
    return probability


def _table(rows: Rows, probability: np.ndarray, reason: np.ndarray) -> pd.DataFrame:
    """The file's columns as they are, but for what an earlier scoring left, and ours."""
    import pandas as pd

    widest = max(map(len, rows.fields))
    further = rows.header[6:] if rows.header else _FURTHER
    names = [*_COORDINATES, *further[: widest - 6]]
    names += [f"column{i + 1}" for i in range(len(names), widest)]
    columns = {name: rows.text(i) for i, name in enumerate(names) if name not in _OURS}
    return pd.DataFrame({**columns, "probability": probability, "reason": reason})


def _write(out: str | Path, table: pd.DataFrame) -> None:
    shown = table.assign(
        probability=["." if np.isnan(value) else f"{value:.6g}" for value in table["probability"]],
        reason=[text or "." for text in table["reason"]],
    )
    write_table(out, shown.replace("", ".").rename(columns={"chrom1": "#chrom1"}))
