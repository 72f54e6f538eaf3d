"""Principal components of a contact map, bin by bin: the row that an embedding is read beside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import DataError

__all__ = ["ObservedOverExpected", "map_components", "observed_over_expected"]

_IGNORED_DIAGONALS = 2
_CLIP_PERCENTILE = 99.9


class ObservedOverExpected(NamedTuple):
    """float64 (kept, kept) without gaps, and the index of the bins with contacts, int64 (kept,)."""

    ratio: np.ndarray
    kept: np.ndarray


def observed_over_expected(balanced: np.ndarray) -> ObservedOverExpected:
    """Contacts over the mean of their distance, between bins that have some.

    The first two diagonals and distances that the map does not hold count as expected, and ratios above the
    99.9th percentile as that.

    Parameters
    ----------
    balanced
        float (bins, bins) of one chromosome, symmetric; NaN rows and columns where masked, and beyond a
        band.

    Raises
    ------
    DataError
        No bin has contacts.
    """
    balanced = np.asarray(balanced, dtype=np.float64)
    kept = np.flatnonzero(np.nansum(balanced, axis=0) > 0)
    if not len(kept):
        raise DataError("no bin has contacts.")
    square = balanced[np.ix_(kept, kept)]
    return ObservedOverExpected(_ratio(square, np.abs(np.subtract.outer(kept, kept))), kept)


def map_components(balanced: np.ndarray, components: int) -> np.ndarray:
    """Leading components of the correlation between rows of observed/expected (Lieberman-Aiden et al. 2009).

    Observed/expected is that of :func:`observed_over_expected`. Components of two chromosomes have no common
    sign or order.

    Parameters
    ----------
    balanced
        float (bins, bins) of one chromosome, symmetric; NaN rows and columns where masked, and beyond a
        band.
    components
        How many.

    Returns
    -------
    numpy.ndarray
        float64 (bins, components), each scaled by the root of its eigenvalue; NaN where masked or empty.

    Raises
    ------
    DataError
        No more bins have contacts than components are asked for.
    """
    from scipy.linalg import eigh

    ratio, kept = observed_over_expected(balanced)
    if len(kept) <= components:
        raise DataError(f"{len(kept)} bins with contacts are too few for {components} components.")
    centred = ratio - ratio.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.where(length > 0, length, 1)
    n = len(kept)
    values, vectors = eigh(centred @ centred.T, subset_by_index=(n - components, n - 1))
    found = np.full((len(balanced), components), np.nan)
    found[kept] = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]
    return found


def _ratio(square: np.ndarray, distance: np.ndarray) -> np.ndarray:
    held = np.isfinite(square)
    pairs = np.bincount(distance[held])
    expected = np.bincount(distance[held], square[held]) / np.maximum(pairs, 1)
    here = np.append(expected, 0.0)[np.minimum(distance, len(expected))]
    ratio = np.divide(square, here, out=np.ones_like(square), where=held & (here > 0))
    ratio[distance < _IGNORED_DIAGONALS] = 1
    return np.minimum(ratio, np.percentile(ratio, _CLIP_PERCENTILE))
