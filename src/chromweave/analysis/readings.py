"""A number read off an embedding, and the same with the annotation turned along the chromosome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .shifts import circular_shift, empirical_pvalue

__all__ = ["Reading", "against_shifts"]

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Reading:
    """A statistic and its null.

    Attributes
    ----------
    value
        Of the annotation as it is; NaN where it is not defined.
    expected
        Mean over circular shifts of the annotation; NaN where none is defined.
    pvalue
        Of a value as large (or as small, where that is what is expected) under the shifts.
    bins
        Bins it was computed on.
    """

    value: float
    expected: float
    pvalue: float
    bins: int


def against_shifts(
    statistics: Callable[[np.ndarray], Mapping[Name, float]],
    annotation: np.ndarray,
    chrom: np.ndarray,
    *,
    permutations: int,
    seed: int,
    smaller: Collection[Name] = (),
) -> dict[Name, Reading]:
    """Compute statistics of an annotation, and of its circular shifts along each chromosome.

    Parameters
    ----------
    statistics
        From an annotation (bins,) to numbers by name.
    annotation
        What is turned, (bins, ...).
    chrom
        (bins,): chromosome of each bin, equal ones next to each other.
    permutations, seed
        Number of shifts, and of what seed.
    smaller
        Statistics that are small where there is something to see.
    """
    rng = np.random.default_rng(seed)
    observed = statistics(annotation)
    draws = [statistics(annotation[circular_shift(chrom, rng)]) for _ in range(permutations)]
    found = {}
    for name, value in observed.items():
        null = np.array([draw[name] for draw in draws], dtype=np.float64)
        null = null[np.isfinite(null)]
        sign = -1 if name in smaller else 1
        tested = np.isfinite(value) and len(null)
        found[name] = Reading(
            value=float(value),
            expected=float(null.mean()) if len(null) else np.nan,
            pvalue=empirical_pvalue(sign * value, sign * null) if tested else np.nan,
            bins=len(annotation),
        )
    return found
