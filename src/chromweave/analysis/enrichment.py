"""Is a pixel brighter than what lies around it? A matched filter against local backgrounds.

HiCCUPS' question (Rao et al. 2014, Cell 159, 1665: donut and lower-left backgrounds, scaled by what distance
and visibility explain), asked of all pixels of a peak at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..evaluation.expected import PixelTable
from .tiles import Tile, box_sums, smoothed, tiles

__all__ = ["Enrichment", "EnrichmentConfig", "background_ratio", "peak_enrichment"]


@dataclass(frozen=True)
class EnrichmentConfig:
    """Shape of a peak and of what surrounds it, in bins; :meth:`of_resolution` has fitting ones.

    Parameters
    ----------
    peak_width
        Standard deviation of the Gaussian that weighs a peak's pixels.
    peak_radius
        Half side of the square that a peak fills; backgrounds begin beyond it.
    background_radius
        Half side of the square within which the backgrounds lie.
    dispersion
        Variance of a pixel beyond Poisson's, as a share of its squared mean: how much maps vary from pixel
        to pixel however deep they are.
    pseudocount
        Contacts, and expected contacts, added to each background: a nearly empty one says little.
    """

    peak_width: float = 1.2
    peak_radius: int = 4
    background_radius: int = 8
    dispersion: float = 0.05
    pseudocount: float = 1.0

    def __post_init__(self) -> None:
        if not (self.peak_width > 0 and 1 <= self.peak_radius < self.background_radius):
            raise ConfigError(
                "a peak needs peak_width > 0 and 1 <= peak_radius < background_radius, not "
                f"{self.peak_width}, {self.peak_radius} and {self.background_radius}."
            )
        if not (self.dispersion > 0 and self.pseudocount > 0):
            raise ConfigError(
                f"backgrounds need dispersion > 0 and pseudocount > 0, not {self.dispersion} and "
                f"{self.pseudocount}."
            )

    @classmethod
    def of_resolution(cls, resolution: int) -> EnrichmentConfig:
        """What fits bins of `resolution` bp, seen on maps of 5, 10 and 25 kb (``benchmarks/loop_callers``).

        A peak covers some 30 kb, but never less than a pixel or two; a wider bin varies less from its
        neighbours, since it averages over more.
        """
        if resolution <= 7_500:
            return cls(1.2, 4, 8, dispersion=0.05)
        return cls(0.8, 2, 6, dispersion=0.02) if resolution <= 15_000 else cls(0.6, 1, 5, dispersion=0.005)


@dataclass(frozen=True)
class Enrichment:
    """What n pixels are, held against what lies around them.

    Parameters
    ----------
    score
        Excess over the background, float64 (n,); NaN at masked bins, and at distances of which nothing is
        expected. About standard normal where there is none: the larger of two backgrounds is a bit too large
        by chance, which puts the mean at -0.2 and the standard deviation at 1.1.
    background
        Contacts that the surroundings tell, on the scale of raw contacts, float64 (n,); NaN as the score is.
    """

    score: np.ndarray
    background: np.ndarray


def peak_enrichment(
    pixels: PixelTable,
    x_bins: np.ndarray,
    y_bins: np.ndarray,
    expected: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    config: EnrichmentConfig | None = None,
) -> Enrichment:
    """Score pixels against the brighter of two backgrounds: the donut, and its lower-left quarter.

    With c the counts, e = E_d / (w_i w_j) what distance and visibility explain, r the larger of
    (sum c + a) / (sum e + a) over the two backgrounds, and K the Gaussian of a peak, C = sum K c is compared
    with M = r sum K e. Scaled by M / (r sum K^2 e), both are on the scale of one count, whose variance is
    m + f m^2 with f = dispersion sum K^2 e^2 / (sum K e)^2; the score is the difference of
    2 asinh(sqrt(f (m + 3/8))) / sqrt(f), which makes that variance one (Anscombe 1948, Biometrika 35, 246).
    The lower-left quarter lies between the peak and the diagonal: corners of domains are bright there, and
    loops stand out from it. The pixel's own row and column are no part of the donut, so that a loop is not
    held against the stripes that lead to it; but then a stripe as broad as a peak scores nearly as high
    (HiCCUPS' horizontal and vertical backgrounds, which would tell, are narrow and noisy).

    Parameters
    ----------
    pixels
        Upper triangle, raw counts, as far out as `expected` and the backgrounds reach.
    x_bins, y_bins
        Pixels to score, integer (n,), x <= y.
    expected
        Mean balanced value at each distance, float (distances,); NaN or 0 where none is known. Entries at
        such distances, and further out, take no part: backgrounds are whole where it reaches
        ``2 * background_radius`` bins further than the pixels to score.
    weight
        Multiplicative balancing vector, float (n_bins,), NaN at masked bins; raw counts without it.
    valid
        Usable bins, bool (n_bins,).
    config
        Shapes and noise; by the map's resolution if not given.
    """
    config = config or EnrichmentConfig.of_resolution(pixels.resolution)
    x, y = np.asarray(x_bins, np.int64), np.asarray(y_bins, np.int64)
    score, background = np.full(len(x), np.nan), np.full(len(x), np.nan)
    within = (x <= y) & (y - x < len(expected))
    for tile in tiles(pixels, expected, margin=config.background_radius, weight=weight, valid=valid):
        own = np.flatnonzero(within & (tile.first <= x) & (x < tile.last))
        if len(own):
            score[own], background[own] = _scored(tile, x[own], y[own], config)
    return Enrichment(score, background)


def background_ratio(tile: Tile, config: EnrichmentConfig) -> np.ndarray:
    """Contacts over expected ones around each entry, (rows, columns): the larger of donut and lower-left."""
    ratios = [
        (count + config.pseudocount) / (expected + config.pseudocount)
        for count, expected in zip(
            _background_sums(tile.count, config), _background_sums(tile.expected, config), strict=True
        )
    ]
    return np.maximum(*ratios)


def _background_sums(values: np.ndarray, config: EnrichmentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the donut and over its lower-left quarter."""
    whole, hole = (_quarters(values, r) for r in (config.background_radius, config.peak_radius))
    # Differences of running sums are exact to rounding only, which must not fall below nothing.
    return np.maximum(whole[0] - hole[0], 0.0), np.maximum(whole[1] - hole[1], 0.0)


def _quarters(values: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of what lies within r bins off an entry's own row and column, short of itself; and lower left."""
    square, column, row, quarter = box_sums(values, (r, r, r, r), (r, r, 0, 0), (0, 0, r, r), (-1, r, r, -1))
    return square - column - row, quarter


def _scored(
    tile: Tile, x: np.ndarray, y: np.ndarray, config: EnrichmentConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Score and background of pixels of a tile."""
    i, j = x - tile.corner, y - tile.corner
    offsets = np.arange(-config.peak_radius, config.peak_radius + 1)
    kernel = np.exp(-0.5 * (offsets / config.peak_width) ** 2)
    ratio = background_ratio(tile, config)[i, j]
    count, mean = smoothed(tile.count, kernel)[i, j], smoothed(tile.expected, kernel)[i, j]
    poisson = smoothed(tile.expected, kernel**2)[i, j]
    squares = smoothed(tile.expected**2, kernel**2)[i, j]
    known = tile.expected[i, j] > 0
    mean, poisson, squares = (np.where(known, value, 1.0) for value in (mean, poisson, squares))
    unit, spread = mean / poisson, config.dispersion * squares / mean**2
    score = _stabilised(count * unit, spread) - _stabilised(ratio * mean * unit, spread)
    return np.where(known, score, np.nan), np.where(known, ratio * tile.expected[i, j], np.nan)


def _stabilised(count: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """A count of variance m + f m^2, made one of variance about 1."""
    return np.asarray(2 / np.sqrt(spread) * np.arcsinh(np.sqrt(spread * (count + 0.375))))
