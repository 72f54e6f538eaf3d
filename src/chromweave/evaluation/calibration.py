"""Probabilities made to mean what they say, and how far they do.

Labels are 1 or 0 (NaN: none, left out) and come first, as in :mod:`chromweave.evaluation.classification`.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .classification import calibration_curve, labelled

__all__ = ["expected_calibration_error", "fit_temperature"]

#: Temperatures :func:`fit_temperature` chooses among.
TEMPERATURES = (0.05, 20.0)

_HALVINGS = 50


def fit_temperature(label: np.ndarray, logit: np.ndarray, mask: np.ndarray | None = None) -> float:
    """The temperature T at which ``sigmoid(logit / T)`` fits the labels best (Guo et al. 2017).

    It minimises the negative log-likelihood, which is convex in 1 / T, over `TEMPERATURES`. Dividing by it
    changes no order: AUROC and average precision stay. Fit it on validation pairs, never on test pairs.

    Where no temperature inside is best, the bound on the better side is returned: the lowest for labels
    the logits separate at 0 without error, or of one class with logits all of its sign; the highest for
    logits that are no better than wrong. Logits that are all 0 tell nothing: 1.

    Parameters
    ----------
    label
        1 or 0, (n,).
    logit
        Log odds a model gives, float (n,).
    mask
        Samples that count.

    Raises
    ------
    DataError
        Nothing counts, a label is neither 0 nor 1, or a logit is missing.
    """
    labels, logits = labelled(label, logit, mask)
    if len(labels) == 0:
        raise DataError("there is no labelled pair to fit a temperature on.")
    if not logits.any():
        return 1.0
    agreeing = np.where(labels == 1, logits, -logits)
    highest, lowest = (1 / t for t in TEMPERATURES)
    if _slope(highest, agreeing) <= 0:
        return TEMPERATURES[0]
    if _slope(lowest, agreeing) >= 0:
        return TEMPERATURES[1]
    for _ in range(_HALVINGS):  # by hand, as a training node need not have scipy
        middle = (lowest + highest) / 2
        if _slope(middle, agreeing) < 0:
            lowest = middle
        else:
            highest = middle
    return float(2 / (lowest + highest))


def _slope(inverse: float, agreeing: np.ndarray) -> float:
    """Derivative of the mean negative log-likelihood by 1 / T; logits above 0 here are right."""
    wrong = np.exp(-np.logaddexp(0.0, inverse * agreeing))
    return float(-(agreeing * wrong).mean())


def expected_calibration_error(
    label: np.ndarray, probability: np.ndarray, mask: np.ndarray | None = None, *, bins: int = 10
) -> float:
    """Mean difference of probability said and frequency found, over `bins` equal intervals of [0, 1].

    Weighted by samples; see :func:`chromweave.evaluation.classification.calibration_curve`.
    """
    return calibration_curve(label, probability, mask, bins=bins).error
