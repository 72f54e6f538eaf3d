"""Density-peak clustering of scored pixels (Rodriguez & Laio 2014, as RefHiC pools its loops)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from ..errors import ConfigError

__all__ = ["ClusterConfig", "Clusters", "density_clusters"]


@dataclass(frozen=True)
class ClusterConfig:
    """How scored pixels become loops. Distances are Chebyshev distances in bins of the map.

    Parameters
    ----------
    threshold
        Only pixels scored above this take part.
    min_distance_bins
        Only pixels further from the diagonal than this take part; -1 lets all.
    neighbour_radius, min_neighbours
        A pixel needs more than `min_neighbours` pixels, itself included, within `neighbour_radius`.
        5 suits a network's smooth probabilities on a deep map; 0 drops none.
    kernel_radius
        d_c of the density kernel (25 kb at 5 kb in RefHiC).
    separation
        A centre lies further than this from every denser pixel.
    min_density
        A centre is denser than this (where a false discovery rate has put the cut).
    representative
        Which pixel stands for its cluster: the centre (MIX-HIC) or the best scored one (RefHiC).
    """

    threshold: float = 0.5
    min_distance_bins: int = 11
    neighbour_radius: int = 2
    min_neighbours: int = 5
    kernel_radius: int = 5
    separation: int = 5
    min_density: float = 0.0
    representative: Literal["highest-density", "highest-score"] = "highest-density"

    def __post_init__(self) -> None:
        if self.neighbour_radius < 0 or self.kernel_radius < 1 or self.separation < 0:
            raise ConfigError(
                "clustering needs neighbour_radius >= 0, kernel_radius >= 1 and separation >= 0, not "
                f"{self.neighbour_radius}, {self.kernel_radius} and {self.separation}."
            )
        if self.representative not in ("highest-density", "highest-score"):
            raise ConfigError(
                f"representative is {self.representative!r}; it must be 'highest-density' or 'highest-score'."
            )


@dataclass(frozen=True)
class Clusters:
    """What clustering says of n pixels and k clusters.

    Parameters
    ----------
    label
        Cluster of each pixel, int64 (n,), 0 to k - 1; -1 for those left out or belonging to none.
    density
        rho, the score-weighted density around each pixel, float64 (n,); NaN for those left out.
    separation
        delta, distance in bins to the nearest denser pixel, int64 (n,); for the densest of all more than any
        distance, -1 for those left out.
    centre
        Index of each cluster's densest pixel, int64 (k,).
    representative
        Index of the pixel that stands for each cluster, int64 (k,).
    size
        Pixels in each cluster, int64 (k,).
    """

    label: np.ndarray
    density: np.ndarray
    separation: np.ndarray
    centre: np.ndarray
    representative: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.centre)


def density_clusters(
    x_bins: np.ndarray, y_bins: np.ndarray, score: np.ndarray, config: ClusterConfig
) -> Clusters:
    """Group pixels around peaks of score density.

    rho_i is the sum over pixels j within `kernel_radius` of score_j exp(-(D_ij / kernel_radius)^2), itself
    included; delta_i the distance to the nearest denser pixel. Centres have delta > `separation` and
    rho > `min_density`; each other pixel joins the cluster of its nearest denser one, if that lies within
    `separation`, and else (it then heads a group below the cut) no cluster.
    Equal densities are ranked by score, then by position, so that a plateau has one peak and the order
    of the input does not matter.

    Parameters
    ----------
    x_bins, y_bins
        Pixels, integer (n,), no pair twice.
    score
        Score of each pixel, float (n,); NaN is left out.
    config
        How to cluster.
    """
    x_bins, y_bins = np.asarray(x_bins, dtype=np.int64), np.asarray(y_bins, dtype=np.int64)
    score = np.asarray(score, dtype=np.float64)
    kept = _members(x_bins, y_bins, score, config)
    x, y = x_bins[kept], y_bins[kept]
    rows = _row_starts(x)
    density = _density(x, y, score[kept], rows, config.kernel_radius)
    rank = _ranks(density, score[kept])
    parent, delta = _nearest_denser(x, y, rank, rows, config.separation)
    is_centre = (delta > config.separation) & (density > config.min_density)
    label = _inherit(rank, parent, delta, is_centre, config.separation)
    return _describe(len(x_bins), kept, score, label, density, delta, config)


def _members(x: np.ndarray, y: np.ndarray, score: np.ndarray, config: ClusterConfig) -> np.ndarray:
    """Indices, ordered by (x, y), of the pixels that take part."""
    passing = np.flatnonzero((score > config.threshold) & (y - x > config.min_distance_bins))
    passing = passing[np.lexsort((y[passing], x[passing]))]
    xs, ys = x[passing], y[passing]
    neighbours = _neighbours(xs, ys, _row_starts(xs), config.neighbour_radius)
    return passing[neighbours > config.min_neighbours]


def _row_starts(x: np.ndarray) -> np.ndarray:
    """Where each row from the first to the last begins among sorted `x`; row r is ``[r - x[0]]``."""
    if len(x) == 0:
        return np.zeros(1, dtype=np.int64)
    return np.searchsorted(x, np.arange(x[0], x[-1] + 2))


def _ranks(density: np.ndarray, score: np.ndarray) -> np.ndarray:
    """0 for the densest pixel; ties (to rounding) go to the higher score, then to the first position."""
    order = np.lexsort((np.arange(len(density)), -score, -np.round(density, 9)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


@njit(cache=True, nogil=True)
def _row_span(k, row, x, y, rows, radius):  # type: ignore[no-untyped-def]
    """First and last + 1 index of the pixels of `row` within `radius` columns of pixel k."""
    slot = row - x[0]
    if slot < 0 or slot >= rows.size - 1:
        return 0, 0
    first, last = rows[slot], rows[slot + 1]
    start = first + np.searchsorted(y[first:last], y[k] - radius)
    stop = start + np.searchsorted(y[start:last], y[k] + radius + 1)
    return start, stop


@njit(cache=True, nogil=True)
def _neighbours(x, y, rows, radius):  # type: ignore[no-untyped-def]
    count = np.zeros(x.size, dtype=np.int64)
    for k in range(x.size):
        for row in range(x[k] - radius, x[k] + radius + 1):
            start, stop = _row_span(k, row, x, y, rows, radius)
            count[k] += stop - start
    return count


@njit(cache=True, nogil=True)
def _density(x, y, score, rows, radius):  # type: ignore[no-untyped-def]
    density = np.zeros(x.size)
    for k in range(x.size):
        for row in range(x[k] - radius, x[k] + radius + 1):
            start, stop = _row_span(k, row, x, y, rows, radius)
            for j in range(start, stop):
                distance = max(abs(row - x[k]), abs(y[j] - y[k]))
                density[k] += score[j] * np.exp(-((distance / radius) ** 2))
    return density


@njit(cache=True, nogil=True)
def _nearest_denser(x, y, rank, rows, separation):  # type: ignore[no-untyped-def]
    """Index of the nearest pixel of better rank (-1 for the first) and its distance."""
    parent = np.full(x.size, -1, dtype=np.int64)
    delta = np.full(x.size, -1, dtype=np.int64)
    if x.size == 0:
        return parent, delta
    widest = max(x.max() - x.min(), y.max() - y.min())
    for k in range(x.size):
        radius = 2
        # The square grows until it holds a denser pixel: the nearest one of a square is the nearest of all.
        while rank[k] > 0 and parent[k] < 0:
            nearest = radius + 1
            for row in range(max(x[k] - radius, x[0]), min(x[k] + radius, x[-1]) + 1):
                start, stop = _row_span(k, row, x, y, rows, radius)
                for j in range(start, stop):
                    distance = max(abs(row - x[k]), abs(y[j] - y[k]))
                    closer = distance < nearest
                    tied = distance == nearest and parent[k] >= 0 and rank[j] < rank[parent[k]]
                    if rank[j] < rank[k] and (closer or tied):
                        nearest = distance
                        parent[k] = j
            delta[k] = nearest
            radius = min(4 * radius, max(widest, 2))
        if rank[k] == 0:
            # The densest pixel is a peak however little the pixels spread.
            delta[k] = max(widest, separation) + 1
    return parent, delta


@njit(cache=True, nogil=True)
def _inherit(rank, parent, delta, is_centre, separation):  # type: ignore[no-untyped-def]
    """Cluster of each pixel, going from the densest down; -1 for none."""
    label = np.full(rank.size, -1, dtype=np.int64)
    order = np.argsort(rank)
    clusters = 0
    for k in order:
        if is_centre[k]:
            label[k] = clusters
            clusters += 1
        elif parent[k] >= 0 and delta[k] <= separation:
            label[k] = label[parent[k]]
    return label


def _describe(
    n: int,
    kept: np.ndarray,
    score: np.ndarray,
    label: np.ndarray,
    density: np.ndarray,
    delta: np.ndarray,
    config: ClusterConfig,
) -> Clusters:
    """Put the answers for kept pixels back into the order of the input."""
    labels, densities, deltas = np.full(n, -1), np.full(n, np.nan), np.full(n, -1)
    labels[kept], densities[kept], deltas[kept] = label, density, delta
    members = kept[label >= 0]
    position = np.arange(len(kept))[label >= 0]  # by (x, y): the last word in ties
    by_density = (position, -score[members], -np.round(densities[members], 9))
    by_score = (position, -np.round(densities[members], 9), -score[members])
    chosen = by_density if config.representative == "highest-density" else by_score
    return Clusters(
        label=labels,
        density=densities,
        separation=deltas,
        centre=_first_of_each(labels, members, by_density),
        representative=_first_of_each(labels, members, chosen),
        size=np.bincount(labels[members]),
    )


def _first_of_each(
    labels: np.ndarray, members: np.ndarray, keys: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """For each cluster the member that sorts first by `keys` (last key foremost, as in numpy.lexsort)."""
    order = members[np.lexsort((*keys, labels[members]))]
    _, first = np.unique(labels[order], return_index=True)
    return order[first]
