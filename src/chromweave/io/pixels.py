"""The contacts of one chromosome as sorted pixels, and their row sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Pixels"]


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
        key = bin1.astype(np.int64) * n_bins + bin2
        if (np.diff(key) <= 0).any():
            order = np.argsort(key, kind="stable")
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
        value = self.count.astype(np.float64)
        if weight is not None:
            value *= weight[self.bin1]
            value *= weight[self.bin2]
        distance = self.bin2 - self.bin1
        value[(distance < ignore_diags) | ~np.isfinite(value)] = 0
        sums = np.bincount(self.bin2, weights=value, minlength=self.n_bins)
        value[distance == 0] = 0
        return sums + np.bincount(self.bin1, weights=value, minlength=self.n_bins)

    def within(self, max_distance: int) -> Pixels:
        """The pixels of the first ``max_distance // resolution`` diagonals (at least one); bp."""
        keep = self.bin2 - self.bin1 < max(1, max_distance // self.resolution)
        return Pixels(self.bin1[keep], self.bin2[keep], self.count[keep], self.n_bins, self.resolution)


def _integer_type(count: np.ndarray) -> type[np.signedinteger] | None:
    """The integer dtype that holds every value of `count` exactly, or None."""
    if not len(count) or not np.isfinite(count).all() or not np.array_equal(count, np.floor(count)):
        return None
    largest = float(np.abs(count).max())
    if largest >= 2**53:
        return None
    return np.int32 if largest < 2**31 else np.int64
