"""What other callers find as one kind of table: pairs of bins with a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..schemas import BEDPE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["loop_list"]


def loop_list(
    chrom: np.ndarray | str,
    start1: np.ndarray,
    start2: np.ndarray,
    resolution: int,
    score: np.ndarray,
    *,
    ends: tuple[np.ndarray, np.ndarray] | None = None,
    **further: np.ndarray,
) -> pd.DataFrame:
    """A table of loops within chromosomes.

    Parameters
    ----------
    chrom
        Chromosome of each, or of all.
    start1, start2
        Starts of the anchors' bins, bp, integer (n,); either order.
    resolution
        Bin size, bp.
    score
        Higher for better loops, float (n,).
    ends
        Ends of the anchors, bp, where they are not ``start + resolution`` (a chromosome's last bin).
    further
        More columns, (n,) each.

    Returns
    -------
    pandas.DataFrame
        Schema `BEDPE` with name and score, then `further`; ordered by chromosome and place, the smaller
        anchor first.
    """
    import pandas as pd

    starts = np.stack([np.asarray(start1, np.int64), np.asarray(start2, np.int64)])
    stops = starts + resolution if ends is None else np.stack([np.asarray(e, np.int64) for e in ends])
    order = np.argsort(starts, axis=0, kind="stable")
    starts, stops = (np.take_along_axis(values, order, axis=0) for values in (starts, stops))
    names = np.broadcast_to(np.asarray(chrom, dtype=object), starts.shape[1:])
    table = pd.DataFrame(
        {
            "chrom1": names, "start1": starts[0], "end1": stops[0],
            "chrom2": names, "start2": starts[1], "end2": stops[1],
            "name": ".", "score": np.asarray(score, np.float64), **further,
        }
    )  # fmt: skip
    table = table.sort_values(["chrom1", "start1", "start2"], kind="stable", ignore_index=True)
    table["name"] = [f"{name}_loop{k + 1}" for k, name in enumerate(table["chrom1"])]
    return BEDPE.check(table, "the loops")
