"""What a stored map holds at each distance: the expectation that windows are held against.

The mean over a band as it lies in the store, in one pass; `evaluation.expected` does the same for pixels
from anywhere, with more choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from .cutter import WindowCutter
from .layouts import FAR_LOOKUP, Band

__all__ = ["ExpectedWindows", "expected_of_band"]


class ExpectedWindows:
    """What windows would hold if contacts depended on nothing but distance, chromosome by chromosome.

    Each chromosome's expectation is worked out when its first window is asked for.

    Parameters
    ----------
    cutters
        One for each store; they say how contacts are balanced and scaled.
    chromosomes
        What windows' chromosomes index.
    """

    def __init__(self, cutters: Sequence[WindowCutter], chromosomes: Sequence[str]) -> None:
        self.cutters, self.chromosomes = tuple(cutters), tuple(chromosomes)
        self._known = np.zeros((len(self.cutters), len(self.chromosomes)), np.bool_)
        self._by_distance = np.zeros((*self._known.shape, 1), np.float32)

    def __reduce__(self) -> tuple[object, ...]:
        return (ExpectedWindows, (self.cutters, self.chromosomes))

    def diagonals(
        self, store: np.ndarray, chrom: np.ndarray, rows: np.ndarray, columns: np.ndarray, flipped: np.ndarray
    ) -> np.ndarray:
        """Expected contacts of each diagonal of each window, from its lower left corner to its upper right.

        Parameters
        ----------
        store, chrom
            Indices, (windows,).
        rows, columns
            Anchor bins of the map's rows and of its columns.
        flipped
            Whether the window is read backwards.

        Returns
        -------
        numpy.ndarray
            float32 (windows, 2 bins - 1); entry (a, b) of a window lies on diagonal b - a + bins - 1.
            0 beyond what is stored.
        """
        for one, other in set(zip(store.tolist(), chrom.tolist(), strict=True)):
            if not self._known[one, other]:
                self._learn(one, other)
        side = self.cutters[0].window_bins
        steps = np.arange(1 - side, side)
        distance = np.abs((columns - rows)[:, None] + np.where(flipped[:, None], -steps, steps))
        longest = self._by_distance.shape[-1] - 1  # of which nothing is stored
        return self._by_distance[store[:, None], chrom[:, None], np.minimum(distance, longest)]

    def _learn(self, store: int, chrom: int) -> None:
        here = self.cutters[store].chromosome(self.chromosomes[chrom])
        expected = expected_of_band(here.band, here.weight)
        grow = len(expected) + 1 - self._by_distance.shape[-1]
        if grow > 0:
            self._by_distance = np.pad(self._by_distance, ((0, 0), (0, 0), (0, grow)))
        self._by_distance[store, chrom, : len(expected)] = expected
        self._known[store, chrom] = True


def expected_of_band(band: Band, weight: np.ndarray) -> np.ndarray:
    """Mean balanced value of each stored diagonal, over all pixels whose two bins are valid.

    Parameters
    ----------
    band
        Raw contacts of a chromosome.
    weight
        Multiplicative vector, float (n_bins,), NaN at masked bins.

    Returns
    -------
    numpy.ndarray
        float64 (n_diagonals,); 0 where a diagonal has no valid pixel, so that none can be asked about.
    """
    total, pixels = _sums(band.near, band.far, np.asarray(weight, np.float64))
    width = band.n_diagonals
    row, diagonal = np.divmod(band.overflow_keys, width)
    factor = weight[row] * weight[row + diagonal]
    known = np.isfinite(factor)
    # The band itself gave these pixels the marker's value.
    excess = (band.overflow_counts.astype(np.float64) - FAR_LOOKUP) * factor
    np.add.at(total, diagonal[known], excess[known])
    return np.divide(total, pixels, out=np.zeros(width), where=pixels > 0)


@njit(cache=True, nogil=True)
def _sums(near: Any, far: Any, weight: Any) -> Any:
    n_bins, split = near.shape
    width = split + far.shape[1]
    total, pixels = np.zeros(width), np.zeros(width)
    for i in range(n_bins):
        if np.isnan(weight[i]):
            continue
        for d in range(min(width, n_bins - i)):
            factor = weight[i] * weight[i + d]
            if np.isnan(factor):
                continue
            pixels[d] += 1
            total[d] += factor * (near[i, d] if d < split else far[i, d - split])
    return total, pixels
