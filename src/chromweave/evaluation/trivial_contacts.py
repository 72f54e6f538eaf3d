"""The trivial rows of contact-map tables: maps from distance, from visibility, from the nearest window.

A network that does not beat them has learnt nothing of use (`evaluation.md` rule 1). All take batches: every
call of `fit` adds to what the ones before gave.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..errors import DataError
from .samples import counting_entries
from .trivial import distance_mean_prediction

__all__ = ["DistanceMeanMaps", "NearestWindowMaps", "TrackVisibility", "Visibility"]

#: Relative visibility of the bins of windows' rows and columns, float (n, s) each; NaN where it is unknown.
Visibility = tuple[np.ndarray, np.ndarray]


class DistanceMeanMaps:
    """The rows "per-distance mean" and, given visibilities, "per-distance mean x visibility".

    With visibilities v the mean of a distance is sum t / sum v_row v_column, so that predictions add up
    to the truth at every distance of the training windows. Balancing divides out what makes one bin more
    visible than another, and the test map's own weights are part of the answer: a visibility for predicting
    balanced maps must come from elsewhere, such as :class:`TrackVisibility`.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((0, 2))  # by distance: sum t, sum v v

    @property
    def mean(self) -> np.ndarray:
        """Contacts at each distance from 0, for a visibility of 1, float64 (k,); NaN where unseen."""
        t, v = self._sums.T
        return np.divide(t, v, out=np.full(len(t), np.nan), where=v > 0)

    def fit(
        self,
        features: object,
        maps: np.ndarray,
        masks: np.ndarray | None,
        distance: np.ndarray,
        visibility: Visibility | None = None,
    ) -> Self:
        """Take in training windows.

        Parameters
        ----------
        features
            Not looked at; every trivial row is called alike.
        maps
            Contacts on a linear scale, float (n, s, s); NaN takes no part.
        masks
            Entries that count, bool (n, s, s).
        distance
            Bins, int (n, s, s), from `trivial.distance_grid`.
        visibility
            Of rows and columns; an entry counts where both are known.
        """
        maps = np.asarray(maps, dtype=np.float64)
        product = np.ones(maps.shape) if visibility is None else _product(visibility)
        counts = counting_entries(maps, masks) & np.isfinite(product)
        d = np.broadcast_to(np.asarray(distance, dtype=np.int64), maps.shape)[counts]
        n = max(len(self._sums), int(d.max(initial=-1)) + 1)
        sums = np.zeros((n, 2))
        sums[: len(self._sums)] = self._sums
        self._sums = sums + np.stack([np.bincount(d, v[counts], n) for v in (maps, product)], axis=1)
        return self

    def predict(
        self, features: object, distance: np.ndarray, visibility: Visibility | None = None
    ) -> np.ndarray:
        """Predict windows; distances unseen in training take the nearest seen one below.

        Returns
        -------
        numpy.ndarray
            Contacts, float64 (n, s, s); NaN where a visibility is unknown.

        Raises
        ------
        DataError
            No training entry counted.
        """
        rows, columns = (None, None) if visibility is None else visibility
        return distance_mean_prediction(self.mean, distance, visibility_rows=rows, visibility_columns=columns)


def _product(visibility: Visibility) -> np.ndarray:
    rows, columns = (np.asarray(v, dtype=np.float64) for v in visibility)
    return rows[:, :, None] * columns[:, None, :]


class TrackVisibility:
    """Visibility of a bin as a linear function of its tracks, fitted on training windows.

    What is fitted is the bin's marginal over its expectation: the sum of its entries in a window (row for
    the x segment, column for the y segment) over the sum of the mean at their distances. Ordinary least
    squares, from exact sums over batches. Predictions below `LOWEST` are raised to it.

    Parameters
    ----------
    base
        The fitted per-distance mean.
    """

    LOWEST = 0.05

    def __init__(self, base: DistanceMeanMaps) -> None:
        self._base = base
        self._products: np.ndarray | None = None

    def fit(
        self, features: np.ndarray, maps: np.ndarray, masks: np.ndarray | None, distance: np.ndarray
    ) -> Self:
        """Take in training windows.

        Parameters
        ----------
        features
            Mean log2 signal of each bin and track, float (n, 2 s, tracks), x segment before y segment; bins
            with a missing track take no part.
        maps, masks, distance
            As for :class:`DistanceMeanMaps`.

        Raises
        ------
        DataError
            Features and maps do not fit each other.
        """
        maps = np.asarray(maps, dtype=np.float64)
        features = _bin_features(features, maps.shape[-1])
        counts = counting_entries(maps, masks)
        known = np.where(counts, maps, 0.0)
        expected = np.where(counts, self._base.predict(None, distance), 0.0)
        observed, mean = (np.concatenate([v.sum(axis=2), v.sum(axis=1)], axis=1) for v in (known, expected))
        ratio = np.divide(observed, mean, out=np.full(mean.shape, np.nan), where=mean > 0)
        usable = np.isfinite(ratio) & np.isfinite(features).all(axis=-1)
        design = _with_constant(features[usable])
        joined = np.concatenate([design, ratio[usable][:, None]], axis=1)
        products = joined.T @ joined
        self._products = products if self._products is None else self._products + products
        return self

    def predict(self, features: np.ndarray) -> Visibility:
        """Visibility of rows and columns, float64 (n, s) each; 1 (the mean) where a track is missing.

        Raises
        ------
        DataError
            No training bin counted, or the tracks are not those of training.
        """
        if self._products is None or self._products[0, 0] == 0:
            raise DataError("no training bin counts: there is no visibility to predict with.")
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 3 or features.shape[2] != len(self._products) - 2:
            raise DataError(
                f"features of shape {features.shape} do not have the {len(self._products) - 2} tracks of "
                "training."
            )
        coefficients = np.linalg.lstsq(self._products[:-1, :-1], self._products[:-1, -1], rcond=None)[0]
        found = np.maximum(_with_constant(features) @ coefficients, self.LOWEST)
        found = np.where(np.isfinite(features).all(axis=-1), found, 1.0)
        side = features.shape[1] // 2
        return found[:, :side], found[:, side:]


def _bin_features(features: np.ndarray, side: int) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 3 or features.shape[1] != 2 * side:
        raise DataError(
            f"features of windows with {side} bins a side must have the shape (n, {2 * side}, tracks), "
            f"x segment before y segment, not {features.shape}."
        )
    return features


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((*features.shape[:-1], 1)), features], axis=-1)


class NearestWindowMaps:
    """The row "nearest training window": the true map of the training window of the most similar tracks.

    Features are standardised on the training windows; similar means near in Euclidean distance
    (scikit-learn's, over what both windows have, where tracks are missing). Where the neighbour's map is
    masked, and for windows without any track, the per-distance mean is predicted.
    """

    def __init__(self) -> None:
        self._base = DistanceMeanMaps()
        self._features: list[np.ndarray] = []
        self._maps: list[np.ndarray] = []
        self._index: _Index | None = None

    def fit(
        self, features: np.ndarray, maps: np.ndarray, masks: np.ndarray | None, distance: np.ndarray
    ) -> Self:
        """Take in training windows; their maps are kept, as float32.

        Parameters
        ----------
        features
            What tells windows apart, float (n, ...): the mean log2 signal of each bin and track, say, x
            segment before y segment.
        maps, masks, distance
            As for :class:`DistanceMeanMaps`.

        Raises
        ------
        DataError
            There are not as many features as maps.
        """
        maps = np.asarray(maps, dtype=np.float64)
        features = np.asarray(features, dtype=np.float64)
        if len(features) != len(maps):
            raise DataError(f"{len(features):,} windows have features and {len(maps):,} have maps.")
        self._base.fit(features, maps, masks, distance)
        self._features.append(features.reshape(len(features), -1))
        self._maps.append(np.where(counting_entries(maps, masks), maps, np.nan).astype(np.float32))
        self._index = None
        return self

    def neighbours(self, features: np.ndarray) -> np.ndarray:
        """Training window nearest to each, in the order of training, int64 (n,); -1 for one without tracks.

        Raises
        ------
        DataError
            No window was fitted, or the features are not those of training.
        """
        if self._index is None:
            self._index = _Index(self._features)
        return self._index.nearest(np.asarray(features, dtype=np.float64))

    def predict(self, features: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Predict windows.

        Returns
        -------
        numpy.ndarray
            Contacts, float64 (n, s, s).
        """
        rows = self.neighbours(features)
        starts = np.cumsum([0, *map(len, self._maps)])
        prediction = self._base.predict(None, distance)
        for part, start in zip(self._maps, starts[:-1], strict=True):
            here = np.flatnonzero((rows >= start) & (rows < start + len(part)))
            found = part[rows[here] - start]
            prediction[here] = np.where(np.isfinite(found), found, prediction[here])
        return prediction


class _Index:
    """Training windows to be searched by their standardised features."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        features = np.concatenate(parts) if parts else np.zeros((0, 0))
        self._rows = np.flatnonzero(np.isfinite(features).any(axis=1))
        if len(self._rows) == 0:
            raise DataError("no training window has a track: there is no nearest one to predict with.")
        features = features[self._rows]
        known = np.isfinite(features)
        n = np.maximum(known.sum(axis=0), 1)
        self._mean = np.where(known, features, 0.0).sum(axis=0) / n
        spread = np.sqrt((np.where(known, features - self._mean, 0.0) ** 2).sum(axis=0) / n)
        self._scale = np.where(spread > 1e-12 * np.abs(self._mean), spread, 1.0)
        self._training = self._standardise(features)

    def _standardise(self, features: np.ndarray) -> np.ndarray:
        return (features - self._mean) / self._scale

    def nearest(self, features: np.ndarray) -> np.ndarray:
        flat = features.reshape(len(features), -1)
        if flat.shape[1] != self._training.shape[1]:
            raise DataError(
                f"windows have {flat.shape[1]:,} features, those of training {self._training.shape[1]:,}."
            )
        found = np.full(len(flat), -1, dtype=np.int64)
        known = np.flatnonzero(np.isfinite(flat).any(axis=1))
        if len(known):
            wanted = self._standardise(flat[known])
            complete = np.isfinite(wanted).all() and np.isfinite(self._training).all()
            index = _neighbours("euclidean" if complete else "nan_euclidean").fit(self._training)
            found[known] = self._rows[index.kneighbors(wanted, return_distance=False)[:, 0]]
        return found


def _neighbours(metric: str) -> Any:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=1, algorithm="brute", metric=metric)
