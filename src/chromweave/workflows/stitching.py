"""One map, or one signal, from windows that overlap: where they lie, and how they are averaged.

A window's middle sees context on all sides and its border on one, so the average of overlapping windows
weighs each by a taper that falls from the middle to the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..errors import ConfigError, DataError
from ..genome import Interval

__all__ = [
    "Anchors",
    "BandMean",
    "BandPixels",
    "SignalMean",
    "Tiling",
    "bins_of",
    "mark_bins",
    "step_bins",
    "taper",
]


class Anchors(NamedTuple):
    """Anchor bins of windows, int64 (windows,), x <= y."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Tiling:
    """Windows over a chromosome, on the diagonal and off it, so that no pixel within reach is left out.

    Distances between anchors are 0, `step`, 2 `step`, ... and `farthest`. At each of them windows stand
    `step` apart from the chromosome's start to its end, and the last one ends with the chromosome. Where
    the chromosome is shorter than a window at `farthest`, the last distance is the longest that fits.

    Parameters
    ----------
    window_bins
        Side of a window, bins; even.
    step
        Bins from one window to the next; at most half a window.
    farthest
        Largest distance of two anchors, bins.

    Raises
    ------
    ConfigError
        The step is not between one bin and half a window.
    """

    window_bins: int
    step: int
    farthest: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.step <= self.window_bins // 2:
            raise ConfigError(
                f"windows of {self.window_bins} bins cannot be {self.step} bins apart; the step lies between "
                f"one bin and half a window ({self.window_bins // 2} bins)."
            )

    @property
    def reach(self) -> int:
        """Largest distance at which every pixel lies in some window, bins.

        A window that starts at most `step` - 1 bins before the pixel's row has its last column at least
        ``farthest + window_bins - step`` bins behind it.
        """
        return self.farthest + self.window_bins - self.step

    def anchors(self, n_bins: int, first: int = 0, last: int | None = None) -> Anchors:
        """All windows of a chromosome with pixels between bins `first` and `last` - 1.

        Parameters
        ----------
        n_bins
            Of the chromosome.
        first, last
            The whole chromosome if not given.
        """
        half, last = self.window_bins // 2, n_bins if last is None else last
        found = [Anchors(np.empty(0, np.int64), np.empty(0, np.int64))]
        for distance in _chain(0, min(self.farthest, n_bins - self.window_bins), self.step):
            x = _chain(half, n_bins - half - distance, self.step)
            seen = (x - half < last) & (x + half > first)
            seen &= (x + distance - half < last) & (x + distance + half > first)
            found.append(Anchors(x[seen], x[seen] + distance))
        return Anchors(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _chain(start: int, end: int, step: int) -> np.ndarray:
    """From `start` in steps to `end`, which is the last whatever the step; nothing if `end` comes before."""
    if end < start:
        return np.empty(0, np.int64)
    return np.append(np.arange(start, end, step, dtype=np.int64), end)


def step_bins(step: int | None, resolution: int, window_bins: int) -> int:
    """`step`, bp, as bins; a quarter of a window for None.

    Raises
    ------
    ConfigError
        It is no multiple of a bin.
    """
    if step is None:
        return max(1, window_bins // 4)
    if step <= 0 or step % resolution:
        raise ConfigError(f"the step must be a multiple of the bins' {resolution:,} bp, not {step:,} bp.")
    return step // resolution


def bins_of(region: Interval | None, chrom: str, resolution: int, n_bins: int) -> tuple[int, int]:
    """First bin of a region of `chrom`, and the first one behind it; the whole chromosome for None.

    Raises
    ------
    ConfigError
        The region is on another chromosome.
    DataError
        It begins behind the chromosome's end.
    """
    if region is None:
        return 0, n_bins
    if region.chrom != chrom:
        raise ConfigError(f"the region {region} is not on {chrom}, which is to be predicted.")
    first, last = region.start // resolution, min(-(-region.end // resolution), n_bins)
    if first >= n_bins:
        raise DataError(f"the region {region} begins behind the end of {chrom}.")
    return first, last


def taper(window_bins: int) -> np.ndarray:
    """Weights of a window's bins, float64 (window_bins,): from near 1 at its middle straight to near 0.

    None is 0, so that a bin that only the border of one window covers has a value.
    """
    half = window_bins / 2
    return 1 - np.abs(np.arange(window_bins) + 0.5 - half) / half


class BandPixels(NamedTuple):
    """Pixels of an upper triangle, sorted: bins, int64 (pixels,), and values, float64 (pixels,)."""

    bin1: np.ndarray
    bin2: np.ndarray
    value: np.ndarray


class BandMean:
    """Weighted mean of overlapping square windows, in the upper triangle of a symmetric map.

    The weight of a window's entry is the product of both its bins' :func:`taper`. Entries below the diagonal
    count for their mirror image.

    Parameters
    ----------
    first, last
        Bins of the map, of which `last` is the first beyond it.
    n_diagonals
        Width of the band, the main diagonal included.
    window_bins
        Side of a window.
    """

    def __init__(self, first: int, last: int, n_diagonals: int, window_bins: int) -> None:
        self.first = first
        self._taper = taper(window_bins)
        self._total = np.zeros((last - first, min(n_diagonals, last - first)))
        self._weight = np.zeros_like(self._total)

    def add(self, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        """Add windows; what lies outside the band is left out.

        Parameters
        ----------
        values
            float (windows, bins, bins), rows = x segment.
        x, y
            Anchor bins.
        """
        half = len(self._taper) // 2
        rows, columns = (np.asarray(anchor, np.int64) - half - self.first for anchor in (x, y))
        _add_windows(np.asarray(values, np.float64), self._taper, rows, columns, self._total, self._weight)

    def pixels(self) -> BandPixels:
        """The mean of each pixel that a window covers, sorted by both bins."""
        row, distance = np.nonzero(self._weight)
        bin1 = row + self.first
        return BandPixels(bin1, bin1 + distance, self._total[row, distance] / self._weight[row, distance])


@njit(cache=True, nogil=True)
def _add_windows(values: Any, taper: Any, rows: Any, columns: Any, total: Any, weight: Any) -> None:
    n_bins, width = total.shape
    side = len(taper)
    for k in range(len(rows)):
        for a in range(side):
            for b in range(side):
                i, j = rows[k] + a, columns[k] + b
                if j < i:
                    i, j = j, i
                if i < 0 or j >= n_bins or j - i >= width:
                    continue
                share = taper[a] * taper[b]
                total[i, j - i] += share * values[k, a, b]
                weight[i, j - i] += share


class SignalMean:
    """Mean of overlapping segments along a chromosome, weighted by :func:`taper`.

    Parameters
    ----------
    n_bins
        Of the chromosome.
    window_bins
        Bins of a segment.
    """

    def __init__(self, n_bins: int, window_bins: int) -> None:
        self._taper = taper(window_bins)
        self._total, self._weight = np.zeros(n_bins), np.zeros(n_bins)

    def add(self, values: np.ndarray, anchors: np.ndarray) -> None:
        """Add segments, float (segments, bins), around anchor bins."""
        places = _places(anchors, len(self._taper))
        np.add.at(self._total, places, values * self._taper)
        np.add.at(self._weight, places, np.broadcast_to(self._taper, places.shape))

    def mean(self) -> np.ndarray:
        """float64 (n_bins,): NaN where no segment lies."""
        found = np.full(len(self._total), np.nan)
        np.divide(self._total, self._weight, out=found, where=self._weight > 0)
        return found


def mark_bins(known: np.ndarray, seen: np.ndarray, anchors: np.ndarray) -> None:
    """Set `known`, bool (n_bins,), where `seen`, bool (segments, bins) around anchor bins, holds."""
    known[_places(anchors, seen.shape[1])[seen]] = True


def _places(anchors: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(anchors, np.int64)[:, None] - side // 2 + np.arange(side)
