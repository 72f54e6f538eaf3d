"""A loop model's probability for pairs of anchors that are given, line by line, and why some have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.layers import TRACK_WIDTH
from ..data.store import RegionStore
from ..files import write_json
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .inference import TaskModel, require_file_names, window_table
from .loop_scores import score_windows, temperature_of
from .model_input import StoreLike, open_stores
from .pair_lists import PairList, write_pairs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PairScores", "predict_loops"]

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
    pairs = PairList.read(loops, opened.assembly)
    bins = _bins(pairs, task.given.resolution)
    reason = _reasons(pairs, bins, task, opened)
    probability = _scored(pairs, bins, reason, task, opened, batch_size)
    table = pairs.table(without=_OURS).assign(probability=probability, reason=reason)
    write_pairs(out, table)
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
            "pairs": len(pairs),
            "scored": done.scored,
            "not_scored": done.reasons,
            "inputs": describe_inputs(inputs),
        },
    )
    notify(f"{done.scored:,} of {len(pairs):,} pairs scored: {out}")
    return done


def _bins(pairs: PairList, resolution: int) -> np.ndarray:
    """Bins in which the anchors start, the smaller one first, int64 (2, pairs)."""
    return np.sort(np.stack([pairs.start1, pairs.start2]) // resolution, axis=0)


def _reasons(pairs: PairList, bins: np.ndarray, task: TaskModel, store: RegionStore) -> np.ndarray:
    """Why each pair cannot be scored, object; "" where it can."""
    reason = np.full(len(pairs), "", object)
    reason[~np.isin(pairs.chrom1.astype(str), store.chromosomes)] = ELSEWHERE
    reason[pairs.chrom1 != pairs.chrom2] = BETWEEN
    for chrom in np.unique(pairs.chrom1[reason == ""].astype(str)).tolist():
        rows = np.flatnonzero((pairs.chrom1 == chrom) & (reason == ""))
        reason[rows] = _reasons_on(chrom, pairs, bins, rows, task, store)
    return reason


def _reasons_on(
    chrom: str, pairs: PairList, bins: np.ndarray, rows: np.ndarray, task: TaskModel, store: RegionStore
) -> np.ndarray:
    """The same for the pairs of one chromosome; of several reasons the first stands."""
    given, n_bins, (x, y) = task.given, task.n_bins(store, chrom), bins[:, rows]
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
    pairs: PairList,
    bins: np.ndarray,
    reason: np.ndarray,
    task: TaskModel,
    store: RegionStore,
    batch_size: int,
) -> np.ndarray:
    """Probabilities, float64; NaN where there is a reason."""
    probability = np.full(len(reason), np.nan)
    rows = np.flatnonzero(reason == "")
    if len(rows):
        table = window_table(pairs.chrom1[rows], bins[0, rows], bins[1, rows], task.given.resolution)
        probability[rows] = score_windows(
            task.loaded, store, table, batch_size=batch_size, description="scoring pairs"
        )  # fmt: skip
    return probability
