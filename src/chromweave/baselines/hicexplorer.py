"""hicDetectLoops' detector (Wolff et al. 2022), which cannot be installed on current Pythons, restated.

Nucleic Acids Research 50, e92; HiCExplorer 3.5 and later; :mod:`.descriptions` says what is kept and adapted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..evaluation.expected import PixelTable, bin_weights, expected_by_distance
from ..evaluation.patches import patches
from .loop_list import loop_list

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HicExplorerConfig", "NegativeBinomial", "call_loops", "surroundings"]

_FEWEST = 5  # values that a test needs on either side
_POISSON = 1e6  # a size from which on a negative binomial is Poisson's law
_SIZES = (1e-3, 1e4)
_NO_END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class HicExplorerConfig:
    """Thresholds, those of hicDetectLoops where nothing else is said.

    Parameters
    ----------
    max_distance
        Between the anchors, bp.
    preselection
        A pixel is a candidate below this p-value.
    least_contacts, least_enrichment
        Contacts (balanced, on the scale of counts) and observed/expected that it needs.
    window, peak
        Half sides of the neighbourhood and of the peak in its middle, bins.
    pvalue
        Of the rank-sum tests; each has to be below.
    """

    max_distance: int = 2_000_000
    preselection: float = 0.1
    least_contacts: float = 10.0
    least_enrichment: float = 1.5
    window: int = 5
    peak: int = 2
    pvalue: float = 0.025

    def __post_init__(self) -> None:
        if not 1 <= self.peak < self.window:
            raise ConfigError(
                f"1 <= peak < window must hold, not {self.peak} and {self.window}: around a peak there has "
                "to be something."
            )
        if not (0 < self.preselection <= 1 and 0 < self.pvalue <= 1):
            raise ConfigError(
                f"p-values lie in (0, 1], not {self.preselection} (preselection) and {self.pvalue} (pvalue)."
            )
        if self.max_distance < 1:
            raise ConfigError(f"max_distance must be above 0, not {self.max_distance} bp.")


class NegativeBinomial(NamedTuple):
    """A negative binomial of real values: its cumulative distribution is the incomplete beta function.

    Attributes
    ----------
    size
        r; the variance is mean + mean^2 / r.
    mean
        Mean.
    """

    size: float
    mean: float

    @classmethod
    def fit(cls, values: np.ndarray) -> NegativeBinomial:
        """Most likely for values of at least 0, float (n,): their mean, and the best size for it."""
        from scipy.optimize import minimize_scalar
        from scipy.special import gammaln

        mean = float(values.mean())
        if values.var() <= mean:  # nothing varies less than Poisson's law
            return cls(_POISSON, mean)

        def cost(log_size: float) -> float:
            r = np.exp(log_size)
            likelihood = gammaln(values + r) - gammaln(r) + r * np.log(r / (r + mean))
            return -float((likelihood + values * np.log(mean / (r + mean))).mean())

        best = minimize_scalar(cost, bounds=np.log(_SIZES), method="bounded")
        return cls(float(np.exp(best.x)), mean)

    def above(self, values: np.ndarray) -> np.ndarray:
        """P(X > value), float (n,)."""
        from scipy.special import betainc

        return np.asarray(betainc(values + 1, self.size, self.mean / (self.size + self.mean)))


@dataclass(frozen=True)
class _Pixels:
    """Pixels of a chromosome, (n,) each: bins, raw contacts, balanced ones, and these over expected."""

    x: np.ndarray
    y: np.ndarray
    count: np.ndarray
    value: np.ndarray
    enrichment: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> _Pixels:
        return _Pixels(*(values[chosen] for values in vars(self).values()))


def call_loops(
    pixels: PixelTable,
    *,
    chrom: str,
    weight: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    scale: float = 1.0,
    length: int | None = None,
    config: HicExplorerConfig | None = None,
) -> pd.DataFrame:
    """Loops of one chromosome.

    Parameters
    ----------
    pixels
        Upper triangle, raw counts, as far out as loops and their neighbourhoods reach.
    chrom
        Its name.
    weight
        Multiplicative balancing vector, float (n_bins,), NaN at masked bins; raw counts without it.
    valid
        Usable bins, bool (n_bins,).
    scale
        What brings balanced values to the scale of counts.
    length
        Of the chromosome, bp, where its last bin ends.
    config
        Thresholds.

    Returns
    -------
    pandas.DataFrame
        Schema `BEDPE` with name, score (-log10 of the largest p-value of the tests), pvalue (that one),
        observed (raw contacts), expected (on the same scale) and oe.
    """
    config = config or HicExplorerConfig()
    furthest = config.max_distance // pixels.resolution
    vector = bin_weights(pixels.n_bins, weight, valid)
    reach = min(furthest + 2 * config.window + 1, pixels.n_bins)
    expected = expected_by_distance(pixels, reach, weight=vector)
    found = _one_per_neighbourhood(
        _candidates(pixels, vector, expected, scale, furthest, config), config.window
    )
    around = patches(pixels, found.x, found.y, config.window, weight=vector, expected=expected)
    pvalue = _tested(around, config)
    passed = pvalue < config.pvalue  # False where it is NaN
    found, pvalue = found[passed], pvalue[passed]
    starts = [bins * pixels.resolution for bins in (found.x, found.y)]
    stops = [np.minimum(start + pixels.resolution, length or _NO_END) for start in starts]
    return loop_list(
        chrom, starts[0], starts[1], pixels.resolution, -np.log10(pvalue), ends=(stops[0], stops[1]),
        pvalue=pvalue, observed=found.count, expected=found.count / found.enrichment, oe=found.enrichment,
    )  # fmt: skip


def _candidates(
    pixels: PixelTable,
    weight: np.ndarray,
    expected: np.ndarray,
    scale: float,
    furthest: int,
    config: HicExplorerConfig,
) -> _Pixels:
    """Pixels with contacts that their distance does not explain."""
    x, y = np.asarray(pixels.bin1, np.int64), np.asarray(pixels.bin2, np.int64)
    inside = (y > x) & (y - x <= furthest) & (y - x < len(expected)) & (np.asarray(pixels.count) > 0)
    x, y, count = x[inside], y[inside], np.asarray(pixels.count, np.float64)[inside]
    value = count * weight[x] * weight[y]
    every = _Pixels(x, y, count, value * scale, value / expected[y - x])
    every = every[np.isfinite(every.enrichment)]
    enriched = every.enrichment >= config.least_enrichment
    enriched &= every.value >= config.least_contacts
    order = np.argsort(every.y - every.x, kind="stable")
    starts = np.searchsorted((every.y - every.x)[order], np.arange(furthest + 2))
    for begin, end in pairwise(starts):
        here = order[begin:end]
        if not enriched[here].any():
            continue
        law = NegativeBinomial.fit(every.enrichment[here])
        tried = here[enriched[here]]
        enriched[tried] = law.above(every.enrichment[tried]) < config.preselection
    return every[enriched]


def _one_per_neighbourhood(found: _Pixels, window: int) -> _Pixels:
    """The most enriched candidates, none within `window` bins of a better one that was kept."""
    kept: dict[tuple[int, int], list[int]] = {}
    chosen = []
    for k in np.argsort(-found.enrichment, kind="stable").tolist():
        x, y = int(found.x[k]), int(found.y[k])
        cell = (x // (window + 1), y // (window + 1))
        near = (kept.get((cell[0] + a, cell[1] + b), ()) for a in (-1, 0, 1) for b in (-1, 0, 1))
        if all(max(abs(x - found.x[m]), abs(y - found.y[m])) > window for ms in near for m in ms):
            kept.setdefault(cell, []).append(k)
            chosen.append(k)
    return found[np.array(sorted(chosen), np.int64)]


def surroundings(window: int, peak: int) -> dict[str, np.ndarray]:
    """Which entries of a neighbourhood belong to the peak and to each background.

    Parameters
    ----------
    window, peak
        Half sides, bins.

    Returns
    -------
    dict
        ``peak``, ``donut`` (all around it but its own row and column), ``lower left`` (towards the diagonal),
        ``horizontal`` and ``vertical`` (three bins wide), bool (2 window + 1, 2 window + 1) each.
    """
    offset = np.arange(-window, window + 1)
    row, column = offset[:, None], offset[None, :]
    inner = (np.abs(row) <= peak) & (np.abs(column) <= peak)
    return {
        "peak": inner,
        "donut": ~inner & (row != 0) & (column != 0),
        "lower left": ~inner & (row > 0) & (column < 0),
        "horizontal": ~inner & (np.abs(row) <= 1),
        "vertical": ~inner & (np.abs(column) <= 1),
    }


def _tested(around: np.ndarray, config: HicExplorerConfig) -> np.ndarray:
    """Largest p-value of the four tests, float (n,); NaN where a background is as bright, or not known."""
    masks = surroundings(config.window, config.peak)
    peaks = around[:, masks.pop("peak")]
    found = np.full(len(around), np.nan)
    for k, neighbourhood in enumerate(around):
        peak = peaks[k][np.isfinite(peaks[k])]
        backgrounds = [neighbourhood[mask][np.isfinite(neighbourhood[mask])] for mask in masks.values()]
        found[k] = max(_brighter(peak, background) for background in backgrounds)
    return np.where(found <= 1, found, np.nan)


def _brighter(peak: np.ndarray, background: np.ndarray) -> float:
    """Wilcoxon's rank-sum p-value, infinite where the peak's mean is not above the background's."""
    from scipy.stats import ranksums

    if min(len(peak), len(background)) < _FEWEST or peak.mean() <= background.mean():
        return float("inf")
    return float(ranksums(peak, background).pvalue)
