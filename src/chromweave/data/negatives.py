"""Pixels that are no loops, to set against loops: matched by distance, or as published.

`strict`: for each positive, one pixel of the same distance, chromosome and split, nowhere near any loop,
judged by the same filter; with `at_anchors` only pairs of loop anchors. `paper`: the two-part scheme of
MIX-HIC's code, inherited from Peakachu (Salameh et al., Nature Communications 2020) through DLoopCaller,
whose negatives distance alone tells from loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..progress import track
from .placement import Placement
from .quality import QualityFilter

__all__ = ["Matched", "Pairs", "long_distances", "paper_negatives", "strict_negatives"]

_FEWEST_TRIED = 16


@dataclass(frozen=True)
class Pairs:
    """Anchor bins of one chromosome, x <= y, int64."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Matched:
    """Positives of a chromosome, and negatives with the same distances in the same splits.

    Parameters
    ----------
    kept
        bool, by positive: False for those for which no negative was left.
    negatives
        As many as positives kept.
    """

    kept: np.ndarray
    negatives: Pairs


def strict_negatives(
    placement: Placement,
    chrom: str,
    positives: Pairs,
    known: Pairs,
    *,
    quality: QualityFilter,
    zone: int = 3,
    at_anchors: bool = False,
    seed: int = 0,
) -> Matched:
    """One negative for each positive: same distance, same split, more than `zone` bins from every known loop.

    Parameters
    ----------
    placement, chrom
        Where windows may lie.
    positives
        Loops to be matched; they have passed `quality`.
    known
        Every loop of the chromosome, whether it became a window or not.
    quality
        The filter positives have passed.
    zone
        Chebyshev radius in bins.
    at_anchors
        Only pixels both of whose bins are anchors of known loops, of different ones: what the tracks show at
        either end then tells nothing, and which ends belong together is the question. Some such pairs may be
        loops that nobody called.
    seed
        Seed.
    """
    index = list(placement.store.assembly.chromosomes).index(chrom)
    rng = np.random.default_rng([seed, index])
    splits = placement.split_of(chrom, positives.x, positives.y)
    distances = positives.y - positives.x
    near = _Zone(known, zone)
    ends = np.unique(np.concatenate([known.x, known.y]))
    kept = np.zeros(len(positives), np.bool_)
    groups = []
    for split in np.unique(splits):
        for distance in np.unique(distances[splits == split]):
            members = rng.permutation(np.flatnonzero((splits == split) & (distances == distance)))
            pool = near.outside(placement.anchors(chrom, str(split), int(distance)), int(distance))
            if at_anchors:
                pool = pool[np.isin(pool, ends) & np.isin(pool + distance, ends)]
            groups.append(_Group(int(distance), members, rng.permutation(pool)))
    _fill(groups, placement, chrom, quality)
    for group in groups:
        kept[group.members[: len(group.found)]] = True
    x = np.concatenate([np.empty(0, np.int64), *(group.found for group in groups)])
    gap = np.concatenate([np.empty(0, np.int64), *(np.full(len(g.found), g.distance) for g in groups)])
    return Matched(kept, Pairs(x, x + gap))


@dataclass
class _Group:
    """Positives of one distance and split, and the pixels their negatives are drawn from, in random order."""

    distance: int
    members: np.ndarray
    pool: np.ndarray
    tried: int = 0

    def __post_init__(self) -> None:
        self.found = np.empty(0, np.int64)

    def next(self) -> np.ndarray:
        missing = len(self.members) - len(self.found)
        size = max(2 * missing, _FEWEST_TRIED) if missing else 0
        drawn = self.pool[self.tried : self.tried + size]
        self.tried += len(drawn)
        return drawn

    def take(self, passed: np.ndarray) -> None:
        self.found = np.concatenate([self.found, passed])[: len(self.members)]


def _fill(groups: list[_Group], placement: Placement, chrom: str, quality: QualityFilter) -> None:
    """Judge candidates of all groups together, round after round, until each is full or has no more."""
    while True:
        drawn = [group.next() for group in groups]
        if not any(len(x) for x in drawn):
            return
        x = np.concatenate(drawn)
        gap = np.repeat([group.distance for group in groups], [len(one) for one in drawn])
        passed = placement.passes(quality, chrom, x, x + gap)
        ends = np.cumsum([len(one) for one in drawn])[:-1]
        for group, candidates, good in zip(groups, drawn, np.split(passed, ends), strict=True):
            group.take(candidates[good])


class _Zone:
    """Pixels within a Chebyshev radius of known loops."""

    def __init__(self, known: Pairs, radius: int) -> None:
        shift = np.arange(-radius, radius + 1)
        first = (known.x[:, None, None] + shift[:, None]) + 0 * shift
        second = (known.y[:, None, None] + shift) + 0 * shift[:, None]
        start, distance = np.minimum(first, second).ravel(), np.abs(second - first).ravel()
        order = np.argsort(distance, kind="stable")
        self._start, self._distance = start[order], distance[order]

    def outside(self, x: np.ndarray, distance: int) -> np.ndarray:
        """Those of the pixels (x, x + distance) that lie outside."""
        begin, end = np.searchsorted(self._distance, [distance, distance + 1])
        return x[~np.isin(x, self._start[begin:end])]


def paper_negatives(
    placement: Placement,
    positives: Mapping[str, Pairs],
    *,
    quality: QualityFilter,
    distances: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Pairs]:
    """Negatives as in MIX-HIC's code.

    For a chromosome of n loops, 3 n distances from a Gaussian kernel estimate of all loops' distances and 3 n
    from :func:`long_distances`, falling linearly to the chromosome's end; that many pixels with contacts that
    are no loops, without replacement; shuffled, filtered, and the first n - 1 kept.

    Parameters
    ----------
    placement
        Where windows may lie; pixels outside every split are not drawn.
    positives
        Unfiltered, unique loops of each chromosome within the distance range.
    quality
        Filter of the negatives (the paper's is without the anchor rule).
    distances
        Distances in bins of all loops of the genome; those of `positives` if not given.
    seed
        Seed.

    Raises
    ------
    DataError
        There is no loop.
    """
    own = [pairs.y - pairs.x for pairs in positives.values()]
    every = np.concatenate([np.empty(0, np.int64), *own]) if distances is None else distances
    if not len(every):
        raise DataError("no loop in the distance range to draw negatives for; widen it, or give other loops.")
    order = list(placement.store.assembly.chromosomes)
    found = {}
    for chrom, pairs in track(positives.items(), "drawing negatives", unit="chromosome"):
        rng = np.random.default_rng([seed, order.index(chrom)])
        draws = np.concatenate(
            [
                _kernel_distances(every, 3 * len(pairs), rng),
                _falling_distances(every, 3 * len(pairs), placement.n_bins(chrom), rng),
            ]
        )
        candidates = _draw_pixels(placement, chrom, pairs, draws, rng)
        found[chrom] = _first_passing(placement, chrom, candidates, quality, len(pairs) - 1)
    return found


def long_distances(distances: np.ndarray) -> range:
    """The "long" distances of the published scheme, in bins.

    To the largest; from the lower edge of the bin two after the first of a 100-bin histogram behind which the
    count does not fall.
    """
    counts, edges = np.histogram(distances, bins=100)
    rising = np.flatnonzero(np.diff(counts) >= 0)
    start = int(edges[rising[0] + 2]) if len(rising) else int(edges[-1])
    return range(start, int(distances.max()) + 1)


def _kernel_distances(distances: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    from scipy.stats import gaussian_kde

    if len(np.unique(distances)) < 2:  # no kernel can be estimated from one value
        return np.full(n, distances[0], np.int64)
    drawn = gaussian_kde(distances).resample(n, seed=rng)[0].astype(np.int64)
    kept: np.ndarray = drawn[(drawn >= distances.min()) & (drawn <= distances.max())]
    return kept


def _falling_distances(distances: np.ndarray, n: int, side: int, rng: np.random.Generator) -> np.ndarray:
    long = np.array(long_distances(distances))
    weight = np.maximum(side - long, 0).astype(np.float64)
    if weight.sum() == 0:
        return np.empty(0, np.int64)
    return rng.choice(long, size=n, p=weight / weight.sum())


def _draw_pixels(
    placement: Placement, chrom: str, loops: Pairs, distances: np.ndarray, rng: np.random.Generator
) -> Pairs:
    """As many random filled pixels of each distance as `distances` asks for, no loops, shuffled."""
    layer = placement.store.layer(chrom, placement.resolution)
    pixels, valid = layer.pixels(), layer.valid()
    usable = valid[pixels.bin1] & valid[pixels.bin2]
    first, gap = pixels.bin1[usable].astype(np.int64), (pixels.bin2 - pixels.bin1)[usable]
    order = np.argsort(gap, kind="stable")
    first, gap = first[order], gap[order]
    drawn = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64))]
    for distance, n in zip(*np.unique(distances, return_counts=True), strict=True):
        begin, end = np.searchsorted(gap, [distance, distance + 1])
        x = np.setdiff1d(first[begin:end], loops.x[loops.y - loops.x == distance])
        x = x[placement.split_of(chrom, x, x + distance) != ""]
        x = x[placement.clear(chrom)[x] & placement.clear(chrom)[x + distance]]
        x = rng.choice(x, size=min(n, len(x)), replace=False)
        drawn.append(Pairs(x, x + distance))
    shuffled = rng.permutation(sum(len(one) for one in drawn))
    return Pairs(
        np.concatenate([one.x for one in drawn])[shuffled], np.concatenate([one.y for one in drawn])[shuffled]
    )


def _first_passing(
    placement: Placement, chrom: str, candidates: Pairs, quality: QualityFilter, n: int
) -> Pairs:
    """The first `n` candidates that pass the filter."""
    inside = placement.inside(chrom, candidates.x, candidates.y)
    x, y = candidates.x[inside], candidates.y[inside]
    passed: list[np.ndarray] = []
    for start in range(0, len(x), 4096):
        part = slice(start, start + 4096)
        passed.append(start + np.flatnonzero(placement.passes(quality, chrom, x[part], y[part])))
        if sum(map(len, passed)) >= n:
            break
    chosen = np.concatenate([np.empty(0, np.int64), *passed])[: max(n, 0)]
    return Pairs(x[chosen], y[chosen])
