"""Intervals for any metric, by resampling whole blocks of the genome.

Neighbouring windows share pixels, so samples are not independent and resampling them one by one would
give intervals that are too narrow; chromosomes, or blocks of some Mb, nearly are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..errors import ConfigError, DataError

__all__ = [
    "BootstrapConfig",
    "Estimate",
    "block_bootstrap",
    "block_sums",
    "bootstrap_sums",
    "genome_blocks",
    "paired_difference",
]

Metric = Callable[..., float]


@dataclass(frozen=True)
class BootstrapConfig:
    """How often to resample, which part of the draws the interval holds, and from how many blocks on.

    Two or three blocks resample to little else than themselves: their interval would look certain and is not.
    """

    draws: int = 1000
    level: float = 0.95
    fewest_blocks: int = 5

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0 < self.level < 1 or self.fewest_blocks < 2:
            raise ConfigError(
                f"a bootstrap needs draws >= 1, 0 < level < 1 and fewest_blocks >= 2, not {self.draws}, "
                f"{self.level} and {self.fewest_blocks}."
            )


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    Parameters
    ----------
    value
        The metric over all samples.
    low, high
        Percentile interval of the metric over resampled blocks; NaN with too few blocks.
    n, n_blocks
        Samples and blocks.
    undefined
        Draws left out because the metric was not defined on them (no loop among them, for example).
    """

    value: float
    low: float
    high: float
    n: int
    n_blocks: int
    undefined: int

    @property
    def differs_from_zero(self) -> bool:
        """Whether the interval leaves 0 out; for a difference, False means "no difference seen"."""
        return bool(self.low > 0 or self.high < 0)


def genome_blocks(
    chrom: Sequence[str] | np.ndarray, position: np.ndarray | None = None, size: int = 5_000_000
) -> np.ndarray:
    """Number the blocks samples lie in.

    Parameters
    ----------
    chrom
        Chromosome of each sample, (n,).
    position
        bp, (n,); whole chromosomes are the blocks without it.
    size
        Length of a block, bp.

    Returns
    -------
    numpy.ndarray
        int64 (n,), equal where samples share a block.
    """
    chroms = np.unique(np.asarray(chrom, dtype=object).astype(str), return_inverse=True)[1]
    if position is None:
        return chroms
    keys = np.stack([chroms, np.asarray(position, dtype=np.int64) // size], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def block_bootstrap(
    metric: Metric,
    samples: Sequence[np.ndarray],
    blocks: np.ndarray,
    *,
    seed: int,
    config: BootstrapConfig | None = None,
) -> Estimate:
    """Estimate `metric` and its interval.

    Parameters
    ----------
    metric
        Function of as many arrays as `samples` has.
    samples
        Arrays of one length n, e.g. (truth, prediction); axis 0 is resampled.
    blocks
        Block of each sample, (n,), as from :func:`genome_blocks`.
    seed
        Of the draws.
    config
        Number of draws and level of the interval.

    Raises
    ------
    DataError
        The arrays differ in length.
    """
    config = config or BootstrapConfig()
    arrays = [np.asarray(sample) for sample in samples]
    blocks = np.asarray(blocks)
    if len({len(array) for array in (*arrays, blocks)}) != 1:
        raise DataError(
            f"samples and blocks differ in length: {[len(array) for array in (*arrays, blocks)]}."
        )
    group = np.unique(blocks, return_inverse=True)[1]
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    value = float(metric(*arrays))
    if len(blocks) == 0 or len(members) < config.fewest_blocks:
        n_blocks = len(members) if len(blocks) else 0
        return Estimate(value, np.nan, np.nan, len(blocks), n_blocks, 0)
    generator = np.random.default_rng(seed)
    draws = np.empty(config.draws)
    for k in range(config.draws):
        rows = np.concatenate([members[b] for b in generator.integers(0, len(members), len(members))])
        draws[k] = metric(*(array[rows] for array in arrays))
    defined = draws[np.isfinite(draws)]
    low, high = _interval(defined, config.level)
    return Estimate(value, low, high, len(blocks), len(members), len(draws) - len(defined))


def _interval(draws: np.ndarray, level: float) -> tuple[float, float]:
    if len(draws) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    metric: Metric,
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    blocks: np.ndarray,
    *,
    seed: int,
    config: BootstrapConfig | None = None,
) -> Estimate:
    """Estimate ``metric(truth, first) - metric(truth, second)`` over the same resampled blocks.

    Parameters
    ----------
    metric
        Function of (truth, prediction).
    truth, first, second
        Truth and the predictions of two methods, samples along axis 0.
    blocks, seed, config
        As for :func:`block_bootstrap`.
    """

    def difference(t: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return metric(t, a) - metric(t, b)

    return block_bootstrap(difference, (truth, first, second), blocks, seed=seed, config=config)


def block_sums(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Add up what samples of one block hold.

    Parameters
    ----------
    values
        Sums of each sample, such as moments, float (n, ...).
    blocks
        Block of each sample, (n,).

    Returns
    -------
    numpy.ndarray
        float64 (blocks, ...), in ascending order of the blocks' labels.

    Raises
    ------
    DataError
        The arrays differ in length.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) != len(blocks):
        raise DataError(f"{len(values):,} samples have {len(blocks):,} blocks; give a block for each.")
    labels, group = np.unique(blocks, return_inverse=True)
    total = np.zeros((len(labels), *values.shape[1:]))
    np.add.at(total, group, values)
    return total


def bootstrap_sums(
    metric: Metric,
    sums: Sequence[np.ndarray],
    *,
    n: int,
    seed: int,
    config: BootstrapConfig | None = None,
) -> Estimate:
    """Estimate a metric that follows from sums over samples; as :func:`block_bootstrap`, and much cheaper.

    A draw adds the sums of its blocks up instead of touching their samples again, so that its cost
    does not grow with them. The draws are those of :func:`block_bootstrap` with the same seed.

    Parameters
    ----------
    metric
        Function of the totals, one array for each of `sums`, without the axis of the blocks.
    sums
        Arrays (blocks, ...) as from :func:`block_sums`.
    n
        Samples behind them, for the estimate to carry.
    seed, config
        As for :func:`block_bootstrap`.
    """
    n_blocks = len(sums[0])
    shapes = [np.shape(one)[1:] for one in sums]
    flat = [
        np.asarray(one, dtype=np.float64).reshape(n_blocks, prod(shape))
        for one, shape in zip(sums, shapes, strict=True)
    ]

    def of_blocks(rows: np.ndarray) -> float:
        times = np.bincount(rows, minlength=n_blocks).astype(np.float64)
        return metric(*((times @ one).reshape(shape) for one, shape in zip(flat, shapes, strict=True)))

    rows = np.arange(n_blocks)
    return replace(block_bootstrap(of_blocks, [rows], rows, seed=seed, config=config), n=n)
