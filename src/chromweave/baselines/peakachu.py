"""Peakachu: a random forest on the square of observed/expected around a pixel (Salameh et al. 2020).

Nature Communications 11, 3428, in its second version; :mod:`.descriptions` says what is kept and adapted. A
forest is not written to the disk: the same windows, settings and seed grow the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from ..errors import ConfigError, DataError
from ..evaluation.expected import PixelTable
from ..progress import notify, track

__all__ = [
    "ForestSettings",
    "Peakachu",
    "PeakachuConfig",
    "fit_peakachu",
    "half_width",
    "long_distances",
    "paper_negatives",
    "window_features",
]

Criterion = Literal["gini", "entropy"]


@dataclass(frozen=True)
class ForestSettings:
    """One point of the grid.

    Parameters
    ----------
    depth
        Largest depth of a tree.
    balanced
        Whether the rarer class weighs more, so that both weigh the same.
    criterion
        Of a split.
    """

    depth: int
    balanced: bool
    criterion: Criterion


@dataclass(frozen=True)
class PeakachuConfig:
    """How a forest is grown and chosen.

    Parameters
    ----------
    trees
        Of a forest.
    depths, balanced, criteria
        The grid; where it has one point, nothing is chosen.
    folds
        Of the cross-validation, at most; there are no more than blocks.
    smoothing
        Standard deviation of the Gaussian, bins.
    """

    trees: int = 100
    depths: tuple[int, ...] = (15, 25)
    balanced: tuple[bool, ...] = (False, True)
    criteria: tuple[Criterion, ...] = ("gini", "entropy")
    folds: int = 5
    smoothing: float = 1.0

    def __post_init__(self) -> None:
        if self.trees < 1 or self.folds < 2 or not self.smoothing > 0:
            raise ConfigError(
                f"a forest needs trees >= 1, folds >= 2 and smoothing > 0, not {self.trees}, {self.folds} "
                f"and {self.smoothing}."
            )
        if not (self.depths and self.balanced and self.criteria) or min(self.depths) < 1:
            raise ConfigError("the grid needs at least one depth (above 0), class weight and criterion.")

    @property
    def grid(self) -> tuple[ForestSettings, ...]:
        """Every setting, the first one the default."""
        return tuple(ForestSettings(*one) for one in product(self.depths, self.balanced, self.criteria))


@dataclass(frozen=True)
class Peakachu:
    """A grown forest.

    Attributes
    ----------
    settings
        The point of the grid that was taken.
    scores
        Matthews' coefficient of each setting over all folds; empty where nothing was chosen.
    config
        What it was grown with.
    forest
        scikit-learn's.
    """

    settings: ForestSettings
    scores: Mapping[ForestSettings, float]
    config: PeakachuConfig
    forest: Any

    def predict(self, patches: np.ndarray) -> np.ndarray:
        """Probability of a loop at the middle of each square, float64 (n,).

        Parameters
        ----------
        patches
            Observed/expected, float (n, side, side) as those it was fitted on; NaN where nothing is known.

        Returns
        -------
        numpy.ndarray
            NaN where a square's own middle, or all of it, is not known.

        Raises
        ------
        DataError
            Squares of another size.
        """
        features = window_features(patches, self.config.smoothing)
        if features.shape[1] != self.forest.n_features_in_:
            raise DataError(
                f"this forest reads {self.forest.n_features_in_} values, and squares of {patches.shape[1]} "
                f"bins a side have {features.shape[1]}; cut them at the resolution it was fitted at."
            )
        probability = np.full(len(features), np.nan)
        known = _known(features)
        if known.any():
            probability[known] = self.forest.predict_proba(features[known])[:, 1]
        return probability


def half_width(resolution: int) -> int:
    """Bins on each side of the middle: 6 at 5 kb and finer (13 x 13 values), 5 above (11 x 11)."""
    return 6 if resolution <= 5_000 else 5


def window_features(patches: np.ndarray, smoothing: float = 1.0) -> np.ndarray:
    """Smooth each square and scale it to 0 to 1.

    The Gaussian's weights are shared among the entries that are known; an entry that is not stays NaN.

    Parameters
    ----------
    patches
        float (n, side, side), NaN where nothing is known.
    smoothing
        Standard deviation, bins.

    Returns
    -------
    numpy.ndarray
        float32 (n, side * side); 0 throughout where all entries are equal.

    Raises
    ------
    DataError
        They are no squares with a middle.
    """
    from scipy.ndimage import gaussian_filter1d

    patches = np.asarray(patches, dtype=np.float64)
    if patches.ndim != 3 or patches.shape[1] != patches.shape[2] or patches.shape[1] % 2 == 0:
        raise DataError(f"squares of an odd number of bins are needed (n, side, side), not {patches.shape}.")
    if not len(patches):
        return np.empty((0, patches.shape[1] ** 2), np.float32)
    known = np.isfinite(patches)
    total, share = np.where(known, patches, 0.0), known.astype(np.float64)
    for axis in (1, 2):
        total, share = (
            gaussian_filter1d(values, smoothing, axis=axis, mode="constant") for values in (total, share)
        )
    smooth = np.where(known, total / np.where(known, share, 1.0), np.nan)
    flat = smooth.reshape(len(smooth), -1)
    low = np.min(flat, axis=1, keepdims=True, where=np.isfinite(flat), initial=np.inf)
    high = np.max(flat, axis=1, keepdims=True, where=np.isfinite(flat), initial=-np.inf)
    spread = np.where(high > low, high - low, 1.0)
    return ((flat - np.where(np.isfinite(low), low, 0.0)) / spread).astype(np.float32)


def _known(features: np.ndarray) -> np.ndarray:
    """Which rows can be judged: those whose middle has a value, bool (n,)."""
    return np.isfinite(features[:, features.shape[1] // 2])


def fit_peakachu(
    patches: np.ndarray,
    labels: np.ndarray,
    blocks: np.ndarray,
    *,
    config: PeakachuConfig | None = None,
    seed: int = 0,
) -> Peakachu:
    """Choose the settings by cross-validation over blocks, and grow a forest on all windows.

    Parameters
    ----------
    patches
        Observed/expected around each pixel, float (n, side, side), side from :func:`half_width`; NaN where
        nothing is known. Windows whose middle is not known take no part.
    labels
        1 loop, 0 no loop, (n,).
    blocks
        Stretch of the genome that each window lies in, integer (n,): no two folds share one.
    config
        Forest and grid.
    seed
        Of folds and forests.

    Raises
    ------
    DataError
        Not one label and block for each window, a label other than 0 and 1, or a class without a window.
    """
    config = config or PeakachuConfig()
    features, labels, blocks = (
        window_features(patches, config.smoothing),
        np.asarray(labels),
        np.asarray(blocks),
    )
    if not len(features) == len(labels) == len(blocks):
        raise DataError(f"{len(features):,} windows, but {len(labels):,} labels and {len(blocks):,} blocks.")
    if not np.isin(labels, (0, 1)).all():
        raise DataError("windows to fit on are labelled 0 or 1; leave out those that are not.")
    kept = _known(features)
    features, labels, blocks = features[kept], labels[kept].astype(np.int64), blocks[kept]
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"{len(labels):,} windows to fit on, all of one class; loops and other pixels are needed."
        )
    scores = _search(features, labels, blocks, config, seed)
    best = max(config.grid, key=lambda settings: scores.get(settings, 0.0))
    return Peakachu(best, scores, config, _forest(best, config, seed).fit(features, labels))


def _search(
    features: np.ndarray, labels: np.ndarray, blocks: np.ndarray, config: PeakachuConfig, seed: int
) -> dict[ForestSettings, float]:
    """Matthews' coefficient of each setting, of what forests say of folds they have not seen."""
    from sklearn.metrics import matthews_corrcoef

    if len(config.grid) == 1:
        return {}
    folds = list(_folds(labels, blocks, config.folds, seed))
    if not folds:
        notify(f"windows lie in too few blocks for a cross-validation; taken is {config.grid[0]}")
        return {}
    scores = {}
    for settings in track(config.grid, "choosing a forest", unit="settings"):
        said = np.full(len(labels), -1)
        for train, held in folds:
            said[held] = (
                _forest(settings, config, seed).fit(features[train], labels[train]).predict(features[held])
            )
        judged = said >= 0
        scores[settings] = float(matthews_corrcoef(labels[judged], said[judged]))
    return scores


def _folds(
    labels: np.ndarray, blocks: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows to train on and those held out; folds that would train on one class are left out."""
    from sklearn.model_selection import StratifiedGroupKFold

    n = min(folds, len(np.unique(blocks)), int(np.bincount(labels).min()))
    if n < 2:
        return
    for train, held in StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(labels, labels, blocks):
        if len(held) and len(np.unique(labels[train])) == 2:
            yield train, held


def _forest(settings: ForestSettings, config: PeakachuConfig, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        config.trees,
        max_depth=settings.depth,
        class_weight="balanced" if settings.balanced else None,
        criterion=settings.criterion,
        max_features="sqrt",
        random_state=seed,
    )


def long_distances(distances: np.ndarray, least: int) -> range:
    """Distances of the paper's long-range negatives, in bins.

    They begin where loops become rare (behind the first of 100 bins of the histogram of distances after which
    the count does not fall), and reach to `least` bins or the longest loop, whichever is further.

    Parameters
    ----------
    distances
        Of the loops, integer (n,), bins.
    least
        Bins; the paper's is 5 Mb.
    """
    counts, edges = np.histogram(distances, bins=100)
    rising = np.flatnonzero(np.diff(counts) >= 0)
    start = int(np.ceil(edges[rising[0] + 1])) if len(rising) else int(edges[-1])
    return range(max(start, 1), max(int(np.max(distances)), least) + 1)


def paper_negatives(
    pixels: PixelTable, x_bins: np.ndarray, y_bins: np.ndarray, *, reach: int = 5_000_000, seed: int = 0
) -> np.ndarray:
    """The paper's negatives: pixels with contacts that are no loops, most of them at other distances.

    Half of the distances follow a Gaussian kernel estimate of the loops' own; half are drawn evenly from all
    pixels of :func:`long_distances`. As many pixels with contacts are taken at each, as far as there are any,
    and of all those as many as there are loops. Distance alone tells the second half from loops, which is why
    tables of this project are made with other negatives unless they say so.

    Parameters
    ----------
    pixels
        Upper triangle of the chromosome, raw counts, as far out as it is held; further out nothing is drawn.
    x_bins, y_bins
        Loops, integer (n,), x <= y.
    reach
        How far the long distances go at least, bp.
    seed
        Seed.

    Returns
    -------
    numpy.ndarray
        int64 (at most n, 2): bins x and y.

    Raises
    ------
    DataError
        There are fewer than two loops: they tell no spread of distances.
    """
    x, y = np.asarray(x_bins, np.int64), np.asarray(y_bins, np.int64)
    if len(x) < 2:
        raise DataError(f"{len(x)} loops tell nothing of their distances; at least two are needed.")
    rng = np.random.default_rng(seed)
    n_bins = pixels.n_bins
    long = np.array(long_distances(y - x, reach // pixels.resolution))
    places = np.maximum(n_bins - long, 0).astype(np.float64)
    wanted = [_kernel_distances(y - x, 3 * len(x), rng)]
    if places.sum() > 0:
        wanted.append(rng.choice(long, 3 * len(x), p=places / places.sum()))
    filled = np.asarray(pixels.count) > 0
    first, second = (np.asarray(bins, np.int64)[filled] for bins in (pixels.bin1, pixels.bin2))
    free = ~np.isin(first * n_bins + second, x * n_bins + y)
    first, gap = first[free], (second - first)[free]
    # Halves are filled one by one, so that a sparse far field does not hand its part to the near one.
    halves = [_drawn(first, gap, distances, rng) for distances in wanted]
    sizes = (len(x) - len(x) // 2, len(x) // 2)
    return np.concatenate([half[:size] for half, size in zip(halves, sizes, strict=False)])


def _kernel_distances(distances: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Distances from a kernel estimate, within the range seen, int64 (at most n,)."""
    from scipy.stats import gaussian_kde

    if len(np.unique(distances)) < 2:
        return np.full(n, distances[0], np.int64)
    drawn = gaussian_kde(distances).resample(n, seed=rng)[0].astype(np.int64)
    inside: np.ndarray = drawn[(drawn >= distances.min()) & (drawn <= distances.max())]
    return inside


def _drawn(first: np.ndarray, gap: np.ndarray, distances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of the pixels (first, first + gap) as many at each distance as asked for, shuffled, int64 (k, 2)."""
    order = np.argsort(gap, kind="stable")
    first, gap = first[order], gap[order]
    found = [np.empty((0, 2), np.int64)]
    for distance, n in zip(*np.unique(distances, return_counts=True), strict=True):
        begin, end = np.searchsorted(gap, [distance, distance + 1])
        x = rng.choice(first[begin:end], min(int(n), int(end - begin)), replace=False)
        found.append(np.stack([x, x + distance], axis=1))
    return rng.permutation(np.concatenate(found))
