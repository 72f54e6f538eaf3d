"""A null that respects neighbours: annotations turned round their chromosome.

Neighbouring bins are alike, so shuffling bins makes anything significant. A circular shift keeps the runs of
an annotation and breaks only its place.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError

__all__ = ["circular_shift", "empirical_pvalue"]


def circular_shift(chrom: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices that turn the bins of each chromosome by a random amount, at least a tenth of it either way.

    Parameters
    ----------
    chrom
        (bins,): chromosome of each bin, equal ones next to each other.
    rng
        Source of the amounts.

    Returns
    -------
    numpy.ndarray
        int64 (bins,); ``labels[circular_shift(chrom, rng)]`` are the shifted labels.

    Raises
    ------
    DataError
        A chromosome's bins are not together.
    """
    chrom = np.asarray(chrom)
    starts = (
        np.flatnonzero(np.concatenate([[True], chrom[1:] != chrom[:-1]])) if len(chrom) else np.empty(0, int)
    )
    if len(starts) != len(set(chrom.tolist())):
        raise DataError("bins must be sorted by chromosome before labels are shifted along them.")
    index = np.arange(len(chrom))
    for start, end in zip(starts, [*starts[1:], len(chrom)], strict=True):
        length = int(end - start)
        nearest = length // 10
        amount = int(rng.integers(nearest, max(length - nearest, nearest) + 1))
        index[start:end] = start + (np.arange(length) + amount) % length
    return index


def empirical_pvalue(observed: float, null: np.ndarray) -> float:
    """How often the null is as large as the observed value, (1 + hits) / (1 + draws); never 0."""
    return float((1 + np.count_nonzero(np.asarray(null) >= observed)) / (1 + len(null)))
