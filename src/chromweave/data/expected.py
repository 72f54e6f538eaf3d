"""What a stored map holds at each distance: the expectation that windows are divided by.

The mean over a band as it lies in the store, in one pass; `evaluation.expected` does the same for pixels
from anywhere, with more choices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .layouts import FAR_LOOKUP, Band

__all__ = ["expected_of_band"]


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
