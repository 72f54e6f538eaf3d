"""Two lists of loops laid side by side, one to one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MatchCurve", "Matching", "match_curve", "match_loops", "shifted_control"]


@dataclass(frozen=True)
class Matching:
    """Which call is which true loop.

    Parameters
    ----------
    call, truth
        Row positions of matched loops in the two tables, int64 (m,) each, ordered by call.
    n_calls, n_truth
        Rows of the two tables.
    """

    call: np.ndarray
    truth: np.ndarray
    n_calls: int
    n_truth: int

    def __len__(self) -> int:
        return len(self.call)

    @property
    def call_matched(self) -> np.ndarray:
        """Which calls are true loops, bool (n_calls,)."""
        return np.isin(np.arange(self.n_calls), self.call)

    @property
    def truth_matched(self) -> np.ndarray:
        """Which true loops were called, bool (n_truth,)."""
        return np.isin(np.arange(self.n_truth), self.truth)

    @property
    def precision(self) -> float:
        """Fraction of calls that are true loops; NaN without calls."""
        return len(self) / self.n_calls if self.n_calls else float("nan")

    @property
    def recall(self) -> float:
        """Fraction of true loops that were called; NaN without truth."""
        return len(self) / self.n_truth if self.n_truth else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where both lists are empty."""
        both = self.n_calls + self.n_truth
        return 2 * len(self) / both if both else float("nan")


def match_loops(
    calls: pd.DataFrame,
    truth: pd.DataFrame,
    tolerance_bins: int,
    resolution: int,
    *,
    anchor: Literal["midpoint", "start"] = "midpoint",
    score: np.ndarray | None = None,
) -> Matching:
    """Match calls to true loops one to one, as many as can be matched.

    A call and a true loop may be matched if they lie on the same chromosome pair and both anchors' bins
    differ by at most `tolerance_bins`. Of all ways to pair them off, one with the most pairs is taken
    (maximum bipartite matching), so that neither the order nor the scores of the lists decide how many.
    Calls find their partners one by one, those before changing theirs where they must (augmenting paths;
    Kuhn 1955, Nav. Res. Logist. Q. 2, 83); none that has one loses it. Hence of the k best calls, whatever
    k, as many are matched as could be matched without the others.

    Parameters
    ----------
    calls, truth
        Tables of `schemas.BEDPE` columns; either order of the anchors.
    tolerance_bins
        Largest difference in bins.
    resolution
        Bin size, bp.
    anchor
        Which point of an anchor stands for it.
    score
        Of each call, float (n_calls,), higher is better: the best are matched first, those without one (NaN)
        last. Without it, in the order of the table.

    Raises
    ------
    ConfigError
        The tolerance is negative or the resolution not positive.
    DataError
        There is not one score for each call.
    """
    if tolerance_bins < 0 or resolution <= 0:
        raise ConfigError(
            f"matching needs tolerance_bins >= 0 and resolution > 0, not {tolerance_bins} and {resolution}."
        )
    rank = _ranks(score, len(calls))
    first, second = _sites(calls, resolution, anchor), _sites(truth, resolution, anchor)
    call_parts, truth_parts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for pair, rows in first.items():
        if pair in second:
            best_first = rows[np.argsort(rank[rows[:, 2]])]
            matched = _match(best_first, second[pair], tolerance_bins)
            call_parts.append(best_first[matched[:, 0], 2])
            truth_parts.append(second[pair][matched[:, 1], 2])
    call, true = np.concatenate(call_parts), np.concatenate(truth_parts)
    order = np.argsort(call)
    return Matching(call[order], true[order], len(calls), len(truth))


def _ranks(score: np.ndarray | None, n: int) -> np.ndarray:
    """Place of each call, 0 for the best, int64 (n,); equal scores in the order of the table."""
    if score is None:
        return np.arange(n)
    values = _scores(score, n)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(n)  # NaN sorts last
    return rank


def _scores(score: np.ndarray, n: int) -> np.ndarray:
    values = np.asarray(score, dtype=np.float64)
    if values.shape != (n,):
        raise DataError(f"{n:,} calls, but scores of shape {values.shape}; give one for each.")
    return values


def _sites(
    loops: pd.DataFrame, resolution: int, anchor: Literal["midpoint", "start"]
) -> dict[tuple[str, str], np.ndarray]:
    """Rows (first bin, second bin, position in the table) of each pair of chromosomes, int64 (n, 3)."""
    chroms = [loops[f"chrom{k}"].to_numpy(dtype=object) for k in (1, 2)]
    ends = [loops[f"start{k}" if anchor == "start" else f"end{k}"].to_numpy(dtype=np.int64) for k in (1, 2)]
    bins = [(loops[f"start{k}"].to_numpy(dtype=np.int64) + ends[k - 1]) // 2 // resolution for k in (1, 2)]
    swap = (chroms[0] > chroms[1]) | ((chroms[0] == chroms[1]) & (bins[0] > bins[1]))
    grouped: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for k in range(len(loops)):
        a, b = (1, 0) if swap[k] else (0, 1)
        grouped.setdefault((chroms[a][k], chroms[b][k]), []).append((bins[a][k], bins[b][k], k))
    return {pair: np.array(rows, dtype=np.int64) for pair, rows in grouped.items()}


def _match(first: np.ndarray, second: np.ndarray, tolerance: int) -> np.ndarray:
    """Pairs of rows (first, second) of a maximum matching, int64 (m, 2); rows of `first` in their order."""
    from scipy.spatial import cKDTree

    within = cKDTree(first[:, :2]).query_ball_tree(cKDTree(second[:, :2]), tolerance, p=np.inf)
    near = [
        sorted(found, key=lambda j: (int(np.abs(second[j, :2] - site).max()), j))
        for site, found in zip(first[:, :2], within, strict=True)
    ]
    owner: dict[int, int] = {}
    partner: dict[int, int] = {}
    for i in range(len(first)):
        _augment(i, near, owner, partner)
    return np.array(sorted(partner.items()), dtype=np.int64).reshape(-1, 2)


def _augment(start: int, near: list[list[int]], owner: dict[int, int], partner: dict[int, int]) -> None:
    """Find row `start` a partner by the shortest path on which others change theirs, if there is one."""
    reached: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        row = waiting.popleft()
        for candidate in near[row]:
            if candidate in reached:
                continue
            reached[candidate] = row
            if candidate not in owner:
                _hand_over(candidate, start, reached, owner, partner)
                return
            waiting.append(owner[candidate])


def _hand_over(
    free: int, start: int, reached: dict[int, int], owner: dict[int, int], partner: dict[int, int]
) -> None:
    """Give each row on the path that ends at `free` the candidate that it reached."""
    while True:
        row = reached[free]
        before = partner.get(row)
        owner[free], partner[row] = row, free
        if row == start or before is None:
            return
        free = before


@dataclass(frozen=True)
class MatchCurve:
    """Precision and recall as calls are taken from the best down, one entry for each distinct score.

    Parameters
    ----------
    score
        Least score taken, float64 (k,), falling; the last is NaN if some calls have none.
    called, matched
        Calls taken, and how many of them are true loops, int64 (k,).
    n_truth
        True loops.
    """

    score: np.ndarray
    called: np.ndarray
    matched: np.ndarray
    n_truth: int

    def __len__(self) -> int:
        return len(self.score)

    @property
    def precision(self) -> np.ndarray:
        """Fraction of the calls taken that are true loops, float64 (k,)."""
        return self.matched / self.called

    @property
    def recall(self) -> np.ndarray:
        """Fraction of true loops among the calls taken, float64 (k,); NaN without truth."""
        return self.matched / self.n_truth if self.n_truth else np.full(len(self), np.nan)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of both, float64 (k,)."""
        return 2 * self.matched / (self.called + self.n_truth)

    @property
    def average_precision(self) -> float:
        """Area under the curve as a step function; true loops that no call finds add nothing to it.

        NaN without calls or without truth.
        """
        if not (len(self) and self.n_truth):
            return float("nan")
        gained = np.diff(self.matched, prepend=0) / self.n_truth
        return float((gained * self.precision).sum())


def match_curve(matching: Matching, score: np.ndarray) -> MatchCurve:
    """Take calls from the best down.

    Parameters
    ----------
    matching
        Of :func:`match_loops`, given the same scores: then every entry is what the calls taken would match
        on their own.
    score
        Of each call, float (n_calls,), higher is better; calls without one (NaN) come last, together.

    Raises
    ------
    DataError
        There is not one score for each call.
    """
    values = _scores(score, matching.n_calls)
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    # Equal scores are taken together; NaN differs from itself, but is one group all the same.
    new = (ranked[1:] != ranked[:-1]) & ~np.isnan(ranked[:-1])
    last = np.flatnonzero(np.append(new, True)) if len(ranked) else np.empty(0, np.int64)
    matched = np.cumsum(matching.call_matched[order], dtype=np.int64)
    return MatchCurve(ranked[last], last + 1, matched[last], matching.n_truth)


def shifted_control(
    calls: pd.DataFrame,
    truth: pd.DataFrame,
    tolerance_bins: int,
    resolution: int,
    *,
    shifts: tuple[int, ...] = (-1_000_000, -500_000, 500_000, 1_000_000),
    anchor: Literal["midpoint", "start"] = "midpoint",
    counted: Callable[[pd.DataFrame], np.ndarray] | None = None,
) -> float:
    """Precision of calls moved along the chromosome: what chance alone would match.

    Parameters
    ----------
    calls, truth, tolerance_bins, resolution, anchor
        As for :func:`match_loops`.
    shifts
        Distances, bp, by which both anchors move; calls that would start below 0 are left out.
    counted
        Of moved calls, which to count, bool (n,): those that lie where a true loop could. Without it, all.

    Returns
    -------
    float
        Matched fraction over all shifts; NaN where no moved call is left.
    """
    matched = moved = 0
    coordinates = ["start1", "end1", "start2", "end2"]
    for shift in shifts:
        copy = calls.copy()
        copy[coordinates] += shift
        copy = copy[(copy["start1"] >= 0) & (copy["start2"] >= 0)]
        if counted is not None:
            copy = copy[counted(copy)]
        matching = match_loops(copy, truth, tolerance_bins, resolution, anchor=anchor)
        matched += len(matching)
        moved += matching.n_calls
    return matched / moved if moved else float("nan")
