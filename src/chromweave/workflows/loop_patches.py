"""Small squares of stored maps around pixels: contacts, and contacts over what their distance explains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..data.store import RegionStore
from ..evaluation.expected import expected_by_distance
from ..evaluation.patches import patches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MapSquares", "window_enrichment", "window_squares"]


class MapSquares:
    """The map of one chromosome, read once, from which squares are cut.

    Parameters
    ----------
    store, chrom, resolution
        Which map; its default weight is taken.
    half
        Bins on each side of a square's middle.
    furthest
        Bins between the anchors of the furthest pixel to come.

    Attributes
    ----------
    expected
        Mean balanced value at each distance, never rising (Peakachu's expectation), float64 (distances,).
    """

    def __init__(self, store: RegionStore, chrom: str, resolution: int, half: int, furthest: int) -> None:
        layer, name = store.layer(chrom, resolution), store.default_weight(resolution)
        reach = min(furthest + 2 * half + 1, layer.n_bins, layer.n_diagonals or layer.n_bins)
        self.half, self.scale, self._weight = half, layer.scale(name), layer.weight(name)
        self._pixels = layer.pixels(reach * resolution)
        self.expected = expected_by_distance(
            self._pixels, reach, weight=self._weight, valid=layer.valid(name), monotone=True
        )

    def enrichment(self, x_bins: np.ndarray, y_bins: np.ndarray) -> np.ndarray:
        """Observed/expected around each pixel, float64 (n, side, side).

        NaN at masked bins, outside of the chromosome, and further out than the store reaches.
        """
        return patches(
            self._pixels, x_bins, y_bins, self.half, weight=self._weight, expected=self.expected
        )  # fmt: skip

    def contacts(self, x_bins: np.ndarray, y_bins: np.ndarray) -> np.ndarray:
        """The same of balanced contacts on the scale of counts."""
        cut = patches(
            self._pixels, x_bins, y_bins, self.half, weight=self._weight, n_diagonals=len(self.expected)
        )
        return cut * self.scale


def window_enrichment(store: RegionStore, table: pd.DataFrame, resolution: int, half: int) -> np.ndarray:
    """Observed/expected around the anchors of windows, float64 (windows, side, side), as the rows stand.

    Parameters
    ----------
    store
        Whose map.
    table
        Columns chrom, x and y (`schemas.WINDOWS`).
    resolution
        Bin size, bp.
    half
        Bins on each side.
    """
    side = 2 * half + 1
    squares = np.full((len(table), side, side), np.nan)
    for rows, x, y, here in _by_chromosome(store, table, resolution, half):
        squares[rows] = here.enrichment(x, y)
    return squares


def window_squares(store: RegionStore, table: pd.DataFrame, resolution: int, half: int) -> np.ndarray:
    """Balanced contacts on the scale of counts, and observed/expected, float64 (windows, 2, side, side).

    Parameters as for :func:`window_enrichment`; NaN where nothing is known.
    """
    side = 2 * half + 1
    squares = np.full((len(table), 2, side, side), np.nan)
    for rows, x, y, here in _by_chromosome(store, table, resolution, half):
        squares[rows, 0] = here.contacts(x, y)
        squares[rows, 1] = here.enrichment(x, y)
    return squares


def _by_chromosome(
    store: RegionStore, table: pd.DataFrame, resolution: int, half: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, MapSquares]]:
    """Of each chromosome: which rows lie on it, the bins of their anchors, and its map."""
    x, y = (table[name].to_numpy(np.int64) // resolution for name in ("x", "y"))
    chroms = table["chrom"].astype(str).to_numpy()
    for chrom in np.unique(chroms):
        rows = np.flatnonzero(chroms == chrom)
        furthest = int((y[rows] - x[rows]).max())
        yield rows, x[rows], y[rows], MapSquares(store, str(chrom), resolution, half, furthest)
