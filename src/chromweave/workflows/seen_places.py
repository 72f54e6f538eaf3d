"""Whether windows that a model is judged on lie where windows lie that it learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..progress import notify

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["seen_places", "tell_seen_places"]


def seen_places(judged: pd.DataFrame, learned: pd.DataFrame) -> np.ndarray:
    """Whether a side of each window of `judged` overlaps a side of any of `learned`.

    Parameters
    ----------
    judged, learned
        Schema `WINDOWS`; `attrs` say how long a side is.

    Returns
    -------
    numpy.ndarray
        bool (n,), in the order of `judged`.
    """
    # Both sides reach half their length from the middle of their anchor's bin.
    reach = sum(int(t.attrs["resolution"]) * int(t.attrs["window_bins"]) for t in (judged, learned)) / 2
    middle = [int(table.attrs["resolution"]) / 2 for table in (judged, learned)]
    touches = np.zeros(len(judged), dtype=bool)
    for chrom, rows in learned.groupby("chrom", observed=True):
        known = np.unique(rows[["x", "y"]].to_numpy()) + middle[1]
        here = np.flatnonzero((judged["chrom"] == chrom).to_numpy())
        for side in ("x", "y"):
            at = judged[side].to_numpy()[here] + middle[0]
            after = np.searchsorted(known, at)
            right = known[np.minimum(after, len(known) - 1)]
            left = known[np.maximum(after - 1, 0)]
            touches[here] |= np.minimum(abs(right - at), abs(left - at)) < reach
    return touches


def tell_seen_places(name: str, judged: pd.DataFrame, learned: pd.DataFrame) -> int:
    """Number of windows of `judged` at places of `learned`; where there are any, one line says so."""
    touching = int(seen_places(judged, learned).sum())
    if touching:
        notify(
            f"{name}: {touching:,} of {len(judged):,} test windows touch windows trained on, so that their "
            "places are not new to the model; split everything by the same chromosomes."
        )
    return touching
