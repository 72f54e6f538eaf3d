"""The trivial rows of every table: what distance, one pixel, or a per-distance constant already knows.

A model that does not beat them has learnt nothing of use (`evaluation.md` rule 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .expected import MapLayer, expected_by_distance
from .patches import patches
from .samples import counting_entries

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BoostedScore",
    "distance_grid",
    "distance_mean",
    "distance_mean_prediction",
    "fit_boosting",
    "trivial_loop_scores",
]

#: Inputs of the boosted row, columns of :func:`trivial_loop_scores`.
BOOSTING_FEATURES = ("distance", "centre_oe", "oe_5x5")


def trivial_loop_scores(layer: MapLayer, table: pd.DataFrame, weight: str | None) -> pd.DataFrame:
    """Score pairs of anchors by next to nothing; a higher score means more loop-like in every column.

    Parameters
    ----------
    layer
        Map of the one chromosome all rows lie on.
    table
        Columns x and y: starts of the anchors' bins, bp (`schemas.WINDOWS`).
    weight
        Name of the balancing vector; None for raw counts.

    Returns
    -------
    pandas.DataFrame
        Row by row with `table` (same index): ``distance`` (minus the distance in bp), ``centre`` (value of
        the anchor pixel), ``centre_oe`` (over the mean at its distance) and ``oe_5x5`` (mean of
        observed/expected over the 5x5 pixels around it), float64; NaN where masked bins, or the end of the
        band, leave nothing.

    Raises
    ------
    DataError
        Rows of more than one chromosome.
    """
    import pandas as pd

    if "chrom" in table.columns and table["chrom"].nunique() > 1:
        raise DataError(
            "pairs of one chromosome can be scored at a time, not of "
            f"{', '.join(sorted(table['chrom'].unique()))}."
        )
    x, y = (table[name].to_numpy(dtype=np.int64) // layer.resolution for name in ("x", "y"))
    x, y = np.minimum(x, y), np.maximum(x, y)
    reach = _reach(layer, y - x)
    pixels = layer.pixels(reach * layer.resolution)
    vector = None if weight is None else layer.weight(weight)
    expected = expected_by_distance(pixels, reach, weight=vector, valid=layer.valid(weight))
    centre = patches(pixels, x, y, 0, weight=vector, n_diagonals=reach)[:, 0, 0]
    around = patches(pixels, x, y, 2, weight=vector, expected=expected)
    known = np.isfinite(around)
    n = known.sum(axis=(1, 2))
    scores = {
        "distance": -((y - x) * layer.resolution).astype(np.float64),
        "centre": centre,
        "centre_oe": around[:, 2, 2],
        "oe_5x5": np.where(n > 0, np.where(known, around, 0.0).sum(axis=(1, 2)) / np.maximum(n, 1), np.nan),
    }
    return pd.DataFrame(scores, index=table.index)


def _reach(layer: MapLayer, distance: np.ndarray) -> int:
    """Distances, in bins, that the squares around these pairs need and the layer has."""
    wanted = int(distance.max(initial=0)) + 5
    return min(wanted, layer.n_bins if layer.n_diagonals is None else layer.n_diagonals)


@dataclass(frozen=True)
class BoostedScore:
    """Gradient boosting on distance and observed/expected, fitted."""

    model: Any

    def predict(self, scores: pd.DataFrame) -> np.ndarray:
        """Probability of a loop, float64 (n,), from the columns of :func:`trivial_loop_scores`."""
        return np.asarray(self.model.predict_proba(_features(scores))[:, 1], dtype=np.float64)


def fit_boosting(scores: pd.DataFrame, label: np.ndarray, *, seed: int) -> BoostedScore:
    """Fit the boosted row on training pairs; missing values are an input like any other.

    Parameters
    ----------
    scores
        Columns of :func:`trivial_loop_scores`.
    label
        1 loop, 0 no loop, (n,).
    seed
        Of scikit-learn's histogram gradient boosting.

    Raises
    ------
    DataError
        The labels are of one class, or missing.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    labels = np.asarray(label, dtype=np.float64)
    found = np.unique(labels[np.isfinite(labels)])
    if not np.isfinite(labels).all() or not np.array_equal(found, [0.0, 1.0]):
        raise DataError(
            f"boosting needs pairs labelled 0 and 1, and no unlabelled ones; found {found.tolist()}"
            f" and {int((~np.isfinite(labels)).sum()):,} unlabelled."
        )
    model = HistGradientBoostingClassifier(random_state=seed, max_iter=100, early_stopping=False)
    return BoostedScore(model.fit(_features(scores), labels.astype(np.int64)))


def _features(scores: pd.DataFrame) -> np.ndarray:
    return scores[list(BOOSTING_FEATURES)].to_numpy(dtype=np.float64)


def distance_grid(x_bins: np.ndarray, y_bins: np.ndarray, window_bins: int) -> np.ndarray:
    """Distance from the diagonal of every entry of windows, in bins.

    Parameters
    ----------
    x_bins, y_bins
        Anchor bins, integer (n,); the first row is bin ``x - window_bins // 2``, the first column bin
        ``y - window_bins // 2``.
    window_bins
        Side of a window.

    Returns
    -------
    numpy.ndarray
        int64 (n, window_bins, window_bins).
    """
    offset = np.arange(window_bins) - window_bins // 2
    rows = np.asarray(x_bins, dtype=np.int64)[:, None] + offset
    columns = np.asarray(y_bins, dtype=np.int64)[:, None] + offset
    return np.abs(columns[:, None, :] - rows[:, :, None])


def distance_mean(windows: np.ndarray, distance: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean of training windows at each distance: the constant that knows nothing of the sequence.

    Parameters
    ----------
    windows
        Maps, any shape; NaN takes no part.
    distance
        Bins from the diagonal, integer, broadcast to that shape.
    mask
        Entries that count.

    Returns
    -------
    numpy.ndarray
        float64 (largest distance + 1,); NaN at distances without an entry.
    """
    values = np.asarray(windows, dtype=np.float64)
    counts = counting_entries(values, mask)
    d = np.broadcast_to(np.asarray(distance, dtype=np.int64), values.shape)
    n = np.bincount(d[counts])
    return np.divide(np.bincount(d[counts], values[counts]), n, out=np.full(len(n), np.nan), where=n > 0)


def distance_mean_prediction(
    mean: np.ndarray,
    distance: np.ndarray,
    *,
    visibility_rows: np.ndarray | None = None,
    visibility_columns: np.ndarray | None = None,
) -> np.ndarray:
    """Predict each entry by the mean at its distance, times the visibility of its two bins where given.

    Parameters
    ----------
    mean
        From :func:`distance_mean`; distances unseen in training take the nearest seen one below.
    distance
        Bins from the diagonal, integer (n, s, s).
    visibility_rows, visibility_columns
        Relative visibility of the bins (such as 1 / balancing weight, over its mean), float (n, s) each.

    Returns
    -------
    numpy.ndarray
        float64 (n, s, s).
    """
    seen = np.flatnonzero(np.isfinite(mean))
    if len(seen) == 0:
        raise DataError("no training entry counts: there is no per-distance mean to predict with.")
    nearest = seen[np.maximum(np.searchsorted(seen, np.asarray(distance), side="right") - 1, 0)]
    prediction = mean[nearest]
    if visibility_rows is not None:
        prediction = prediction * np.asarray(visibility_rows)[..., :, None]
    if visibility_columns is not None:
        prediction = prediction * np.asarray(visibility_columns)[..., None, :]
    return np.asarray(prediction, dtype=np.float64)
