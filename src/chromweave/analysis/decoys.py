"""Maps without loops, to count how many calls chance alone makes.

Two nulls. Permuted pixels (RefHiC, Zhang & Blanchette 2022; MIX-HIC's appendix A.2) keep nothing but the
values at each distance: domains and compartments are scattered into noise, so that a deep map's decoys are
rougher than the map. Permuted residuals keep what surrounds each pixel, and scatter only how far each pixel
lies from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from ..errors import ConfigError
from ..evaluation.expected import PixelTable
from ..io.pixels import Pixels
from .enrichment import EnrichmentConfig, background_ratio
from .tiles import Tile, tiles

__all__ = ["RAREST", "DecoyKind", "decoy_pixels", "permuted_pixels", "permuted_residuals"]

DecoyKind = Literal["residuals", "pixels"]

RAREST = 1e-3
"""Chance below which a pixel's brightness is taken for a loop's, and not for noise to be kept."""

_LEAST_TAIL = 1e-300


def decoy_pixels(
    kind: DecoyKind,
    pixels: PixelTable,
    expected: np.ndarray,
    generator: np.random.Generator,
    *,
    weight: np.ndarray | None,
    valid: np.ndarray,
    config: EnrichmentConfig,
) -> Pixels:
    """A chromosome's map without loops, of either kind.

    Raises
    ------
    ConfigError
        There is no such kind.
    """
    if kind == "pixels":
        return permuted_pixels(pixels, valid, len(expected), generator)
    if kind == "residuals":
        return permuted_residuals(pixels, expected, generator, weight=weight, valid=valid, config=config)
    raise ConfigError(f"decoys are 'residuals' or 'pixels', not {kind!r}.")


def permuted_pixels(
    pixels: PixelTable, valid: np.ndarray, n_diagonals: int, generator: np.random.Generator
) -> Pixels:
    """Put the values of each distance, zeros included, on positions of that distance drawn at random.

    Parameters
    ----------
    pixels
        Upper triangle, raw counts.
    valid
        Usable bins, bool (n_bins,); pixels of others are left out, and no value is put there.
    n_diagonals
        Distances 0 to ``n_diagonals - 1`` bins are permuted, others left out.
    generator
        Source of chance.

    Returns
    -------
    Pixels
        At each distance the same values as the map has between usable bins.
    """
    bin1, bin2 = (np.asarray(bins, np.int64) for bins in (pixels.bin1, pixels.bin2))
    count, distance = np.asarray(pixels.count), bin2 - bin1
    usable = valid[bin1] & valid[bin2] & (distance < n_diagonals) & (count > 0)
    bin1, distance, count = bin1[usable], distance[usable], count[usable]
    order = np.argsort(distance, kind="stable")
    bounds = np.searchsorted(distance[order], np.arange(n_diagonals + 1))
    placed, values = [np.empty(0, np.int64)], [count[:0]]
    away = [np.empty(0, np.int64)]
    for d in range(min(n_diagonals, pixels.n_bins)):
        here = count[order[bounds[d] : bounds[d + 1]]]
        if len(here):
            free = np.flatnonzero(valid[: pixels.n_bins - d] & valid[d:])
            placed.append(generator.choice(free, len(here), replace=False))
            values.append(here)
            away.append(np.full(len(here), d))
    return _sorted(np.concatenate(placed), np.concatenate(away), np.concatenate(values), pixels)


def permuted_residuals(
    pixels: PixelTable,
    expected: np.ndarray,
    generator: np.random.Generator,
    *,
    weight: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    config: EnrichmentConfig | None = None,
) -> Pixels:
    """Give every pixel the surprise of another one at its distance, and the count that means at its place.

    With m what a pixel's surroundings tell (:func:`~chromweave.analysis.enrichment.background_ratio` with a
    hole of 3 x 3, so that domains, their corners and broad stripes are part of it), a count c has the
    surprise u, drawn uniformly from P(X < c) to P(X <= c). X is negative binomial of variance
    m + dispersion m^2, the noise that the score allows for: beside Poisson's, many pixels of a deep map are
    beyond belief. Surprises change places within each distance and tile of rows
    (:data:`~chromweave.analysis.tiles.ROWS`); a pixel that receives u gets the count that has it there. A
    peak is several surprises side by side: it is scattered. Bright pixels beyond belief (less likely than
    :data:`RAREST`) are mostly of loops, and one would be a loop again wherever it is put, above all where a
    peak is no wider than a bin: their surprise is drawn anew, uniformly below that chance.

    Parameters
    ----------
    pixels, expected, weight, valid
        As for :func:`~chromweave.analysis.enrichment.peak_enrichment`.
    generator
        Source of chance.
    config
        How far the surroundings reach, their pseudocount, and the dispersion.

    Returns
    -------
    Pixels
        Counts at the distances of which something is expected, between usable bins; int64.
    """
    config = config or EnrichmentConfig.of_resolution(pixels.resolution)
    around = replace(config, peak_radius=1)
    found = [
        _scattered(tile, len(expected), around, generator)
        for tile in tiles(pixels, expected, margin=config.background_radius, weight=weight, valid=valid)
    ]
    rows, away, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _sorted(rows, away, values, pixels)


def _scattered(
    tile: Tile, width: int, config: EnrichmentConfig, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row bin, distance and count of a tile's pixels after their surprises have changed places."""
    row = np.arange(tile.first, tile.last)[:, None] - tile.corner
    column = row + np.arange(width)
    mean = (background_ratio(tile, config) * tile.expected)[row, column]
    known = tile.expected[row, column] > 0
    surprise = _surprises(tile.count[row, column], mean, config.dispersion, generator)
    bright = (surprise < 0) & (surprise > -RAREST)  # upper tails carry a minus
    surprise[bright] = -RAREST * (1 - generator.random(np.count_nonzero(bright)))
    # In each column (a distance) the k-th known place receives the surprise of the k-th place drawn.
    drawn = np.argsort(np.where(known, generator.random(mean.shape), np.inf), axis=0)
    places = np.argsort(~known, axis=0, kind="stable")
    received = np.empty_like(surprise)
    np.put_along_axis(received, places, np.take_along_axis(surprise, drawn, axis=0), axis=0)
    count = np.where(known, _counts_of(received, mean, config.dispersion), 0)
    i, d = np.nonzero(count)
    return i + tile.first, d, count[i, d]


def _surprises(
    count: np.ndarray, mean: np.ndarray, dispersion: float, generator: np.random.Generator
) -> np.ndarray:
    """Probability of what lies further out than each count, and of a random share of the count itself.

    Of the two tails it is the one on the count's side of the mean, the upper one with a minus: both are exact
    however small.
    """
    from scipy.stats import nbinom

    size, p = 1 / dispersion, 1 / (1 + dispersion * mean)
    above = count > mean
    tail = np.empty_like(mean)
    tail[~above] = nbinom.cdf(count[~above], size, p[~above])
    tail[above] = nbinom.sf(count[above] - 1, size, p[above])
    tail -= generator.random(mean.shape) * nbinom.pmf(np.floor(count), size, p)
    return np.copysign(np.maximum(tail, _LEAST_TAIL), np.where(above, -1.0, 1.0))


def _counts_of(surprise: np.ndarray, mean: np.ndarray, dispersion: float) -> np.ndarray:
    """The counts that have these surprises at these means, int64."""
    from scipy.stats import nbinom

    size, p = 1 / dispersion, 1 / (1 + dispersion * mean)
    log_none = size * np.log(p)
    some = np.where(surprise > 0, surprise > np.exp(log_none), -surprise < -np.expm1(log_none))
    low, high = some & (surprise > 0), some & (surprise < 0)
    count = np.zeros(mean.shape, np.int64)
    count[low] = nbinom.ppf(surprise[low], size, p[low])
    count[high] = nbinom.isf(-surprise[high], size, p[high])
    return count


def _sorted(row: np.ndarray, distance: np.ndarray, count: np.ndarray, like: PixelTable) -> Pixels:
    order = np.lexsort((distance, row))
    row, distance = row[order], distance[order]
    return Pixels(
        row.astype(np.int32), (row + distance).astype(np.int32), count[order], like.n_bins, like.resolution
    )
