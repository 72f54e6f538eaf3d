"""Means of independent draws, and how far they can be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MeanInterval", "mean_interval"]


class MeanInterval(NamedTuple):
    """A mean and the ends of its 95 % interval; the ends are NaN where one value tells no spread."""

    value: float
    low: float
    high: float


def mean_interval(values: np.ndarray) -> MeanInterval:
    """Mean of independent draws with Student's 95 % interval.

    Parameters
    ----------
    values
        float, any shape; those that are not finite are left out.
    """
    from scipy.stats import t

    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return MeanInterval(float(known[0]) if len(known) else np.nan, np.nan, np.nan)
    reach = float(t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    mean = float(known.mean())
    return MeanInterval(mean, mean - reach, mean + reach)
