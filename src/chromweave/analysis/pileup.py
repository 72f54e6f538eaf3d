"""Aggregate peak analysis: the mean observed/expected square around loops, with a shifted control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..evaluation.expected import MapLayer, PixelTable, expected_by_distance
from ..evaluation.patches import patches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Pileup", "PileupConfig", "combine_pileups", "pileup"]

_CHUNK = 4096  # squares cut at a time


@dataclass(frozen=True)
class PileupConfig:
    """What a pile-up is made of.

    Parameters
    ----------
    flank_bins
        Bins on each side of a loop's centre pixel.
    ignore_diagonals
        Nearest distances, in bins, kept out of every square: loops nearer than
        ``2 * flank_bins + ignore_diagonals`` are left out (coolpup.py's automatic `mindist`).
    shifts
        Shifted copies of each loop in the control; 0 for no control.
    min_shift, max_shift
        Both anchors of a control move together by a distance drawn from this range, bp, to either side.
    """

    flank_bins: int = 10
    ignore_diagonals: int = 2
    shifts: int = 10
    min_shift: int = 100_000
    max_shift: int = 1_000_000

    def __post_init__(self) -> None:
        if self.flank_bins < 3:
            raise ConfigError(f"flank_bins must be 3 or more, not {self.flank_bins}: a square needs corners.")
        if self.shifts < 0 or not 0 < self.min_shift <= self.max_shift:
            raise ConfigError("a pile-up needs shifts >= 0 and 0 < min_shift <= max_shift.")


@dataclass(frozen=True)
class Pileup:
    """Sums over squares, so that chromosomes can be added before a mean is taken.

    Parameters
    ----------
    total, observed
        Sum of O/E and number of squares with a value, at each place of the square, float64 and int64 (s, s);
        rows are the first anchor's bins, columns the second's.
    control_total, control_observed
        The same around shifted loops.
    n
        Squares summed.
    n_near, n_outside
        Loops left out: too near the diagonal, or with a square beyond the chromosome or the map's band.
    resolution
        Bin size, bp.
    """

    total: np.ndarray
    observed: np.ndarray
    control_total: np.ndarray
    control_observed: np.ndarray
    n: int
    n_near: int
    n_outside: int
    resolution: int

    @property
    def mean(self) -> np.ndarray:
        """Mean O/E square, float64 (s, s); NaN where no square has a value."""
        return _mean(self.total, self.observed)

    @property
    def control_mean(self) -> np.ndarray:
        """Mean O/E square around shifted loops."""
        return _mean(self.control_total, self.control_observed)

    @property
    def enrichment(self) -> float:
        """Mean O/E of the central 3x3 pixels: coolpup.py's score (Flyamer et al. 2020)."""
        return _central(self.mean)

    @property
    def control_enrichment(self) -> float:
        """The same around shifted loops; about 1 on a map without a fault."""
        return _central(self.control_mean)

    @property
    def peak_to_corners(self) -> float:
        """Central 3x3 mean over the mean of the four 3x3 corners."""
        mean = self.mean
        corners = (mean[:3, :3], mean[:3, -3:], mean[-3:, :3], mean[-3:, -3:])
        return float(_central(mean) / _finite_mean(np.concatenate([c.ravel() for c in corners])))

    @property
    def peak_to_lower_left(self) -> float:
        """Juicer's P2LL: centre pixel over the mean of the corner nearest the diagonal (Rao et al. 2014).

        The corner has 6 bins a side for a flank of 10, and in proportion for others.
        """
        mean, middle = self.mean, len(self.total) // 2
        side = max(1, 6 * middle // 10)
        return float(mean[middle, middle] / _finite_mean(mean[-side:, :side]))


def _mean(total: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return np.divide(total, observed, out=np.full(total.shape, np.nan), where=observed > 0)


def _finite_mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _central(mean: np.ndarray) -> float:
    middle = len(mean) // 2
    return _finite_mean(mean[middle - 1 : middle + 2, middle - 1 : middle + 2])


def pileup(
    layer: MapLayer,
    loops: pd.DataFrame,
    *,
    weight: str | None,
    seed: int = 0,
    config: PileupConfig | None = None,
) -> Pileup:
    """Sum the observed/expected squares around one chromosome's loops.

    Expected is the mean of the balanced values at each distance (coolpup.py's and cooltools' convention);
    masked pixels take no part.

    Parameters
    ----------
    layer
        The chromosome's map.
    loops
        Columns start1, end1, start2, end2 (bp) of loops on that chromosome.
    weight
        Name of the balancing vector; None for raw counts.
    seed
        Of the control's shifts.
    config
        Size of the square, and the control.
    """
    config = config or PileupConfig()
    centres = _centre_bins(loops, layer.resolution)
    near = (centres[:, 1] - centres[:, 0]) < 2 * config.flank_bins + config.ignore_diagonals
    inside = ~near & _fits(centres, layer, config.flank_bins)
    used = centres[inside]
    widest = int((used[:, 1] - used[:, 0]).max(initial=0)) + 2 * config.flank_bins
    pixels = layer.pixels((widest + 1) * layer.resolution)
    vector = None if weight is None else layer.weight(weight)
    expected = expected_by_distance(pixels, widest + 1, weight=vector, valid=layer.valid(weight))
    square = (2 * config.flank_bins + 1,) * 2
    total, observed = _sum_squares(pixels, _chunks(used), vector, expected, square)
    shifted = _shifted(used, layer, config, np.random.default_rng(seed))
    control_total, control_observed = _sum_squares(pixels, _chunks(shifted), vector, expected, square)
    return Pileup(
        total,
        observed,
        control_total,
        control_observed,
        n=len(used),
        n_near=int(near.sum()),
        n_outside=int((~near & ~inside).sum()),
        resolution=layer.resolution,
    )


def combine_pileups(parts: list[Pileup]) -> Pileup:
    """Add the pile-ups of several chromosomes.

    Raises
    ------
    ConfigError
        There is none, or they differ in resolution or size.
    """
    kinds = {(part.resolution, part.total.shape) for part in parts}
    if len(kinds) != 1:
        raise ConfigError(
            f"pile-ups of one resolution and size can be added, not {sorted(kinds) or 'none at all'}."
        )
    first = parts[0]
    return Pileup(
        sum((part.total for part in parts), np.zeros_like(first.total)),
        sum((part.observed for part in parts), np.zeros_like(first.observed)),
        sum((part.control_total for part in parts), np.zeros_like(first.total)),
        sum((part.control_observed for part in parts), np.zeros_like(first.observed)),
        n=sum(part.n for part in parts),
        n_near=sum(part.n_near for part in parts),
        n_outside=sum(part.n_outside for part in parts),
        resolution=first.resolution,
    )


def _centre_bins(loops: pd.DataFrame, resolution: int) -> np.ndarray:
    """Bins of the anchors' midpoints, int64 (n, 2), first anchor first."""
    midpoints = [
        ((loops[f"start{k}"] + loops[f"end{k}"]) // 2 // resolution).to_numpy(dtype=np.int64) for k in (1, 2)
    ]
    return np.sort(np.stack(midpoints, axis=1), axis=1)


def _fits(centres: np.ndarray, layer: MapLayer, flank: int) -> np.ndarray:
    """Whether the whole square around each centre is on the chromosome and in the band."""
    fits = (centres[:, 0] >= flank) & (centres[:, 1] + flank < layer.n_bins)
    if layer.n_diagonals is not None:
        fits &= centres[:, 1] - centres[:, 0] + 2 * flank < layer.n_diagonals
    return fits


def _shifted(
    centres: np.ndarray, layer: MapLayer, config: PileupConfig, generator: np.random.Generator
) -> np.ndarray:
    """Copies of the centres moved along the diagonal; those that leave the chromosome are dropped."""
    low = max(1, config.min_shift // layer.resolution)
    high = max(low, config.max_shift // layer.resolution)
    copies = np.repeat(centres, config.shifts, axis=0)
    shift = generator.integers(low, high, len(copies), endpoint=True)
    copies = copies + (shift * generator.choice(np.array([-1, 1]), len(copies)))[:, None]
    return copies[_fits(copies, layer, config.flank_bins)]


def _chunks(centres: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(centres), _CHUNK):
        yield centres[start : start + _CHUNK]


def _sum_squares(
    pixels: PixelTable,
    chunks: Iterator[np.ndarray],
    weight: np.ndarray | None,
    expected: np.ndarray,
    square: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of O/E, and number of values summed, at each place of the square."""
    total, observed = np.zeros(square), np.zeros(square, dtype=np.int64)
    for centres in chunks:
        cut = patches(pixels, centres[:, 0], centres[:, 1], square[0] // 2, weight=weight, expected=expected)
        known = np.isfinite(cut)
        total += np.where(known, cut, 0.0).sum(axis=0)
        observed += known.sum(axis=0)
    return total, observed
