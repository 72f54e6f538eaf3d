"""Two lists of loops laid side by side, one to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Matching", "match_loops", "shifted_control"]


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
) -> Matching:
    """Match calls to true loops one to one, as many as can be matched.

    A call and a true loop may be matched if they lie on the same chromosome pair and both anchors' bins
    differ by at most `tolerance_bins`. Of all ways to pair them off, one with the most pairs is taken
    (maximum bipartite matching, Hopcroft-Karp), so that neither the order nor the scores of the lists decide.

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

    Raises
    ------
    ConfigError
        The tolerance is negative or the resolution not positive.
    """
    if tolerance_bins < 0 or resolution <= 0:
        raise ConfigError(
            f"matching needs tolerance_bins >= 0 and resolution > 0, not {tolerance_bins} and {resolution}."
        )
    first, second = _sites(calls, resolution, anchor), _sites(truth, resolution, anchor)
    call_parts, truth_parts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for pair, rows in first.items():
        if pair in second:
            matched = _match(rows, second[pair], tolerance_bins)
            call_parts.append(rows[matched[:, 0], 2])
            truth_parts.append(second[pair][matched[:, 1], 2])
    call, true = np.concatenate(call_parts), np.concatenate(truth_parts)
    order = np.argsort(call)
    return Matching(call[order], true[order], len(calls), len(truth))


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
    """Pairs of rows (first, second) of a maximum matching, int64 (m, 2)."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching
    from scipy.spatial import cKDTree

    near = cKDTree(first[:, :2]).query_ball_tree(cKDTree(second[:, :2]), tolerance, p=np.inf)
    edges = np.array([(i, j) for i, found in enumerate(near) for j in sorted(found)], dtype=np.int64)
    if len(edges) == 0:
        return np.empty((0, 2), np.int64)
    graph = csr_matrix(
        (np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(len(first), len(second))
    )
    partner = maximum_bipartite_matching(graph, perm_type="column")
    matched = np.flatnonzero(partner >= 0)
    return np.stack([matched, partner[matched]], axis=1)


def shifted_control(
    calls: pd.DataFrame,
    truth: pd.DataFrame,
    tolerance_bins: int,
    resolution: int,
    *,
    shifts: tuple[int, ...] = (-1_000_000, -500_000, 500_000, 1_000_000),
    anchor: Literal["midpoint", "start"] = "midpoint",
) -> float:
    """Precision of calls moved along the chromosome: what chance alone would match.

    Parameters
    ----------
    calls, truth, tolerance_bins, resolution, anchor
        As for :func:`match_loops`.
    shifts
        Distances, bp, by which both anchors move; calls that would start below 0 are left out.

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
        matching = match_loops(copy, truth, tolerance_bins, resolution, anchor=anchor)
        matched += len(matching)
        moved += matching.n_calls
    return matched / moved if moved else float("nan")
