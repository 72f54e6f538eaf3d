"""Windows dealt to the splits at random, and how much the splits then share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..genome import RandomSplit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dealt", "shared_with_training"]


def dealt(windows: int, split: RandomSplit) -> np.ndarray:
    """The split of each of so many windows, text (windows,).

    Shares are rounded down for validation and test; the rest is for training.
    """
    order = np.random.default_rng(split.seed).permutation(windows)
    valid, test = int(windows * split.valid), int(windows * split.test)
    names = np.full(windows, "train", dtype="<U5")
    names[order[:valid]] = "valid"
    names[order[valid : valid + test]] = "test"
    return names


def shared_with_training(table: pd.DataFrame, side: int) -> float:
    """Share of the test windows that overlap a training window by at least half along both axes.

    Parameters
    ----------
    table
        Schema `WINDOWS`.
    side
        Of a window, bp.

    Returns
    -------
    float
        NaN without test windows.
    """
    from scipy.spatial import cKDTree

    shared = total = 0
    for _, here in table.groupby("chrom", sort=False):
        train, test = (here.loc[here["split"] == name, ["x", "y"]] for name in ("train", "test"))
        total += len(test)
        if len(train) and len(test):
            distance, _ = cKDTree(train).query(test, p=np.inf)
            shared += int((distance <= side / 2).sum())
    return shared / total if total else float("nan")
