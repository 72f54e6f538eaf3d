"""A map some rows at a time, laid out densely, and sums around each of its entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..evaluation.expected import PixelTable, bin_weights

__all__ = ["ROWS", "Tile", "box_sums", "smoothed", "tiles"]

ROWS = 512
"""Rows of a map that are laid out at a time."""


@dataclass(frozen=True)
class Tile:
    """Counts and expectation of a stretch of rows, with a margin on each side.

    Parameters
    ----------
    count
        Raw contacts, float64 (rows, columns); 0 where nothing is known.
    expected
        What distance and visibility explain, on the scale of raw contacts, float64 (rows, columns); 0 where
        nothing is known: at masked bins, below the diagonal, beyond the chromosome, and at distances without
        expectation.
    corner
        Bin of the first row and of the first column alike; it may be negative.
    first, last
        The rows that are the tile's own, without the margin: bins, `last` excluded.
    """

    count: np.ndarray
    expected: np.ndarray
    corner: int
    first: int
    last: int


def tiles(
    pixels: PixelTable,
    by_distance: np.ndarray,
    *,
    margin: int,
    weight: np.ndarray | None = None,
    valid: np.ndarray | None = None,
) -> Iterator[Tile]:
    """A chromosome's map, :data:`ROWS` rows at a time.

    Parameters
    ----------
    pixels
        Upper triangle, raw counts.
    by_distance
        Mean balanced value at each distance, float (distances,); NaN or 0 where none is known. Its length is
        how far a tile's rows reach.
    margin
        Bins on each side of a tile's rows and columns.
    weight
        Multiplicative balancing vector, float (n_bins,), NaN at masked bins; raw counts without it.
    valid
        Usable bins, bool (n_bins,).
    """
    vector = bin_weights(pixels.n_bins, weight, valid)
    visibility = np.divide(1.0, vector, out=np.zeros(len(vector)), where=vector > 0)
    rate = np.where(np.isfinite(by_distance), by_distance, 0.0)
    starts = np.searchsorted(pixels.bin1, np.arange(pixels.n_bins + 1))
    for first in range(0, pixels.n_bins, ROWS):
        yield _cut(pixels, starts, visibility, rate, first, min(first + ROWS, pixels.n_bins), margin)


def _cut(
    pixels: PixelTable,
    starts: np.ndarray,
    visibility: np.ndarray,
    rate: np.ndarray,
    first: int,
    last: int,
    margin: int,
) -> Tile:
    corner, n_bins = first - margin, pixels.n_bins
    rows = last - first + 2 * margin
    columns = rows + len(rate)
    count, expected = np.zeros((rows, columns)), np.zeros((rows, columns))
    row = np.arange(max(corner, 0), min(corner + rows, n_bins))
    column = np.arange(max(corner, 0), min(corner + columns, n_bins))
    distance = column - row[:, None]
    known = (distance >= 0) & (distance < len(rate))
    law = np.where(known, rate[np.where(known, distance, 0)], 0.0) if len(rate) else np.zeros(known.shape)
    expected[row[:, None] - corner, column - corner] = law * visibility[row][:, None] * visibility[column]
    part = slice(starts[row[0]], starts[row[-1] + 1])
    i = np.asarray(pixels.bin1[part], np.int64) - corner
    j = np.asarray(pixels.bin2[part], np.int64) - corner
    inside = j < columns
    count[i[inside], j[inside]] = np.asarray(pixels.count[part])[inside]
    count[expected == 0] = 0.0
    return Tile(count, expected, corner, first, last)


def smoothed(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum around each entry weighted by `kernel` along rows and along columns; 0 beyond the ends.

    Parameters
    ----------
    values
        float (rows, columns).
    kernel
        float (2 k + 1,), symmetric.
    """
    from scipy.ndimage import correlate1d

    along = correlate1d(values, kernel, axis=0, mode="constant")
    return np.asarray(correlate1d(along, kernel, axis=1, mode="constant"))


def box_sums(values: np.ndarray, *boxes: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Sums of rectangles around each entry, float (rows, columns) each; nothing lies beyond the ends.

    Parameters
    ----------
    values
        float (rows, columns).
    *boxes
        (up, down, left, right): from `up` rows above each entry to `down` below, `left` before to `right`
        after. A negative side begins beyond the entry: (-1, 3, 0, 0) has the three below it.
    """
    reach = 1 + max(abs(side) for box in boxes for side in box)
    summed = np.cumsum(np.cumsum(np.pad(values, reach), axis=0), axis=1)
    rows, columns = values.shape

    def until(row: int, column: int) -> np.ndarray:
        return summed[reach + row : reach + row + rows, reach + column : reach + column + columns]

    return [
        until(down, right) - until(-up - 1, right) - until(down, -left - 1) + until(-up - 1, -left - 1)
        for up, down, left, right in boxes
    ]
