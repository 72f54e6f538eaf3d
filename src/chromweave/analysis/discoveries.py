"""False discovery rate by target and decoy: how many of the best are to be expected by chance."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

__all__ = ["target_decoy_qvalues"]


def target_decoy_qvalues(target: np.ndarray, decoy: np.ndarray) -> np.ndarray:
    """Smallest false discovery rate at which each target is still taken.

    Taking all targets scored s or better, (1 + decoys scored s or better) / targets taken estimates the
    share of false ones; the one added keeps the estimate from falling below the truth on average (Barber &
    Candes 2015, Ann. Statist. 43, 2055; Elias & Gygi 2007 without it). A target's q-value is the least
    estimate of all cuts that take it.

    Parameters
    ----------
    target, decoy
        Scores, float (n,) and (m,), higher is better; those of decoys from a search as large as the targets'.

    Returns
    -------
    numpy.ndarray
        float64 (n,), at most 1; equal scores have equal q-values. Without decoys the best that can be said
        is 1 / n, of all n targets together.

    Raises
    ------
    DataError
        A score is NaN.
    """
    target, decoy = np.asarray(target, np.float64), np.asarray(decoy, np.float64)
    if np.isnan(target).any() or np.isnan(decoy).any():
        raise DataError("targets and decoys are compared by their scores, and some of them have none (NaN).")
    if not len(target):
        return np.empty(0)
    order = np.argsort(-target, kind="stable")
    ranked = target[order]
    # Equal scores are taken together: the cut lies behind the last of them.
    taken = np.searchsorted(-ranked, -ranked, side="right")
    worse = np.searchsorted(np.sort(decoy), ranked, side="left")
    estimate = np.minimum((1 + len(decoy) - worse) / taken, 1.0)
    least = np.minimum.accumulate(estimate[::-1])[::-1]
    qvalues = np.empty(len(target))
    qvalues[order] = least
    return qvalues
