"""Metrics within strata of genomic distance, so that distance alone wins nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import ConfigError
from .samples import counting_entries, paired_values

__all__ = ["LOOP_DISTANCES", "Stratum", "by_distance", "stratified_auroc"]

#: Edges of distance strata for loops, bp.
LOOP_DISTANCES = (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000)

Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Stratum:
    """A metric over the samples of one stratum: its name, the metric's value, and the number of samples."""

    name: str
    value: float
    n: int


def by_distance(
    metric: Metric,
    truth: np.ndarray,
    prediction: np.ndarray,
    distance: np.ndarray,
    *,
    edges: Sequence[int] = LOOP_DISTANCES,
    mask: np.ndarray | None = None,
) -> list[Stratum]:
    """Apply `metric` to all samples ("all") and to those of each distance stratum.

    Parameters
    ----------
    metric
        Function of (truth, prediction).
    truth, prediction
        Samples, (n,).
    distance
        Of each sample, bp, (n,).
    edges
        Ascending bounds, bp; strata are half-open, the last one closed. Samples outside of all strata count
        among "all" only.
    mask
        Samples that count.

    Raises
    ------
    ConfigError
        Fewer than two edges, or edges that do not ascend.
    """
    bounds = np.asarray(edges, dtype=np.int64)
    if len(bounds) < 2 or (np.diff(bounds) <= 0).any():
        raise ConfigError(f"distance strata need two or more ascending edges in bp, not {list(edges)}.")
    paired_values(truth, prediction, mask)
    counts = counting_entries(truth, mask)
    truth, prediction, distance = np.asarray(truth), np.asarray(prediction), np.asarray(distance)
    chosen = {"all": counts}
    for k, (low, high) in enumerate(pairwise(bounds.tolist())):
        below = distance <= high if k == len(bounds) - 2 else distance < high
        chosen[f"{_bp(low)}-{_bp(high)}"] = counts & (distance >= low) & below
    return [
        Stratum(name, float(metric(truth[rows], prediction[rows])), int(rows.sum()))
        for name, rows in chosen.items()
    ]


def _bp(position: int) -> str:
    for unit, name in ((1_000_000, "Mb"), (1_000, "kb")):
        if position and position % unit == 0:
            return f"{position // unit}{name}"
    return f"{position}bp"


def stratified_auroc(
    label: np.ndarray, score: np.ndarray, stratum: np.ndarray, mask: np.ndarray | None = None
) -> float:
    """How often a loop scores above a non-loop of its own stratum, ties counting half.

    The AUROCs of the strata, each weighted by its pairs of a loop and a non-loop; with the distance in bins
    as the stratum, a score that is a function of distance alone gets exactly 0.5.

    Parameters
    ----------
    label, score, mask
        As for :func:`chromweave.evaluation.classification.auroc`.
    stratum
        Any label of each sample's stratum, (n,).
    """
    labels, scores = paired_values(label, score, mask)
    groups = np.unique(np.asarray(stratum)[counting_entries(label, mask)], return_inverse=True)[1]
    n = np.bincount(groups, minlength=1)
    positive = np.bincount(groups, labels, len(n))
    pairs = float((positive * (n - positive)).sum())
    if not pairs:
        return float("nan")
    # Mann-Whitney's U of each stratum, from mean ranks within it, all strata in one sort.
    order = np.lexsort((scores, groups))
    group, score = groups[order], scores[order]
    fresh = np.append(True, (np.diff(group) != 0) | (np.diff(score) != 0))
    tie = np.cumsum(fresh) - 1
    size = np.bincount(tie)
    rank = (np.cumsum(size) - (size - 1) / 2)[tie] - (np.cumsum(n) - n)[group]
    above = float((rank * labels[order]).sum()) - float((positive * (positive + 1) / 2).sum())
    return above / pairs
