"""How well predicted values agree with measured ones. Truth always comes first.

Every function takes arrays of any one shape and an optional mask of the entries that count; a metric that is
not defined (too few entries, no variance) is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .samples import counting_entries, paired_values

__all__ = [
    "DistanceCurve",
    "diamond_insulation",
    "insulation_correlation",
    "log_oe_pearson",
    "observed_over_expected",
    "pearson",
    "pearson_by_distance",
    "r2",
    "r2_swapped",
    "spearman",
]


_ROUNDING = 1e-24
"""A sum of squares round the mean below this part of that round 0 is rounding, not variance."""


def pearson(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Pearson correlation of the entries that count."""
    return _pearson(*paired_values(truth, prediction, mask))


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    if first.size < 2:
        return float("nan")
    a, b = first - first.mean(), second - second.mean()
    aa, bb = float(a @ a), float(b @ b)
    if aa <= _ROUNDING * float(first @ first) or bb <= _ROUNDING * float(second @ second):
        return float("nan")
    return float(np.clip((a @ b) / np.sqrt(aa * bb), -1.0, 1.0))


def spearman(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Spearman rank correlation of the entries that count; ties share their mean rank."""
    from scipy.stats import rankdata

    a, b = paired_values(truth, prediction, mask)
    return _pearson(rankdata(a), rankdata(b))


def r2(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Coefficient of determination, 1 - sum (t - p)^2 / sum (t - mean t)^2."""
    return _r2(*paired_values(truth, prediction, mask))


def r2_swapped(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None = None) -> float:
    """MIX-HIC's published R2: the roles of truth and prediction exchanged.

    The variance in its denominator is that of the *predictions*, so that a calibrated predictor of
    correlation r gets 2 - 1 / r^2 instead of r^2. Only for laying tables beside the paper's.
    """
    a, b = paired_values(truth, prediction, mask)
    return _r2(b, a)


def _r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    if truth.size < 2 or np.ptp(truth) == 0:
        return float("nan")
    return float(1 - ((truth - prediction) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


@dataclass(frozen=True)
class DistanceCurve:
    """A metric at each distance.

    Parameters
    ----------
    distance
        Bins, int64 (k,), ascending; only distances with an entry that counts.
    value
        The metric, float64 (k,).
    n
        Entries, int64 (k,).
    """

    distance: np.ndarray
    value: np.ndarray
    n: np.ndarray


def pearson_by_distance(
    truth: np.ndarray, prediction: np.ndarray, distance: np.ndarray, mask: np.ndarray | None = None
) -> DistanceCurve:
    """Pearson correlation among the entries of each distance.

    Parameters
    ----------
    truth, prediction, mask
        As for :func:`pearson`.
    distance
        Distance of each entry from the diagonal, bins, integer, broadcast to the shape of `truth`.
    """
    a, b = paired_values(truth, prediction, mask)
    d = _distances(distance, counting_entries(truth, mask))
    n = np.bincount(d)
    raw = [np.bincount(d, u * u, len(n)) for u in (a, b)]
    a, b = a - _group_mean(a, d)[d], b - _group_mean(b, d)[d]
    ab, aa, bb = (np.bincount(d, u * v, len(n)) for u, v in ((a, b), (a, a), (b, b)))
    varies = (aa > _ROUNDING * raw[0]) & (bb > _ROUNDING * raw[1])
    value = np.divide(ab, np.sqrt(aa * bb), out=np.full(len(n), np.nan), where=varies)
    held = np.flatnonzero(n)
    return DistanceCurve(held, value[held], n[held])


def _distances(distance: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Distance of each entry that counts, int64 (n,)."""
    return np.abs(np.broadcast_to(np.asarray(distance), counts.shape))[counts].astype(np.int64)


def _group_mean(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    n = np.bincount(group)
    return np.divide(np.bincount(group, values), n, out=np.full(len(n), np.nan), where=n > 0)


def observed_over_expected(
    values: np.ndarray, distance: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Each entry over the mean of all entries of its distance that count.

    Parameters
    ----------
    values
        Contact maps on a linear scale, any shape; NaN takes no part.
    distance
        Bins from the diagonal, integer, broadcast to that shape.
    mask
        Entries that count.

    Returns
    -------
    numpy.ndarray
        float64 of the shape of `values`; NaN where an entry does not count or its distance's mean is 0.
    """
    values = np.asarray(values, dtype=np.float64)
    counts = counting_entries(values, mask)
    d = _distances(distance, counts)
    mean = _group_mean(values[counts], d)[d]
    out = np.full(values.shape, np.nan)
    out[counts] = np.divide(values[counts], mean, out=np.full(mean.shape, np.nan), where=mean > 0)
    return out


def log_oe_pearson(
    truth: np.ndarray,
    prediction: np.ndarray,
    distance: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    pseudocount: float = 0.0,
) -> float:
    """Pearson correlation of log observed/expected: what is left once distance is taken away from both.

    Parameters
    ----------
    truth, prediction
        Contact maps on a linear scale, each divided by its own mean at each distance.
    distance
        Bins from the diagonal, integer, broadcast to the shape of `truth`.
    mask
        Entries that count.
    pseudocount
        Added to both ratios, in units of the expected; at 0, entries not above 0 in both are left out.
    """
    paired_values(truth, prediction, mask)  # a missing prediction is an error here as anywhere
    counts = counting_entries(truth, mask)
    a = observed_over_expected(truth, distance, counts)[counts] + pseudocount
    b = observed_over_expected(prediction, distance, counts)[counts] + pseudocount
    usable = (a > 0) & (b > 0)
    # Logs of ratios that are 1 but for rounding must not pass for variance: 12 decimals are kept.
    return _pearson(np.log(a[usable]).round(12), np.log(b[usable]).round(12))


def diamond_insulation(maps: np.ndarray, width: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Log2 of the mean contact across each bin, relative to its map's mean of that.

    The score of bin b is the mean of the `width` x `width` square between the bins before and after it
    (Crane et al. 2015); bins whose square is not wholly inside of the map have none.

    Parameters
    ----------
    maps
        Square maps on the diagonal, linear scale, float (n, s, s) or (s, s).
    width
        Side of the square, bins.
    mask
        Entries that count, broadcast to the shape of `maps`.

    Returns
    -------
    numpy.ndarray
        float64 (n, s) or (s,); NaN where there is no score.

    Raises
    ------
    DataError
        The maps are not square, or smaller than two squares and a bin.
    """
    maps = np.asarray(maps, dtype=np.float64)
    side = maps.shape[-1]
    if maps.ndim < 2 or maps.shape[-2] != side or side < 2 * width + 1 or width < 1:
        raise DataError(
            f"insulation with a width of {width} bins needs square maps of {2 * width + 1} bins or more "
            f"a side, not {maps.shape}."
        )
    if mask is not None:
        maps = np.where(np.broadcast_to(np.asarray(mask, dtype=bool), maps.shape), maps, np.nan)
    scores = np.full(maps.shape[:-1], np.nan)
    for b in range(width, side - width):
        scores[..., b] = _nanmean(maps[..., b - width : b, b + 1 : b + width + 1], (-2, -1))
    scores[~(scores > 0)] = np.nan
    centre = _nanmean(scores, (-1,))[..., None]
    return np.log2(scores / centre)


def _nanmean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    known = np.isfinite(values)
    n = known.sum(axis=axes)
    total = np.where(known, values, 0.0).sum(axis=axes)
    return np.divide(total, n, out=np.full(np.shape(n), np.nan), where=n > 0)


def insulation_correlation(
    truth: np.ndarray, prediction: np.ndarray, width: int, mask: np.ndarray | None = None
) -> float:
    """Pearson correlation of the insulation scores of true and predicted maps.

    Parameters
    ----------
    truth, prediction, mask
        Maps as for :func:`diamond_insulation`; an entry without truth is masked in both.
    width
        Side of the insulation square, bins.
    """
    paired_values(truth, prediction, mask)
    counts = counting_entries(truth, mask)
    a = diamond_insulation(truth, width, counts)
    b = diamond_insulation(prediction, width, counts)
    both = np.isfinite(a) & np.isfinite(b)
    return _pearson(a[both], b[both])
