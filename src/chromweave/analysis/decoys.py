"""Maps without loops, to count how many calls chance alone makes.

Two nulls. Permuted pixels (RefHiC, Zhang & Blanchette 2022; MIX-HIC's appendix A.2) keep nothing but the
values at each distance: domains and compartments are scattered into noise, so that a deep map's decoys are
rougher than the map. Permuted residuals keep what surrounds each pixel, and scatter only how far each pixel
lies from it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import ConfigError
from ..evaluation.expected import PixelTable
from ..io.pixels import Pixels
from .enrichment import EnrichmentConfig, background_ratio
from .tiles import Tile, tiles

__all__ = ["DecoyKind", "decoy_pixels", "permuted_pixels", "permuted_residuals"]

DecoyKind = Literal["residuals", "pixels"]

_LEAST_TAIL = 1e-15


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
    hole of 3 x 3, so that domains, stripes and their corners are part of it), a count c has the surprise u,
    drawn uniformly from P(X > c) to P(X >= c), X ~ Poisson(m). Surprises change places within each distance
    and stretch of 512 rows; a pixel that receives u gets the count that has it there. A peak is several
    surprises side by side: it is scattered, while no surprise is lost.

    Parameters
    ----------
    pixels, expected, weight, valid
        As for :func:`~chromweave.analysis.enrichment.peak_enrichment`.
    generator
        Source of chance.
    config
        How far the surroundings reach, and their pseudocount.

    Returns
    -------
    Pixels
        Counts at the distances of which something is expected, between usable bins; int64.
    """
    config = config or EnrichmentConfig.of_resolution(pixels.resolution)
    around = EnrichmentConfig(
        config.peak_width, 1, config.background_radius, config.dispersion, config.pseudocount
    )
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
    from scipy.stats import poisson

    row = np.arange(tile.first, tile.last)[:, None] - tile.corner
    column = row + np.arange(width)
    mean = (background_ratio(tile, config) * tile.expected)[row, column]
    count = tile.count[row, column]
    known = tile.expected[row, column] > 0
    above = np.where(count > 0, poisson.sf(count, mean), -np.expm1(-mean))
    at = np.where(count > 0, poisson.pmf(count, mean), np.exp(-mean))
    surprise = np.maximum(above + generator.random(mean.shape) * at, _LEAST_TAIL)
    # In each column (a distance) the k-th known place receives the surprise of the k-th place drawn.
    drawn = np.argsort(np.where(known, generator.random(mean.shape), np.inf), axis=0)
    places = np.argsort(~known, axis=0, kind="stable")
    received = np.empty_like(surprise)
    np.put_along_axis(received, places, np.take_along_axis(surprise, drawn, axis=0), axis=0)
    some = known & (received < -np.expm1(-mean))  # P(X > 0): elsewhere the count is 0
    i, d = np.nonzero(some)
    counts = poisson.ppf(1 - received[some], mean[some]).astype(np.int64)
    return i + tile.first, d, np.maximum(counts, 1)


def _sorted(row: np.ndarray, distance: np.ndarray, count: np.ndarray, like: PixelTable) -> Pixels:
    order = np.lexsort((distance, row))
    row, distance = row[order], distance[order]
    return Pixels(
        row.astype(np.int32), (row + distance).astype(np.int32), count[order], like.n_bins, like.resolution
    )
