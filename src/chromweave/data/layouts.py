"""How the contacts of one chromosome lie on disk: a band of diagonals, sparse rows, or a full triangle.

Each layout is a handful of plain arrays. In a band a window is a strided view: pixel (i, i + d) is column d
of row i.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from ..errors import StoreError
from ..io.pixels import Pixels

__all__ = [
    "FAR_LOOKUP",
    "Band",
    "Entries",
    "Layout",
    "Sparse",
    "Triangle",
    "pack_band",
    "pack_every_distance",
    "unpack",
]

FAR_LOOKUP = 255
"""What `Band.far` holds where a count does not fit: it is then in the overflow list."""

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Entries:
    """Non-zero pixels of some rows, sorted by (bin1, bin2)."""

    bin1: np.ndarray
    bin2: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class Band:
    """The first diagonals of a symmetric matrix.

    Parameters
    ----------
    near
        (n_bins, a): column d is diagonal d, in the smallest unsigned dtype that holds it (floats where the
        counts are no integers).
    far
        uint8 (n_bins, b): column d is diagonal a + d; :data:`FAR_LOOKUP` stands for "see the overflow".
    overflow_keys
        int64, sorted: ``i * (a + b) + d`` of the far pixels of 255 contacts and more, so that one freak
        pixel does not widen a whole band.
    overflow_counts
        Their counts.
    """

    near: np.ndarray
    far: np.ndarray
    overflow_keys: np.ndarray
    overflow_counts: np.ndarray

    name: ClassVar[str] = "band"

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome."""
        return int(self.near.shape[0])

    @property
    def n_diagonals(self) -> int:
        """Diagonals stored, the main one included."""
        return int(self.near.shape[1] + self.far.shape[1])

    def rows(self, first: int, last: int) -> np.ndarray:
        """(last - first, n_diagonals): counts of these rows by diagonal, 0 beyond the chromosome's end."""
        width, split = self.n_diagonals, self.near.shape[1]
        rows = np.zeros((last - first, width), np.result_type(self.near, self.overflow_counts, np.uint8))
        rows[:, :split] = self.near[first:last]
        rows[:, split:] = self.far[first:last]
        begin, end = np.searchsorted(self.overflow_keys, [first * width, last * width])
        rows.reshape(-1)[self.overflow_keys[begin:end] - first * width] = self.overflow_counts[begin:end]
        return rows

    def entries(self) -> Iterator[Entries]:
        """The non-zero pixels, some rows at a time."""
        for first in range(0, self.n_bins, _ROWS_AT_ONCE):
            rows = self.rows(first, min(first + _ROWS_AT_ONCE, self.n_bins))
            row, diagonal = np.nonzero(rows)
            yield Entries(row + first, row + first + diagonal, rows[row, diagonal])

    def dense(self, start: int, end: int) -> np.ndarray:
        """float64 symmetric square of bins start to end - 1; NaN beyond the band."""
        rows = self.rows(start, end)
        square = np.full((end - start, end - start), np.nan)
        for d in range(min(end - start, self.n_diagonals)):
            first = np.arange(end - start - d)
            square[first, first + d] = square[first + d, first] = rows[: end - start - d, d]
        return square


@dataclass(frozen=True)
class Sparse:
    """The non-zero pixels of the upper triangle, row by row (CSR).

    Parameters
    ----------
    row_starts
        int64 (n_bins + 1,).
    columns, counts
        Of each pixel, columns ascending within a row.
    """

    row_starts: np.ndarray
    columns: np.ndarray
    counts: np.ndarray

    name: ClassVar[str] = "sparse"
    n_diagonals: ClassVar[None] = None

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome."""
        return len(self.row_starts) - 1

    def entries(self) -> Iterator[Entries]:
        """The non-zero pixels."""
        rows = np.repeat(np.arange(self.n_bins), np.diff(self.row_starts))
        yield Entries(rows, np.asarray(self.columns), np.asarray(self.counts))

    def dense(self, start: int, end: int) -> np.ndarray:
        """float64 symmetric square of bins start to end - 1."""
        square = np.zeros((end - start, end - start))
        begin, stop = self.row_starts[start], self.row_starts[end]
        rows = np.repeat(np.arange(end - start), np.diff(self.row_starts[start : end + 1]))
        columns = self.columns[begin:stop].astype(np.int64) - start
        inside = columns < end - start
        rows, columns, counts = rows[inside], columns[inside], self.counts[begin:stop][inside]
        square[rows, columns] = counts
        square[columns, rows] = counts
        return square


@dataclass(frozen=True)
class Triangle:
    """Every pixel of the upper triangle, rows one after the other.

    Parameters
    ----------
    counts
        (n_bins * (n_bins + 1) / 2,): row 0 from its diagonal on, then row 1, ...
    """

    counts: np.ndarray

    name: ClassVar[str] = "triangle"
    n_diagonals: ClassVar[None] = None

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome."""
        return round((np.sqrt(8 * len(self.counts) + 1) - 1) / 2)

    def row(self, i: int) -> np.ndarray:
        """Pixels (i, i), (i, i + 1), ... of one row."""
        begin = i * self.n_bins - i * (i - 1) // 2
        return self.counts[begin : begin + self.n_bins - i]

    def entries(self) -> Iterator[Entries]:
        """The non-zero pixels, row by row."""
        for i in range(self.n_bins):
            row = self.row(i)
            columns = np.flatnonzero(row)
            yield Entries(np.full(len(columns), i), columns + i, row[columns])

    def dense(self, start: int, end: int) -> np.ndarray:
        """float64 symmetric square of bins start to end - 1."""
        square = np.zeros((end - start, end - start))
        for i in range(start, end):
            square[i - start, i - start :] = square[i - start :, i - start] = self.row(i)[: end - i]
        return square


Layout = Band | Sparse | Triangle
_LAYOUTS: dict[str, type[Band] | type[Sparse] | type[Triangle]] = {
    kind.name: kind for kind in (Band, Sparse, Triangle)
}


def parts(name: str) -> tuple[str, ...]:
    """Names of the arrays of a layout.

    Raises
    ------
    StoreError
        There is no such layout.
    """
    if name not in _LAYOUTS:
        raise StoreError(f"unknown layout {name!r} ({', '.join(_LAYOUTS)} are known); update chromweave.")
    return tuple(field.name for field in fields(_LAYOUTS[name]))


def unpack(name: str, arrays: Mapping[str, np.ndarray]) -> Layout:
    """The layout called `name` from its arrays."""
    return _LAYOUTS[name](**arrays)


def smallest_dtype(counts: np.ndarray) -> np.dtype:
    """The smallest unsigned dtype for integer `counts`; for others float32 where exact, else float64."""
    if counts.dtype.kind in "iu":
        return np.min_scalar_type(int(counts.max(initial=0)))
    exact = np.array_equal(counts.astype(np.float32).astype(counts.dtype), counts)
    return np.dtype(np.float32 if exact else np.float64)


def pack_band(pixels: Pixels, n_diagonals: int) -> Band:
    """The first `n_diagonals` diagonals of `pixels`, near ones wide, far ones narrow, in the fewest bytes."""
    distance = pixels.bin2 - pixels.bin1
    inside = distance < n_diagonals
    row, distance, count = pixels.bin1[inside].astype(np.int64), distance[inside], pixels.count[inside]
    dtype = smallest_dtype(count)
    split = _near_diagonals(distance, count, dtype, pixels.n_bins, n_diagonals)
    near = np.zeros((pixels.n_bins, split), dtype)
    far = np.zeros((pixels.n_bins, n_diagonals - split), np.uint8)
    is_near = distance < split
    near[row[is_near], distance[is_near]] = count[is_near]
    row, distance, count = row[~is_near], distance[~is_near], count[~is_near]
    if split < n_diagonals:
        far[row, distance - split] = np.minimum(count, FAR_LOOKUP)
    over = np.flatnonzero(count >= FAR_LOOKUP)
    return Band(near, far, row[over] * n_diagonals + distance[over], count[over].astype(dtype))


def _near_diagonals(
    distance: np.ndarray, count: np.ndarray, dtype: np.dtype, n_bins: int, n_diagonals: int
) -> int:
    """How many diagonals to keep wide so that band and overflow list take the fewest bytes."""
    if dtype.kind == "f":
        return n_diagonals
    large = np.bincount(distance[count >= FAR_LOOKUP], minlength=n_diagonals)
    overflowing = np.append(np.cumsum(large[::-1])[::-1], 0)
    widened = np.arange(n_diagonals + 1) * n_bins * (dtype.itemsize - 1)
    return int(np.argmin(widened + overflowing * (8 + dtype.itemsize)))


def pack_every_distance(pixels: Pixels) -> Sparse | Triangle:
    """All of `pixels`, in sparse rows or as a full triangle, whichever takes fewer bytes."""
    dtype = smallest_dtype(pixels.count)
    column_dtype = np.min_scalar_type(max(pixels.n_bins - 1, 0))
    sparse_bytes = len(pixels) * (dtype.itemsize + column_dtype.itemsize) + 8 * (pixels.n_bins + 1)
    n_pixels = pixels.n_bins * (pixels.n_bins + 1) // 2
    if n_pixels * dtype.itemsize < sparse_bytes:
        counts = np.zeros(n_pixels, dtype)
        row = pixels.bin1.astype(np.int64)
        counts[row * pixels.n_bins - row * (row - 1) // 2 + (pixels.bin2 - row)] = pixels.count
        return Triangle(counts)
    starts = np.searchsorted(pixels.bin1, np.arange(pixels.n_bins + 1)).astype(np.int64)
    return Sparse(starts, pixels.bin2.astype(column_dtype), pixels.count.astype(dtype))
