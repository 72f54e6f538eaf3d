"""What every metric does first: put truth and prediction side by side and leave out what is masked."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

__all__ = ["counting_entries", "paired_values"]


def counting_entries(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Which entries count: those with a finite value that `mask`, where given, lets through.

    Parameters
    ----------
    values
        Any shape; NaN where nothing was measured.
    mask
        bool, broadcast to that shape.

    Returns
    -------
    numpy.ndarray
        bool of the shape of `values`.

    Raises
    ------
    DataError
        The mask does not fit.
    """
    counts = np.isfinite(np.asarray(values, dtype=np.float64))
    if mask is None:
        return counts
    mask = np.asarray(mask, dtype=bool)
    try:
        return counts & np.broadcast_to(mask, counts.shape)
    except ValueError as error:
        raise DataError(f"a mask of shape {mask.shape} does not fit values of {counts.shape}.") from error


def paired_values(
    truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Flatten truth and prediction to the entries that count.

    Parameters
    ----------
    truth
        What was measured; NaN where nothing was.
    prediction
        What is judged, of the same shape.
    mask
        Entries that count, bool, broadcast to the shape of `truth`; all without it.

    Returns
    -------
    tuple of numpy.ndarray
        Truth and prediction, float64 (n,), at entries that are in `mask` and have a truth.

    Raises
    ------
    DataError
        Shapes differ, or the prediction is missing where it counts: leaving such entries out would
        let a model choose what it is judged on.
    """
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if truth.shape != prediction.shape:
        raise DataError(f"truth has shape {truth.shape}, the prediction {prediction.shape}; they must agree.")
    counts = counting_entries(truth, mask)
    kept = prediction[counts]
    missing = int((~np.isfinite(kept)).sum())
    if missing:
        raise DataError(
            f"the prediction is missing or infinite at {missing:,} of {kept.size:,} entries that count; "
            "predict them, or mask them for every method alike."
        )
    return truth[counts], kept
