"""Contact maps in memory with the interface of a store's layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MapPixels:
    bin1: np.ndarray
    bin2: np.ndarray
    count: np.ndarray
    n_bins: int
    resolution: int


@dataclass(frozen=True)
class MapInMemory:
    """A layer made of a dense symmetric matrix of counts and one balancing vector called "weight"."""

    matrix: np.ndarray
    resolution: int = 5000
    weights: np.ndarray | None = None
    n_diagonals: int | None = None

    @property
    def n_bins(self):
        return len(self.matrix)

    def pixels(self, max_distance=None):
        return pixels_of(self.matrix, self.resolution, max_distance)

    def weight(self, name):
        assert name == "weight"
        return self.weights

    def valid(self, name=None):
        if self.weights is None:
            return self.matrix.sum(axis=0) > 0
        return np.isfinite(self.weights)


def pixels_of(matrix, resolution=5000, max_distance=None):
    """Upper triangle of a dense matrix."""
    upper = np.triu(matrix)
    if max_distance is not None:
        i, j = np.indices(matrix.shape)
        upper = np.where((j - i) * resolution < max_distance, upper, 0)
    bin1, bin2 = np.nonzero(upper)
    return MapPixels(bin1.astype(np.int32), bin2.astype(np.int32), upper[bin1, bin2], len(matrix), resolution)


def symmetric(upper):
    """Mirror the upper triangle of a matrix."""
    upper = np.triu(upper)
    return upper + np.triu(upper, 1).T


def power_law_map(n_bins, depth, generator, loops=(), strength=6.0):
    """Poisson counts that fall as 1 / distance, with Gaussian peaks of `strength` at `loops`."""
    i, j = np.indices((n_bins, n_bins))
    rate = depth / (1.0 + np.abs(j - i))
    gain = np.ones_like(rate)
    for x, y in loops:
        gain += (strength - 1) * np.exp(-((i - x) ** 2 + (j - y) ** 2) / 2)
    return symmetric(generator.poisson(rate * gain))
