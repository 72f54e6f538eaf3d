"""The contacts of one chromosome as sorted pixels, and their row sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Pixels"]

_AT_ONCE = 1 << 22  # pixels: whole-chromosome arrays of float64 would double the memory of a build


@dataclass(frozen=True, eq=False)
class Pixels:
    """Raw contacts within one chromosome: the upper triangle with the diagonal.

    Parameters
    ----------
    bin1, bin2
        int32, bins within the chromosome, ``bin1 <= bin2``; pixels are unique and sorted by (bin1, bin2).
    count
        Raw contacts of each pixel: an integer dtype where the file holds integers, else float64.
    n_bins
        Bins of the chromosome, from its length.
    resolution
        Bin size in bp.
    """

    bin1: np.ndarray
    bin2: np.ndarray
    count: np.ndarray
    n_bins: int
    resolution: int

    def __len__(self) -> int:
        return len(self.count)

    @classmethod
    def from_coo(cls, matrix: Any, n_bins: int, resolution: int) -> Pixels:
        """Sorted pixels from a COO matrix of the upper triangle; whole numbers become integers.

        Parameters
        ----------
        matrix
            Anything with `row`, `col` and `data` (scipy's COO), without duplicates.
        n_bins, resolution
            Of the chromosome.
        """
        bin1, bin2, count = matrix.row, matrix.col, matrix.data
        if not _is_sorted(bin1, bin2):
            order = np.lexsort((bin2, bin1))
            bin1, bin2, count = bin1[order], bin2[order], count[order]
        if count.dtype.kind == "f":
            count = count.astype(_integer_type(count) or np.float64, copy=False)
        return cls(
            bin1.astype(np.int32, copy=False), bin2.astype(np.int32, copy=False), count, n_bins, resolution
        )

    def row_sums(self, weight: np.ndarray | None = None, ignore_diags: int = 0) -> np.ndarray:
        """Sum of each row of the symmetric matrix; a diagonal pixel counts once.

        Parameters
        ----------
        weight
            Multiplicative weight of each bin, (n_bins,): sums are then of ``count * w[i] * w[j]``,
            and pixels with a masked (NaN) bin are left out.
        ignore_diags
            Leave out this many diagonals, the main one first.

        Returns
        -------
        numpy.ndarray
            float64, (n_bins,).
        """
        sums = np.zeros(self.n_bins)
        for first in range(0, len(self), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            bin1, bin2 = self.bin1[part], self.bin2[part]
            value = self.count[part].astype(np.float64)
            if weight is not None:
                value *= weight[bin1] * weight[bin2]
            value[(bin2 - bin1 < ignore_diags) | ~np.isfinite(value)] = 0
            sums += np.bincount(bin2, weights=value, minlength=self.n_bins)
            value[bin1 == bin2] = 0
            sums += np.bincount(bin1, weights=value, minlength=self.n_bins)
        return sums

    def within(self, max_distance: int) -> Pixels:
        """The pixels of the first ``max_distance // resolution`` diagonals (at least one); bp."""
        keep = self.bin2 - self.bin1 < max(1, max_distance // self.resolution)
        return Pixels(self.bin1[keep], self.bin2[keep], self.count[keep], self.n_bins, self.resolution)


def _is_sorted(bin1: np.ndarray, bin2: np.ndarray) -> bool:
    """Whether pixels ascend strictly by (bin1, bin2)."""
    for first in range(0, len(bin1) - 1, _AT_ONCE):
        row, column = (np.diff(b[first : first + _AT_ONCE + 1]) for b in (bin1, bin2))
        if not ((row > 0) | ((row == 0) & (column > 0))).all():
            return False
    return True


def _integer_type(count: np.ndarray) -> type[np.signedinteger] | None:
    """The integer dtype that holds every value of `count` exactly, or None."""
    if not len(count) or not np.isfinite(count).all() or not np.array_equal(count, np.floor(count)):
        return None
    largest = float(np.abs(count).max())
    if largest >= 2**53:
        return None
    return np.int32 if largest < 2**31 else np.int64
