"""How well scores tell loops from non-loops. Labels always come first.

Labels are 1 or 0 (NaN: none, left out); every function takes an optional mask of the samples that count.
A metric that is not defined, as an AUROC of one class, is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .samples import paired_values

__all__ = [
    "CalibrationCurve",
    "OperatingPoint",
    "at_fdr",
    "at_threshold",
    "auroc",
    "average_precision",
    "brier",
    "calibration_curve",
]


def labelled(label: np.ndarray, score: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of the samples that count, float64 (n,); labels are checked to be 0 or 1."""
    labels, scores = paired_values(label, score, mask)
    if not np.isin(labels, (0.0, 1.0)).all():
        odd = labels[~np.isin(labels, (0.0, 1.0))][0]
        raise DataError(f"labels must be 0 or 1, not {odd:g}.")
    return labels, scores


def auroc(label: np.ndarray, score: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Area under the ROC curve: how often a loop scores above a non-loop, ties counting half."""
    labels, scores = labelled(label, score, mask)
    positive = int(labels.sum())
    negative = len(labels) - positive
    if positive == 0 or negative == 0:
        return float("nan")
    ranks = _mean_ranks(scores)[labels == 1].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def _mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean; as scipy's, which a training node need not have."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


@dataclass(frozen=True)
class _Walk:
    """Counts above each distinct score, from the highest down."""

    threshold: np.ndarray
    true_positive: np.ndarray
    called: np.ndarray


def _walk(labels: np.ndarray, scores: np.ndarray) -> _Walk:
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # ties are called together
    return _Walk(scores[order][last], np.cumsum(labels[order])[last], last + 1.0)


def average_precision(label: np.ndarray, score: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Area under the precision-recall curve as a step function (scikit-learn's definition)."""
    labels, scores = labelled(label, score, mask)
    if labels.sum() == 0:
        return float("nan")
    walk = _walk(labels, scores)
    gained = np.diff(walk.true_positive, prepend=0.0) / labels.sum()
    return float((gained * walk.true_positive / walk.called).sum())


@dataclass(frozen=True)
class OperatingPoint:
    """What calling every sample of at least `threshold` gives.

    `precision` is NaN where nothing is called, `recall` where there is nothing to find.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    n_called: int


def _point(threshold: float, true_positive: float, called: float, positive: float) -> OperatingPoint:
    return OperatingPoint(
        threshold=float(threshold),
        precision=float(true_positive / called) if called else float("nan"),
        recall=float(true_positive / positive) if positive else float("nan"),
        f1=float(2 * true_positive / (called + positive)) if called + positive else float("nan"),
        n_called=int(called),
    )


def at_threshold(
    label: np.ndarray, score: np.ndarray, mask: np.ndarray | None = None, *, threshold: float = 0.5
) -> OperatingPoint:
    """Precision, recall and F1 of calling every sample that scores at least `threshold`."""
    labels, scores = labelled(label, score, mask)
    called = scores >= threshold
    return _point(threshold, float(labels[called].sum()), float(called.sum()), float(labels.sum()))


def at_fdr(
    label: np.ndarray, score: np.ndarray, mask: np.ndarray | None = None, *, fdr: float = 0.05
) -> OperatingPoint:
    """The lowest threshold at which at most the fraction `fdr` of calls are no loops.

    The threshold is infinite, with no calls and a recall of 0, where none reaches it.
    """
    labels, scores = labelled(label, score, mask)
    if len(labels) == 0:
        return _point(np.inf, 0.0, 0.0, 0.0)
    walk = _walk(labels, scores)
    false = walk.called - walk.true_positive
    good = np.flatnonzero(false <= fdr * walk.called)
    if good.size == 0:
        return _point(np.inf, 0.0, 0.0, float(labels.sum()))
    k = good[-1]
    return _point(walk.threshold[k], walk.true_positive[k], walk.called[k], float(labels.sum()))


def brier(label: np.ndarray, probability: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean squared difference between probability and label; 0 is perfect."""
    labels, values = labelled_probabilities(label, probability, mask)
    return float(((values - labels) ** 2).mean()) if len(labels) else float("nan")


def labelled_probabilities(
    label: np.ndarray, probability: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the samples that count, float64 (n,); both are checked."""
    labels, values = labelled(label, probability, mask)
    if len(values) and (values.min() < 0 or values.max() > 1):
        raise DataError(
            f"probabilities must lie in [0, 1], not between {values.min():g} and {values.max():g}; "
            "scores of another scale have no calibration."
        )
    return labels, values


@dataclass(frozen=True)
class CalibrationCurve:
    """Probability said and frequency found, in bins of equal width that hold a sample.

    Parameters
    ----------
    predicted, observed
        Mean probability and fraction of loops of each bin, float64 (k,).
    n
        Samples of each bin, int64 (k,).
    error
        Expected calibration error: mean of |predicted - observed|, weighted by samples.
    """

    predicted: np.ndarray
    observed: np.ndarray
    n: np.ndarray
    error: float


def calibration_curve(
    label: np.ndarray, probability: np.ndarray, mask: np.ndarray | None = None, *, bins: int = 10
) -> CalibrationCurve:
    """Compare probabilities with frequencies in `bins` equal intervals of [0, 1]; 1 is in the last one."""
    labels, values = labelled_probabilities(label, probability, mask)
    group = np.minimum((values * bins).astype(np.int64), bins - 1)
    n = np.bincount(group, minlength=bins)
    held = n > 0
    predicted = np.bincount(group, values, bins)[held] / n[held]
    observed = np.bincount(group, labels, bins)[held] / n[held]
    error = float((np.abs(predicted - observed) * n[held]).sum() / n.sum()) if n.sum() else float("nan")
    return CalibrationCurve(predicted, observed, n[held], error)
