"""Scores of predicted expression, in which no bin of the genome counts twice unless the name says so.

Windows overlap, so that one bin is predicted in several of them. Three views of the same windows are scored:

unsuffixed
    Each bin of the genome once; its predictions are averaged over the windows it lies in.
``_genes``
    Only bins at windows' centres, where the transcription start sites are, each once.
``_flat``
    All values of all windows as one vector, as the paper does. R2 with truth and prediction exchanged,
    the paper's, exists here only, as `r2_swapped_flat`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from .bootstrap import BootstrapConfig, Estimate, block_sums, bootstrap_sums, genome_blocks
from .moments import Moments
from .samples import counting_entries, paired_values

__all__ = ["ExpressionWindows", "expression_differences", "expression_estimates"]


@dataclass(frozen=True)
class ExpressionWindows:
    """What was measured, and where.

    Parameters
    ----------
    truth
        Expression, log2, float (n, bins); NaN where nothing was measured. The target's start site is in
        bin ``bins // 2``.
    mask
        Entries that count, bool (n, bins); None for all with a truth.
    chrom
        Chromosome of each window, (n,).
    bin
        Which bin of its chromosome each entry is, integer (n, bins).
    block_bins
        Length of a bootstrap block, bins: 1,000 of 5 kb make 5 Mb.

    Raises
    ------
    DataError
        Shapes do not fit, nothing counts, or one bin has two truths.
    ConfigError
        `block_bins` is below 1.
    """

    truth: np.ndarray
    mask: np.ndarray | None
    chrom: np.ndarray
    bin: np.ndarray
    block_bins: int = 1000

    def __post_init__(self) -> None:
        shape = np.shape(self.truth)
        if len(shape) != 2 or np.shape(self.bin) != shape or np.shape(self.chrom) != shape[:1]:
            raise DataError(
                f"truth and bin must have one shape (windows, bins) and chrom (windows,), not {shape}, "
                f"{np.shape(self.bin)} and {np.shape(self.chrom)}."
            )
        if self.block_bins < 1:
            raise ConfigError(f"a block has 1 bin or more, not {self.block_bins}.")
        if not counting_entries(self.truth, self.mask).any():
            raise DataError("no bin counts: there is no expression to compare with.")


@dataclass(frozen=True)
class _View:
    """Entries as one view has them: truth and each method's predictions, float64 (k,), and their blocks."""

    truth: np.ndarray
    predictions: tuple[np.ndarray, ...]
    blocks: np.ndarray


@dataclass(frozen=True)
class _Metric:
    """A metric of moments, of the values themselves or of their ranks."""

    of: Callable[[Moments], np.ndarray]
    ranked: bool = False


_METRICS = {
    "pearson": _Metric(Moments.pearson),
    "spearman": _Metric(Moments.pearson, ranked=True),
    "r2": _Metric(Moments.r2),
}
_SWAPPED = {"r2_swapped": _Metric(Moments.r2_swapped)}


def expression_estimates(
    windows: ExpressionWindows,
    prediction: np.ndarray,
    *,
    seed: int,
    config: BootstrapConfig | None = None,
) -> dict[str, Estimate]:
    """Score a prediction by `pearson`, `spearman` and `r2` in every view.

    Blocks are stretches of the genome that a *bin* lies in, whichever window predicts it. Draws of
    `spearman` keep the ranks of the whole set, its value is exact.

    Parameters
    ----------
    windows
        The truth.
    prediction
        Expression, log2, float (n, bins).
    seed
        Of the draws, which all metrics of a view share.
    config
        Number of draws and level of the intervals.

    Returns
    -------
    dict of str to Estimate
        By metric and view; `Estimate.n` is the number of entries.

    Raises
    ------
    DataError
        The prediction is missing where it counts, or of another shape; or one bin has two truths.
    """
    return _score(windows, [prediction], seed, config)


def expression_differences(
    windows: ExpressionWindows,
    first: np.ndarray,
    second: np.ndarray,
    *,
    seed: int,
    config: BootstrapConfig | None = None,
) -> dict[str, Estimate]:
    """Estimate every score of `first` minus that of `second` over the same resampled blocks.

    For parameters, result and errors see :func:`expression_estimates`.
    """
    return _score(windows, [first, second], seed, config)


def _score(
    windows: ExpressionWindows,
    predictions: Sequence[np.ndarray],
    seed: int,
    config: BootstrapConfig | None,
) -> dict[str, Estimate]:
    found = {}
    for suffix, view in _views(windows, predictions).items():
        sums = {ranked: _view_sums(view, ranked) for ranked in (False, True)}
        for name, metric in (_METRICS | (_SWAPPED if suffix == "_flat" else {})).items():
            found[name + suffix] = bootstrap_sums(
                _of_totals(metric), sums[metric.ranked], n=len(view.truth), seed=seed, config=config
            )
    return found


def _of_totals(metric: _Metric) -> Callable[..., float]:
    """The metric of one method's totals, or that of the first of two less that of the second."""

    def value(*totals: np.ndarray) -> float:
        first, *second = (float(metric.of(Moments(total))) for total in totals)
        return first - sum(second)

    return value


def _view_sums(view: _View, ranked: bool) -> list[np.ndarray]:
    """Moments of each method by block."""
    from scipy.stats import rankdata

    truth, *predictions = (
        rankdata(values) if ranked else values for values in (view.truth, *view.predictions)
    )
    return [
        block_sums(Moments.of(truth[:, None], prediction[:, None], axis=1).sums, view.blocks)
        for prediction in predictions
    ]


def _views(windows: ExpressionWindows, predictions: Sequence[np.ndarray]) -> dict[str, _View]:
    """The three views by suffix."""
    for prediction in predictions:
        paired_values(windows.truth, prediction, windows.mask)  # a missing one is an error here as anywhere
    counts = counting_entries(windows.truth, windows.mask)
    rows, columns = np.nonzero(counts)
    chroms, code = np.unique(np.asarray(windows.chrom, dtype=object).astype(str), return_inverse=True)
    place = np.asarray(windows.bin, dtype=np.int64)[counts]
    low, width = place.min(), np.ptp(place) + 1
    unique, group = np.unique(code[rows] * width + place - low, return_inverse=True)
    chrom, position = chroms[unique // width], unique % width + low
    blocks = genome_blocks(chrom, position, windows.block_bins)
    flat = _View(
        np.asarray(windows.truth, dtype=np.float64)[counts],
        tuple(np.asarray(prediction, dtype=np.float64)[counts] for prediction in predictions),
        blocks[group],
    )
    _one_truth(flat.truth, group, chrom, position)
    everywhere = np.ones(len(group), dtype=bool)
    return {
        "": _once(flat, everywhere, group),
        "_genes": _once(flat, columns == counts.shape[1] // 2, group),
        "_flat": flat,
    }


def _once(flat: _View, chosen: np.ndarray, group: np.ndarray) -> _View:
    """The chosen entries with those of one bin averaged."""
    _, index, group = np.unique(group[chosen], return_index=True, return_inverse=True)
    n = np.bincount(group)
    truth, *predictions = (
        np.bincount(group, values[chosen], len(n)) / n for values in (flat.truth, *flat.predictions)
    )
    return _View(truth, tuple(predictions), flat.blocks[chosen][index])


def _one_truth(truth: np.ndarray, group: np.ndarray, chrom: np.ndarray, position: np.ndarray) -> None:
    mean = (np.bincount(group, truth) / np.bincount(group))[group]
    odd = np.flatnonzero(np.abs(truth - mean) > 1e-4 * (1 + np.abs(mean)))
    if len(odd):
        k = group[odd[0]]
        raise DataError(
            f"bin {position[k]:,} of {chrom[k]} has different truths in different windows; check which "
            "bin each entry is."
        )
