"""The stratum-adjusted correlation coefficient of two contact maps (HiCRep, Yang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..errors import ConfigError, DataError
from .expected import PixelTable
from .moments import Moments

__all__ = ["StratumCorrelations", "scc", "stratum_correlations"]


@dataclass(frozen=True)
class StratumCorrelations:
    """Correlation of two maps at each distance, and HiCRep's weight of it.

    Parameters
    ----------
    distance
        Bins from the diagonal, int64 (k,), from 1.
    correlation
        Pearson correlation of the smoothed maps over positions where one of them is not zero, float64 (k,);
        NaN where it is not defined.
    weight
        Positions times the variance of their ranks, float64 (k,); 0 where the correlation is not defined.
    n
        Positions, int64 (k,).
    """

    distance: np.ndarray
    correlation: np.ndarray
    weight: np.ndarray
    n: np.ndarray

    @classmethod
    def of(cls, moments: Moments) -> StratumCorrelations:
        """Correlations and weights from the moments of distances 1, 2, ..., shape (k,)."""
        correlation, n = moments.pearson(), moments.n
        rank_variance = (1 + 1 / np.maximum(n, 1)) / 12  # of the ranks 1/n ... n/n
        weight = np.where(np.isfinite(correlation), n * rank_variance, 0.0)
        return cls(np.arange(1, len(n) + 1), correlation, weight, n.astype(np.int64))

    @property
    def scc(self) -> float:
        """Weighted mean of the correlations; NaN where none is defined."""
        used = self.weight > 0
        if not used.any():
            return float("nan")
        return float(np.average(self.correlation[used], weights=self.weight[used]))


def scc(
    first: PixelTable,
    second: PixelTable,
    *,
    max_distance: int,
    smoothing: int,
    valid: np.ndarray | None = None,
) -> float:
    """Stratum-adjusted correlation of two maps of one chromosome.

    Parameters
    ----------
    first, second
        Upper triangles, raw counts or predicted values (not below 0).
    max_distance
        Largest distance, bp, included.
    smoothing
        h: the mean filter has ``2 h + 1`` bins a side; 0 for none.
    valid
        Usable bins, bool (n_bins,): others enter neither the filter nor the correlation. HiCRep itself has no
        such mask, and is what is computed without it.

    Raises
    ------
    DataError
        The maps differ in resolution or number of bins.
    ConfigError
        `max_distance` is below one bin, or `smoothing` negative.
    """
    found = stratum_correlations(first, second, max_distance=max_distance, smoothing=smoothing, valid=valid)
    return found.scc


def stratum_correlations(
    first: PixelTable,
    second: PixelTable,
    *,
    max_distance: int,
    smoothing: int,
    valid: np.ndarray | None = None,
) -> StratumCorrelations:
    """The parts of :func:`scc`, which see for the parameters.

    As in the `hicrep` package (Lin et al. 2021), the filter runs over the upper triangle without the main
    diagonal and without distances beyond the largest, and is normalised by its area inside of the map.
    Rows are filtered as they stream by: memory grows with `max_distance`, not with the chromosome.
    """
    if (first.n_bins, first.resolution) != (second.n_bins, second.resolution):
        raise DataError(
            f"one map has {first.n_bins:,} bins of {first.resolution:,} bp, the other {second.n_bins:,} of "
            f"{second.resolution:,} bp; SCC compares maps of one chromosome at one resolution."
        )
    n_diagonals = min(max_distance // first.resolution + 1, first.n_bins)
    if smoothing < 0 or max_distance < first.resolution:
        raise ConfigError(
            f"SCC needs smoothing >= 0 and a max_distance of a bin or more, not {smoothing} and "
            f"{max_distance:,} bp."
        )
    usable = np.ones(first.n_bins, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if len(usable) != first.n_bins:
        raise DataError(f"valid has {len(usable):,} values, but the maps {first.n_bins:,} bins.")
    moments = _stream(*_rows(first), *_rows(second), usable, n_diagonals, smoothing)
    return StratumCorrelations.of(Moments(moments.T[1:]))


def _rows(pixels: PixelTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start = np.searchsorted(pixels.bin1, np.arange(pixels.n_bins + 1, dtype=np.int32))
    return start, np.asarray(pixels.bin2), np.asarray(pixels.count)


@njit(cache=True, nogil=True)
def _fill_row(i, start, bin2, count, usable, n_diagonals, h, values, filtered):  # type: ignore[no-untyped-def]
    """Filter row i along its columns; place k of `filtered` is column ``i - h + k``."""
    width = filtered.size
    values[:] = 0.0
    if usable[i]:
        for k in range(start[i], start[i + 1]):
            distance = bin2[k] - i
            if 0 < distance < n_diagonals and usable[bin2[k]]:
                values[distance + 2 * h] = count[k]
    for k in range(width):
        total = 0.0
        for m in range(k, k + 2 * h + 1):
            total += values[m]
        filtered[k] = total


@njit(cache=True, nogil=True)
def _stream(start1, bin2_1, count1, start2, bin2_2, count2, usable, n_diagonals, h):  # type: ignore[no-untyped-def]
    n_bins = usable.size
    width, depth = n_diagonals + 2 * h, 2 * h + 1
    values = np.zeros(width + 2 * h)
    one, two = np.zeros((depth, width)), np.zeros((depth, width))
    around = np.zeros(n_bins)  # usable bins under the filter
    for i in range(n_bins):
        for m in range(max(0, i - h), min(n_bins, i + h + 1)):
            around[i] += usable[m]
    moments = np.zeros((6, n_diagonals))
    for ahead in range(n_bins + h):
        slot = ahead % depth
        if ahead < n_bins:
            _fill_row(ahead, start1, bin2_1, count1, usable, n_diagonals, h, values, one[slot])
            _fill_row(ahead, start2, bin2_2, count2, usable, n_diagonals, h, values, two[slot])
        i = ahead - h
        if i < 0 or not usable[i]:
            continue
        for distance in range(1, min(n_diagonals, n_bins - i)):
            j = i + distance
            if not usable[j]:
                continue
            a = b = 0.0
            for row in range(max(0, i - h), min(n_bins, i + h + 1)):
                place = j - row + h
                a += one[row % depth, place]
                b += two[row % depth, place]
            if a != 0 or b != 0:
                area = around[i] * around[j]
                a, b = a / area, b / area
                moments[0, distance] += 1
                moments[1, distance] += a
                moments[2, distance] += b
                moments[3, distance] += a * a
                moments[4, distance] += b * b
                moments[5, distance] += a * b
    return moments
