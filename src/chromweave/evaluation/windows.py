"""Predicted contact windows scored in one pass, whatever their number: each leaves only its sums behind.

Every entry is scored once for each window it lies in: windows overlap, and blocks of the genome are
what the intervals rest on. Where a window reaches over the diagonal it holds some pixels of the map twice;
the mirrored ones are left out, unless `MapScoreConfig.mirrored` asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from ..errors import ConfigError, DataError
from .bootstrap import BootstrapConfig, Estimate, block_sums, bootstrap_sums
from .metrics import DistanceCurve, diamond_insulation, spearman
from .moments import Moments
from .samples import counting_entries, paired_values
from .scc import StratumCorrelations

__all__ = ["MapScoreConfig", "WindowMapScores", "paired_differences"]


@dataclass(frozen=True)
class MapScoreConfig:
    """How predicted windows are scored.

    Parameters
    ----------
    clip
        Contacts at which `pearson`, `r2`, `r2_swapped` and `spearman` stop counting, as the paper's targets
        do: they are taken of min(v, clip) / clip.
    smoothing
        h of the SCC: the mean filter has ``2 h + 1`` bins a side, inside of each window; 0 for none.
    insulation_width
        Side of the insulation square, bins; None for no insulation scores.
    mirrored
        Whether a pixel that a window holds twice, at (i, j) and (j, i), counts twice, as in the paper.
        The SCC and insulation use one of the two in any case.
    subsample
        Entries at most that `spearman` ranks.
    """

    clip: float = 255.0
    smoothing: int = 3
    insulation_width: int | None = 10
    mirrored: bool = False
    subsample: int = 2_000_000

    def __post_init__(self) -> None:
        width = self.insulation_width
        if self.clip <= 0 or self.smoothing < 0 or self.subsample < 2 or (width is not None and width < 1):
            raise ConfigError(
                "map scores need clip > 0, smoothing >= 0, insulation_width >= 1 (or none) and "
                f"subsample >= 2, not {self.clip:g}, {self.smoothing}, {width} and {self.subsample}."
            )


@dataclass(frozen=True)
class _Sums:
    """Moments of windows, or of blocks of them: (n, 6) or, by distance, (n, distances, 6).

    `scaled` of clipped contacts over the clip, `insulation` of insulation scores, `contacts` of contacts,
    `logs` of log(contacts + 1), `smooth` of filtered contacts at positions where one of the maps has some.
    """

    scaled: np.ndarray
    insulation: np.ndarray
    contacts: np.ndarray
    logs: np.ndarray
    smooth: np.ndarray


@dataclass(frozen=True)
class _Part:
    """Sums of one batch; place k along the distances is distance ``first + k`` of each window, (n,)."""

    first: np.ndarray
    sums: _Sums


class WindowMapScores:
    """Scores of one method's predicted windows, fed batch by batch.

    `pearson`, `r2`, `r2_swapped`
        Of min(v, clip) / clip, the paper's scale, over all entries that count. R2 has truth first; the
        paper's exchanged form is `r2_swapped` only.
    `spearman`
        Of the same values, over a random subsample that depends on nothing but the entries' order; without
        an interval.
    `log_oe_pearson`
        Of log((v + 1) / (m_d + 1)), where m_d is the mean of the truth's (for predictions: of the
        predictions') entries at distance d, over the windows being scored: a resampled set has its own means.
    `scc`
        HiCRep's stratum-adjusted correlation (`scc.stratum_correlations`), a stratum being a distance from
        1 bin on, pooled over windows; the filter sees what counts inside of the window.
    `insulation`
        Of diamond insulation scores, only of windows on the diagonal (x = y).

    Memory grows with windows times their distances: 7 kB for one on the diagonal with 50 bins a side, 14 kB
    elsewhere.
    """

    def __init__(self, config: MapScoreConfig | None = None) -> None:
        self.config = config or MapScoreConfig()
        self._parts: list[_Part] = []
        self._ranked = _Subsample(self.config.subsample)

    def __len__(self) -> int:
        """Windows added."""
        return sum(len(part.first) for part in self._parts)

    def add(
        self, truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None, distance: np.ndarray
    ) -> None:
        """Take in a batch of windows.

        Parameters
        ----------
        truth, prediction
            Contacts on a linear scale, float (n, s, s): balanced, on the scale of counts. A prediction
            below 0 is one of no contact, 0.
        mask
            Entries that count, bool (n, s, s); those without a truth (NaN) never do.
        distance
            Bins, int (n, s, s), from `trivial.distance_grid`.

        Raises
        ------
        DataError
            The prediction is missing where it counts, the truth is negative, or the shapes do not fit.
        """
        paired_values(truth, prediction, mask)  # a missing prediction is an error here as anywhere
        counts = counting_entries(truth, mask)
        t, p = (np.where(counts, np.asarray(v, dtype=np.float64), 0.0) for v in (truth, prediction))
        if t.min(initial=0.0) < 0:
            raise DataError(f"true contacts go down to {t.min():g}; give them on a linear scale, from 0 on.")
        ahead = _ahead(np.asarray(distance), t.shape)
        if len(t):
            self._add(t, np.maximum(p, 0.0), counts, ahead)

    def _add(self, t: np.ndarray, p: np.ndarray, counts: np.ndarray, ahead: np.ndarray) -> None:
        kept = counts if self.config.mirrored else counts & (ahead >= 0)
        clip = self.config.clip
        scaled_t, scaled_p = np.minimum(t, clip) / clip, np.minimum(p, clip) / clip
        self._ranked.add(scaled_t[kept], scaled_p[kept])
        distance = np.abs(ahead)
        first = distance.min(axis=(1, 2))
        place = distance - first[:, None, None]
        smooth_t, smooth_p = (_smooth(v, counts, ahead, self.config.smoothing) for v in (t, p))
        seen = counts & (ahead > 0) & ((smooth_t != 0) | (smooth_p != 0))
        sums = _Sums(
            scaled=Moments.of(scaled_t, scaled_p, kept, axis=(1, 2)).sums,
            insulation=self._insulation(t, p, counts, ahead),
            contacts=_by_place(t, p, kept, place),
            logs=_by_place(np.log1p(t), np.log1p(p), kept, place),
            smooth=_by_place(smooth_t, smooth_p, seen, place),
        )
        self._parts.append(_Part(first, sums))

    def _insulation(self, t: np.ndarray, p: np.ndarray, counts: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(t), 6))
        rows = np.flatnonzero(ahead[:, 0, 0] == 0)
        if self.config.insulation_width is not None and len(rows):
            a, b = (diamond_insulation(v[rows], self.config.insulation_width, counts[rows]) for v in (t, p))
            sums[rows] = Moments.of(a, b, np.isfinite(a) & np.isfinite(b), axis=-1).sums
        return sums

    def estimates(
        self, blocks: np.ndarray, seed: int, config: BootstrapConfig | None = None
    ) -> dict[str, Estimate]:
        """Score all windows added.

        Parameters
        ----------
        blocks
            Block of each window in the order they were added, (n,), as from `bootstrap.genome_blocks`.
        seed
            Of the draws, which all metrics share.
        config
            Number of draws and level of the intervals.

        Returns
        -------
        dict of str to Estimate
            By metric, in the order of the class's description; `Estimate.n` is the number of windows
            that have entries for the metric.

        Raises
        ------
        DataError
            There are more, or fewer, blocks than windows.
        """
        sums, windows = self._block_sums(blocks), self._windows()
        found = {
            name: bootstrap_sums(
                metric.of,
                [getattr(sums, field) for field in metric.fields],
                n=windows[metric.fields[0]],
                seed=seed,
                config=config,
            )
            for name, metric in _METRICS.items()
        }
        value = spearman(*self._ranked.values)
        return found | {"spearman": Estimate(value, np.nan, np.nan, windows["scaled"], len(sums.scaled), 0)}

    def by_distance(self) -> DistanceCurve:
        """Pearson correlation of contacts, neither clipped nor logged, at each distance over all windows."""
        moments = Moments(self._block_sums(np.zeros(len(self), dtype=np.int64)).contacts).sum()
        held = np.flatnonzero(moments.n)
        return DistanceCurve(held, moments.pearson()[held], moments.n[held].astype(np.int64))

    def _windows(self) -> dict[str, int]:
        """Windows with an entry in each kind of sums."""
        found = {}
        for field in fields(_Sums):
            sums = [getattr(part.sums, field.name) for part in self._parts]
            found[field.name] = sum(int((s[..., 0].reshape(len(s), -1) > 0).any(axis=1).sum()) for s in sums)
        return found

    def _block_sums(self, blocks: np.ndarray) -> _Sums:
        """Sums of each block, at distances from 0."""
        blocks = np.asarray(blocks)
        if len(blocks) != len(self) or len(self) == 0:
            raise DataError(
                f"{len(self):,} windows were added, but {len(blocks):,} blocks are given; give one for each "
                "window, in the order they were added."
            )
        group = np.unique(blocks, return_inverse=True)[1]
        groups = np.split(group, np.cumsum([len(part.first) for part in self._parts])[:-1])
        pooled = {}
        for field in fields(_Sums):
            parts = [getattr(part.sums, field.name) for part in self._parts]
            if parts[0].ndim == 2:
                pooled[field.name] = block_sums(np.concatenate(parts), group)
            else:
                pooled[field.name] = self._place(parts, groups)
        return _Sums(**pooled)

    def _place(self, parts: list[np.ndarray], groups: list[np.ndarray]) -> np.ndarray:
        """Add each window's distances to those of its block, float64 (blocks, distances, 6)."""
        firsts = [part.first for part in self._parts]
        n_distances = max(int(f.max()) + s.shape[1] for f, s in zip(firsts, parts, strict=True))
        total = np.zeros((max(int(g.max()) for g in groups) + 1, n_distances, 6))
        for group, first, sums in zip(groups, firsts, parts, strict=True):
            np.add.at(total, (group[:, None], first[:, None] + np.arange(sums.shape[1])), sums)
        return total


def paired_differences(
    first: WindowMapScores,
    second: WindowMapScores,
    blocks: np.ndarray,
    seed: int,
    config: BootstrapConfig | None = None,
) -> dict[str, Estimate]:
    """Estimate every metric of `first` minus that of `second` over the same resampled blocks.

    Parameters
    ----------
    first, second
        Scores of two methods on the same windows, added in the same order.
    blocks, seed, config
        As for :meth:`WindowMapScores.estimates`.

    Returns
    -------
    dict of str to Estimate
        By metric; `spearman`, which has no interval, is left out.

    Raises
    ------
    DataError
        The two were not scored on the same truth, or not with one config.
    """
    one, two = first._block_sums(blocks), second._block_sums(blocks)
    if first.config != second.config or not _same_truth(one, two):
        raise DataError(
            "the two methods were not scored alike; give both the same windows and masks, in one order, "
            "and one config."
        )
    windows = first._windows()

    def difference(metric: _Metric) -> Callable[..., float]:
        half = len(metric.fields)
        return lambda *totals: metric.of(*totals[:half]) - metric.of(*totals[half:])

    return {
        name: bootstrap_sums(
            difference(metric),
            [getattr(sums, field) for sums in (one, two) for field in metric.fields],
            n=windows[metric.fields[0]],
            seed=seed,
            config=config,
        )
        for name, metric in _METRICS.items()
    }


def _same_truth(one: _Sums, two: _Sums) -> bool:
    """Whether entries, truth and squared truth add up to the same at every distance of every block."""
    a, b = (sums.contacts[..., [0, 1, 3]] for sums in (one, two))
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=0)


@dataclass(frozen=True)
class _Metric:
    """A metric of the totals of some of the `fields` of :class:`_Sums`."""

    fields: tuple[str, ...]
    of: Callable[..., float]


def _log_oe_pearson(contacts: np.ndarray, logs: np.ndarray) -> float:
    expected = np.log1p(Moments(contacts).mean)
    moments = Moments(logs)
    over_expected = moments.about(expected[:, 0], expected[:, 1]).sum()
    return float(over_expected.pearson(scale=moments.sum()))


_METRICS = {
    "pearson": _Metric(("scaled",), lambda sums: float(Moments(sums).pearson())),
    "r2": _Metric(("scaled",), lambda sums: float(Moments(sums).r2())),
    "r2_swapped": _Metric(("scaled",), lambda sums: float(Moments(sums).r2_swapped())),
    "log_oe_pearson": _Metric(("contacts", "logs"), _log_oe_pearson),
    "scc": _Metric(("smooth",), lambda sums: StratumCorrelations.of(Moments(sums[1:])).scc),
    "insulation": _Metric(("insulation",), lambda sums: float(Moments(sums).pearson())),
}


def _ahead(distance: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Signed distance, int64 (n, s, s), positive on the side of the diagonal most of the window lies on."""
    if len(shape) != 3 or shape[1] != shape[2] or distance.shape != shape:
        raise DataError(
            f"windows and their distances must be of one shape (n, s, s), not {shape} and {distance.shape}."
        )
    step = np.arange(shape[1])
    # x > y where distances fall along the first row faster than down the first column.
    turned = distance[:, 0, -1:] < distance[:, -1:, 0]
    sign = np.where(turned, -1, 1)[:, :, None]
    ahead = distance[:, :1, :1] + sign * (step - step[:, None])
    if not np.array_equal(np.abs(ahead), distance):
        raise DataError("these are no distances of windows' entries; take them from trivial.distance_grid.")
    return np.asarray(ahead, dtype=np.int64)


def _by_place(t: np.ndarray, p: np.ndarray, counts: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Moments at each place, float64 (n, places, 6)."""
    n, span = len(t), int(place.max()) + 1
    index = (np.arange(n)[:, None, None] * span + place)[counts]
    t, p = t[counts], p[counts]
    columns = [None, t, p, t * t, p * p, t * p]
    sums = [np.bincount(index, column, n * span) for column in columns]
    return np.stack(sums, axis=-1).reshape(n, span, 6)


def _smooth(values: np.ndarray, counts: np.ndarray, ahead: np.ndarray, h: int) -> np.ndarray:
    """HiCRep's mean filter over what counts; the diagonal and what lies beyond it hold 0 there."""
    total = _box_sum(np.where(counts & (ahead > 0), values, 0.0), h)
    area = _box_sum(counts.astype(np.float64), h)
    return np.divide(total, area, out=np.zeros_like(total), where=area > 0)


def _box_sum(values: np.ndarray, h: int) -> np.ndarray:
    """Sums over squares of ``2 h + 1`` entries a side, by adding and never subtracting: 0 stays exact."""
    for axis in (1, 2):
        padded = np.pad(values, [(h, h) if a == axis else (0, 0) for a in range(3)])
        slices = np.lib.stride_tricks.sliding_window_view(padded, 2 * h + 1, axis=axis)
        values = slices.sum(axis=-1)
    return values


class _Subsample:
    """At most `limit` pairs of all that pass by, each with the same chance, the same on every run."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._generator = np.random.default_rng(0)
        self._highest = 1.0
        self._key: list[np.ndarray] = []
        self._pairs: list[np.ndarray] = []

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        key = self._generator.random(len(truth))  # one number for an entry, however batches are cut
        kept = key < self._highest
        self._key.append(key[kept])
        self._pairs.append(np.stack([truth, prediction])[:, kept])
        while sum(map(len, self._key)) > self._limit:
            self._highest /= 2
            key, pairs = np.concatenate(self._key), np.concatenate(self._pairs, axis=1)
            kept = key < self._highest
            self._key, self._pairs = [key[kept]], [pairs[:, kept]]

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and prediction, float64 (k,)."""
        truth, prediction = np.concatenate([np.zeros((2, 0)), *self._pairs], axis=1)
        return truth, prediction
