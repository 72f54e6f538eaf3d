"""What stands between candidates and a table of windows, and how many each rule takes away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .placement import Placement
from .quality import QualityFilter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Funnel", "anchors", "placed_windows"]


@dataclass
class Funnel:
    """Counts what each rule takes away.

    Parameters
    ----------
    dropped
        So far, by rule, in the order in which they were applied.
    """

    dropped: dict[str, int] = field(default_factory=dict)

    def keep(self, rule: str, table: pd.DataFrame, keep: Any) -> pd.DataFrame:
        """The rows for which `keep` holds; the others are counted."""
        kept = table[np.asarray(keep, dtype=np.bool_)]
        self.dropped[rule] = self.dropped.get(rule, 0) + len(table) - len(kept)
        return kept


def placed_windows(
    candidates: pd.DataFrame, placement: Placement, quality: QualityFilter, funnel: Funnel
) -> pd.DataFrame:
    """The candidates that may lie where they lie and pass the filter, with their split.

    Parameters
    ----------
    candidates
        chrom, and anchor bins x <= y.
    placement
        Where windows may lie.
    quality
        The filter; of no concern where there are no maps to judge.
    funnel
        Keeps count.
    """
    import pandas as pd

    found = [candidates.iloc[:0].assign(split="")]
    for chrom, here in candidates.groupby("chrom", sort=False):
        here = funnel.keep("sticks out of the chromosome", here, placement.inside(chrom, *anchors(here)))
        x, y = anchors(here)
        clear = placement.clear(chrom)
        here = funnel.keep("touches an excluded region", here, clear[x] & clear[y])
        here = here.assign(split=placement.split_of(chrom, *anchors(here)))
        here = funnel.keep("in no split", here, here["split"] != "")
        found.append(_judge(str(chrom), here, placement, quality, funnel) if placement.judged else here)
    return pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)


def _judge(
    chrom: str, here: pd.DataFrame, placement: Placement, quality: QualityFilter, funnel: Funnel
) -> pd.DataFrame:
    """The windows of one chromosome that pass the filter."""
    statistics = placement.statistics(chrom, *anchors(here))
    failed = np.zeros(len(here), np.bool_)
    for rule, failures in quality.failures(statistics).items():
        funnel.dropped[rule] = funnel.dropped.get(rule, 0) + int((failures & ~failed).sum())
        failed |= failures
    return here[~failed]


def anchors(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The columns x and y, int64."""
    return table["x"].to_numpy(np.int64), table["y"].to_numpy(np.int64)
