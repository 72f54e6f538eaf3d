"""What a contact map holds at a distance, whatever lies there."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numba import njit

from ..errors import DataError

__all__ = ["MapLayer", "PixelTable", "expected_by_distance"]


class PixelTable(Protocol):
    """Upper triangle of one chromosome's map as columns, sorted by (bin1, bin2)."""

    @property
    def bin1(self) -> np.ndarray:
        """Row bin, int32, within the chromosome."""
        ...

    @property
    def bin2(self) -> np.ndarray:
        """Column bin, int32, never below `bin1`."""
        ...

    @property
    def count(self) -> np.ndarray:
        """Contacts (raw counts, or the values of a predicted map)."""
        ...

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome."""
        ...

    @property
    def resolution(self) -> int:
        """Bin size, bp."""
        ...


class MapLayer(Protocol):
    """The map of one chromosome at one resolution, as a store holds it."""

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome."""
        ...

    @property
    def resolution(self) -> int:
        """Bin size, bp."""
        ...

    @property
    def n_diagonals(self) -> int | None:
        """Distances held, counted in bins from 0; None where every distance is."""
        ...

    def pixels(self, max_distance: int | None = None) -> PixelTable:
        """Raw counts at distances below `max_distance` bp."""
        ...

    def weight(self, name: str) -> np.ndarray:
        """Multiplicative balancing vector, NaN at masked bins."""
        ...

    def valid(self, name: str | None = None) -> np.ndarray:
        """Whether each bin can be used."""
        ...


def expected_by_distance(
    pixels: PixelTable,
    n_diagonals: int,
    *,
    weight: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    first: int = 0,
    monotone: bool = False,
) -> np.ndarray:
    """Mean value of the map at each distance, over all pixel positions whose two bins are valid.

    Positions without a contact count as zero; positions of a masked bin do not count at all.

    Parameters
    ----------
    pixels
        Upper triangle, raw counts.
    n_diagonals
        Distances 0 to ``n_diagonals - 1`` bins are asked for.
    weight
        Multiplicative balancing vector, float (n_bins,), NaN at masked bins; raw counts without it.
    valid
        Usable bins, bool (n_bins,); with `weight`, bins of finite weight are taken in any case.
    first
        Nearest distance wanted, in bins; nearer ones stay NaN.
    monotone
        Whether to make the means non-increasing in distance, by isotonic regression in which a distance
        weighs as much as it has positions (Peakachu's expectation, Salameh et al. 2020).

    Returns
    -------
    numpy.ndarray
        float64 (n_diagonals,); NaN below `first` and where a distance has no valid position.

    Raises
    ------
    DataError
        `weight` or `valid` is not as long as the chromosome has bins.
    """
    weight = bin_weights(pixels.n_bins, weight, valid)
    total = _sum_by_distance(
        np.asarray(pixels.bin1), np.asarray(pixels.bin2), np.asarray(pixels.count), weight, n_diagonals
    )
    pairs = _pairs_by_distance(np.isfinite(weight), n_diagonals)
    expected = np.full(n_diagonals, np.nan)
    known = (pairs > 0) & (np.arange(n_diagonals) >= first)
    expected[known] = total[known] / pairs[known]
    if monotone and known.any():
        from scipy.optimize import isotonic_regression

        expected[known] = isotonic_regression(expected[known], weights=pairs[known], increasing=False).x
    return expected


def bin_weights(n_bins: int, weight: np.ndarray | None, valid: np.ndarray | None) -> np.ndarray:
    """A multiplicative vector, float64 (n_bins,), that is NaN at every bin not to be used."""
    for name, values in (("weight", weight), ("valid", valid)):
        if values is not None and len(values) != n_bins:
            raise DataError(
                f"{name} has {len(values):,} values, but the chromosome {n_bins:,} bins; "
                "take both from one layer of one store."
            )
    combined = np.ones(n_bins) if weight is None else np.array(weight, dtype=np.float64)
    if valid is not None:
        combined[~np.asarray(valid, dtype=bool)] = np.nan
    combined[~np.isfinite(combined)] = np.nan
    return combined


@njit(cache=True, nogil=True)
def _sum_by_distance(bin1, bin2, count, weight, n_diagonals):  # type: ignore[no-untyped-def]
    total = np.zeros(n_diagonals)
    for k in range(bin1.size):
        distance = bin2[k] - bin1[k]
        if distance < n_diagonals:
            value = count[k] * weight[bin1[k]] * weight[bin2[k]]
            if not np.isnan(value):
                total[distance] += value
    return total


@njit(cache=True, nogil=True)
def _pairs_by_distance(valid, n_diagonals):  # type: ignore[no-untyped-def]
    pairs = np.zeros(n_diagonals)
    for distance in range(min(n_diagonals, valid.size)):
        for i in range(valid.size - distance):
            if valid[i] and valid[i + distance]:
                pairs[distance] += 1.0
    return pairs
