"""The trivial rows of expression tables: what accessibility tells without a network.

A network that does not beat them has learnt nothing of use (`evaluation.md` rule 1). Features are per-bin
means of log2 signal, float (n windows, bins, tracks), NaN where a track is missing; targets are float
(n, bins).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..errors import ConfigError, DataError
from .samples import counting_entries

__all__ = ["BoostedTracks", "PromoterAccessibility", "WindowMean"]


class PromoterAccessibility:
    """The row "promoter accessibility": the signal in the target's own bin, brought to its scale by a line.

    Parameters
    ----------
    track
        Place of the track taken; the mean over all tracks without it.
    """

    def __init__(self, track: int | None = None) -> None:
        self._track = track
        self._slope = self._intercept = self._mean = float("nan")

    def fit(self, features: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> Self:
        """Fit the line by least squares over training bins that count and have a signal.

        Parameters
        ----------
        features
            float (n, bins, tracks).
        target
            float (n, bins); NaN takes no part.
        mask
            Bins that count, bool (n, bins).

        Raises
        ------
        DataError
            No bin counts, or the shapes do not fit.
        """
        counts = _counting(features, target, mask)
        signal, target = self.signal(features), np.asarray(target, dtype=np.float64)
        self._mean = float(target[counts].mean())
        used = counts & np.isfinite(signal)
        s, t = signal[used], target[used]
        if len(s) == 0 or np.ptp(s) == 0:
            self._slope, self._intercept = 0.0, self._mean
            return self
        centred = s - s.mean()
        self._slope = float(centred @ t / (centred @ centred))
        self._intercept = float(t.mean() - self._slope * s.mean())
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict every bin, float64 (n, bins); the mean of training targets where there is no signal.

        Raises
        ------
        DataError
            Nothing was fitted.
        """
        if np.isnan(self._mean):
            raise DataError("the row was not fitted: there is no line to predict with.")
        signal = self.signal(features)
        return np.where(np.isfinite(signal), self._intercept + self._slope * signal, self._mean)

    def signal(self, features: np.ndarray) -> np.ndarray:
        """What the line is fitted to, float64 (n, bins); NaN where there is none.

        Raises
        ------
        DataError
            The features are not of three dimensions, or lack the track.
        """
        features = _three_dimensional(features)
        if self._track is None:
            return _mean_of_known(features, -1)
        if not 0 <= self._track < features.shape[2]:
            raise DataError(f"features have {features.shape[2]} tracks; there is no track {self._track}.")
        return features[:, :, self._track]


class WindowMean(PromoterAccessibility):
    """The row "window mean": the mean signal of the whole window, the same for each of its bins."""

    def signal(self, features: np.ndarray) -> np.ndarray:
        """What the line is fitted to, float64 (n, bins); NaN in windows without a signal."""
        signal = super().signal(features)
        return np.broadcast_to(_mean_of_known(signal, -1)[:, None], signal.shape)


class BoostedTracks:
    """The row "boosting on binned tracks": a bin's tracks and its neighbours', by gradient boosting.

    scikit-learn's histogram gradient boosting with its own settings, 100 rounds and no early stopping;
    a missing value is an input like any other, as is a neighbour outside of the window.

    Parameters
    ----------
    neighbours
        Bins seen on either side of the target bin.
    seed
        Of the boosting, and of the draw of training bins.
    limit
        Training bins at most, drawn at random where more count.
    """

    def __init__(self, neighbours: int = 10, *, seed: int, limit: int = 500_000) -> None:
        if neighbours < 0 or limit < 2:
            raise ConfigError(f"boosting needs neighbours >= 0 and limit >= 2, not {neighbours} and {limit}.")
        self._neighbours = neighbours
        self._seed = seed
        self._limit = limit
        self._model: Any = None

    def fit(self, features: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> Self:
        """Fit on training bins that count; for parameters and errors see :class:`PromoterAccessibility`."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        rows, bins = np.nonzero(_counting(features, target, mask))
        if len(rows) > self._limit:
            drawn = np.random.default_rng(self._seed).choice(len(rows), self._limit, replace=False)
            rows, bins = rows[np.sort(drawn)], bins[np.sort(drawn)]
        inputs = self._around(features)[rows, bins].reshape(len(rows), -1)
        model = HistGradientBoostingRegressor(random_state=self._seed, max_iter=100, early_stopping=False)
        self._model = model.fit(inputs, np.asarray(target, dtype=np.float64)[rows, bins])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict every bin, float64 (n, bins).

        Raises
        ------
        DataError
            Nothing was fitted, or the tracks are not those of training.
        """
        if self._model is None:
            raise DataError("the row was not fitted: there is no boosted model to predict with.")
        features = _three_dimensional(features)
        prediction = np.full(features.shape[:2], np.nan)
        wanted = features.shape[2] * (2 * self._neighbours + 1)
        if wanted != self._model.n_features_in_:
            raise DataError(f"bins have {wanted} inputs, those of training {self._model.n_features_in_}.")
        for start in range(0, len(features), 500):  # a bin's inputs are some 20 times its features
            part = self._around(features[start : start + 500])
            found = self._model.predict(part.reshape(-1, wanted))
            prediction[start : start + 500] = found.reshape(part.shape[:2])
        return prediction

    def _around(self, features: np.ndarray) -> np.ndarray:
        """Tracks of each bin and its neighbours, a view (n, bins, tracks, 2 k + 1); NaN outside."""
        k = self._neighbours
        padded = np.pad(_three_dimensional(features), [(0, 0), (k, k), (0, 0)], constant_values=np.nan)
        return np.lib.stride_tricks.sliding_window_view(padded, 2 * k + 1, axis=1)


def _three_dimensional(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 3:
        raise DataError(f"features must have the shape (windows, bins, tracks), not {features.shape}.")
    return features


def _counting(features: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Training bins that count, bool (n, bins): at least one."""
    shape = _three_dimensional(features).shape[:2]
    if np.shape(target) != shape:
        raise DataError(f"features are of {shape[0]} windows x {shape[1]} bins, targets {np.shape(target)}.")
    counts = counting_entries(target, mask)
    if not counts.any():
        raise DataError("no training bin counts: there is nothing to fit.")
    return counts


def _mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    known = np.isfinite(values)
    n = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, n, out=np.full(np.shape(n), np.nan), where=n > 0)
