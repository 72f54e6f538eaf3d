"""What a list of loops says of itself: its bins, how it ranks its loops, and how far they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..genome import Assembly

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DISTANCES", "Ranking", "anchor_distance", "bin_size", "distance_strata", "ranking"]

#: Bounds of the distance strata in which lists of loops are compared, bp.
DISTANCES = (100_000, 250_000, 500_000, 1_000_000)

_QVALUES = ("qvalue", "q_value", "qval", "fdr", "padj", "fdrdonut")  # as callers name them, in any case
_FINEST_BIN = 100  # bp: anchors narrower than any map's bins are points, whose width says nothing


@dataclass(frozen=True)
class Ranking:
    """By what the loops of a list are ranked.

    Parameters
    ----------
    column
        Its column.
    values
        As the list has them, float64 (n,); NaN where there is none.
    score
        The same so that higher is better: negated q-values, float64 (n,).
    """

    column: str
    values: np.ndarray
    score: np.ndarray


def ranking(loops: pd.DataFrame) -> Ranking | None:
    """The score of each loop, or its q-value where there is no score; None where neither tells two apart.

    Parameters
    ----------
    loops
        Table of `schemas.BEDPE` columns. A score, if any, is higher for better loops; a q-value is lower and
        stands in a column called so (qvalue, fdr, padj, or HiCCUPS' fdrDonut).
    """
    named = {str(column).lower(): str(column) for column in loops.columns}
    for key in ("score", *_QVALUES):
        if key in named and loops[named[key]].dtype.kind in "iuf":
            values = loops[named[key]].to_numpy(np.float64)
            if len(np.unique(values[np.isfinite(values)])) > 1:
                return Ranking(named[key], values, values if key == "score" else -values)
    return None


def bin_size(loops: pd.DataFrame, assembly: Assembly) -> int | None:
    """Width of the bins that all anchors are, bp; None where they are not.

    All must be equally wide, but for those that a chromosome's end cuts, and stand on a grid of that width.
    """
    starts, ends, lengths = (
        np.concatenate(columns)
        for columns in zip(*(_side(loops, side, assembly) for side in ("1", "2")), strict=True)
    )
    if not len(starts):
        return None
    width = int((ends - starts).max())
    whole = (ends - starts == width) | (ends >= lengths)
    on_grid = starts % width == 0
    return width if width >= _FINEST_BIN and (whole & on_grid).all() else None


def _side(loops: pd.DataFrame, side: str, assembly: Assembly) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, ends and lengths of the chromosomes of one anchor, int64 (n,) each."""
    starts, ends = (loops[f"{name}{side}"].to_numpy(np.int64) for name in ("start", "end"))
    lengths = [assembly.length(chrom) for chrom in loops[f"chrom{side}"]]
    return starts, ends, np.array(lengths, np.int64)


def anchor_distance(loops: pd.DataFrame) -> np.ndarray:
    """Distance between the midpoints of the anchors, bp, int64 (n,)."""
    middles = [
        (loops[f"start{k}"].to_numpy(np.int64) + loops[f"end{k}"].to_numpy(np.int64)) // 2 for k in (1, 2)
    ]
    return np.abs(middles[1] - middles[0])


def distance_strata(distance: np.ndarray, edges: Sequence[int] = DISTANCES) -> dict[str, np.ndarray]:
    """Which loops lie in each stratum of distance, bool (n,) by the stratum's name.

    Parameters
    ----------
    distance
        bp, (n,).
    edges
        Ascending bounds, bp. Below the first and from the last on lie strata of their own; the others are
        half-open.
    """
    which = np.searchsorted(np.asarray(edges), distance, side="right")
    return {name: which == k for k, name in enumerate(_stratum_names(edges))}


def _stratum_names(edges: Sequence[int]) -> list[str]:
    between = [
        f"{low // 1000}-{_bp(high)}" if high < 1_000_000 else f"{_bp(low)}-{_bp(high)}"
        for low, high in pairwise(edges)
    ]
    return [f"below {_bp(edges[0])}", *between, f"from {_bp(edges[-1])}"]


def _bp(distance: int) -> str:
    return f"{distance / 1e6:g} Mb" if distance >= 1_000_000 else f"{distance / 1000:g} kb"
