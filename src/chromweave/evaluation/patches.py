"""Small squares of a contact map around chosen pixels, straight from the sparse upper triangle."""

from __future__ import annotations

import numpy as np
from numba import njit

from .expected import PixelTable, bin_weights

__all__ = ["patches"]


def patches(
    pixels: PixelTable,
    x_bins: np.ndarray,
    y_bins: np.ndarray,
    half: int,
    *,
    weight: np.ndarray | None = None,
    expected: np.ndarray | None = None,
    n_diagonals: int | None = None,
) -> np.ndarray:
    """Cut the square of ``2 * half + 1`` bins a side around each pixel (x, y).

    Parameters
    ----------
    pixels
        Upper triangle, raw counts; the lower one is its mirror image.
    x_bins, y_bins
        Row and column bin of each centre, integer (n,).
    half
        Bins on each side of the centre.
    weight
        Multiplicative balancing vector (n_bins,), NaN at masked bins; raw counts without it.
    expected
        Divide each entry by this value at its distance, float (distances,); entries at distances beyond it,
        or where it is not positive, become NaN.
    n_diagonals
        Distances the map holds, in bins; entries further out are NaN. None where every distance is held.

    Returns
    -------
    numpy.ndarray
        float64 (n, 2 half + 1, 2 half + 1); NaN at masked bins and outside of the chromosome.
    """
    reach = 2 * pixels.n_bins if n_diagonals is None else n_diagonals
    if expected is None:
        divisor = np.ones(reach)
    else:
        divisor = np.where(expected > 0, expected, np.nan)
        reach = min(reach, len(divisor))
    row_start = np.searchsorted(pixels.bin1, np.arange(pixels.n_bins + 1, dtype=np.int32))
    out = np.full((len(x_bins), 2 * half + 1, 2 * half + 1), np.nan)
    _cut(
        row_start,
        np.asarray(pixels.bin2),
        np.asarray(pixels.count),
        np.asarray(x_bins, dtype=np.int64),
        np.asarray(y_bins, dtype=np.int64),
        bin_weights(pixels.n_bins, weight, None),
        divisor,
        reach,
        out,
    )
    return out


@njit(cache=True, nogil=True)
def _cut(row_start, bin2, count, x_bins, y_bins, weight, divisor, reach, out):  # type: ignore[no-untyped-def]
    n, side, n_bins = x_bins.size, out.shape[1], weight.size
    half = side // 2
    for k in range(n):
        for a in range(side):
            row = x_bins[k] - half + a
            if row < 0 or row >= n_bins:
                continue
            for b in range(side):
                column = y_bins[k] - half + b
                if column < 0 or column >= n_bins:
                    continue
                low, high = min(row, column), max(row, column)
                if high - low >= reach:
                    continue
                first, last = row_start[low], row_start[low + 1]
                position = first + np.searchsorted(bin2[first:last], high)
                found = position < last and bin2[position] == high
                value = weight[low] * weight[high] * (count[position] if found else 0)
                out[k, a, b] = value / divisor[high - low]
