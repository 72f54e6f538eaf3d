"""What an edit does to predicted windows, in numbers: contacts, insulation at a place, strength of a loop."""

from __future__ import annotations

import numpy as np

from ..evaluation.metrics import diamond_insulation

__all__ = ["PSEUDOCOUNT", "insulation_at_centre", "insulation_width", "log2_change", "loop_strength"]

PSEUDOCOUNT = 1.0
"""Contacts added to both sides of a ratio; predictions are on the scale of counts."""

_AROUND = 1  # bins on each side of a loop's pixel that count as the loop


def log2_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """log2((after + 1) / (before + 1)), float64.

    The change of log2 observed over expected, as one expectation, that of the distance, belongs to both.
    """
    old, new = (np.asarray(each, np.float64) + PSEUDOCOUNT for each in (before, after))
    return np.asarray(np.log2(new) - np.log2(old))


def insulation_width(window_bins: int) -> int:
    """Side of the insulation square in windows of a size, bins: a fifth, and ten at most."""
    return max(1, min(10, window_bins // 5))


def insulation_at_centre(maps: np.ndarray) -> np.ndarray:
    """Diamond insulation score of the middle bin, the window's anchor.

    Parameters
    ----------
    maps
        Windows on the diagonal, contacts, float (n, s, s); NaN where there is no value.

    Returns
    -------
    numpy.ndarray
        float64 (n,): log2, relative to the mean over the window; NaN where there is no score.
    """
    side = maps.shape[-1]
    return np.asarray(diamond_insulation(maps, insulation_width(side))[:, side // 2])


def loop_strength(maps: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """log2 of the mean contacts in the 3 x 3 around a pixel over the window's mean at the same distances.

    Parameters
    ----------
    maps
        Windows, contacts, float (n, s, s); NaN where there is no value.
    row, column
        The loop's entry in each window, int (n,), one entry or more from the border.

    Returns
    -------
    numpy.ndarray
        float64 (n,). Each of the nine is held against the mean of its diagonal of the window, which it is
        part of. NaN where nothing is predicted, or no contacts.
    """
    found = np.full(len(maps), np.nan)
    for k, (i, j) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        around = maps[k, i - _AROUND : i + _AROUND + 1, j - _AROUND : j + _AROUND + 1]
        steps = np.arange(-_AROUND, _AROUND + 1)
        offset = j - i + steps - steps[:, None]
        known = np.isfinite(around)
        if not known.any():
            continue
        means = {int(o): np.nanmean(np.diagonal(maps[k], o)) for o in np.unique(offset[known])}
        expected = np.mean([means[int(o)] for o in offset[known]])
        observed = np.mean(around[known])
        if observed > 0 and expected > 0:
            found[k] = np.log2(observed / expected)
    return found
