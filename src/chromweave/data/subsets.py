"""A part of a split's windows, as in few-shot experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..progress import notify
from .tables import select_split

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["take_ratio"]

_ROUNDING = 1e-9  # 0.29 of 100 rows are 29, which the product of floats just misses


def take_ratio(
    table: pd.DataFrame,
    ratio: float,
    *,
    seed: int,
    draw: int = 0,
    split: str = "train",
    stratified: bool = False,
    least_rows: int = 0,
) -> pd.DataFrame:
    """A table with only a part of one split; its other splits stay whole.

    Of N rows floor(N x ratio) are drawn uniformly without replacement, as MIX-HIC's few-shot experiments do.
    Of one seed and draw, what a smaller ratio takes is a part of what a larger one takes.

    Parameters
    ----------
    table
        Schema `WINDOWS`.
    ratio
        Above 0, at most 1.
    seed, draw
        One of several subsets of one seed.
    split
        The split to draw from.
    stratified
        Draw that part of each label, and at least one row of each.
    least_rows
        Repeat the rows drawn, all of them equally often, until there are so many, so that an epoch of few
        windows has steps enough.

    Returns
    -------
    pandas.DataFrame
        Rows in the table's order; `attrs` as they were, and what was taken as ``"subset"``.

    Raises
    ------
    ConfigError
        The ratio is out of range, there is no such split, or no row is left.
    """
    if not 0 < ratio <= 1:
        raise ConfigError(f"a ratio lies above 0 and is at most 1, not {ratio}.")
    if least_rows < 0:
        raise ConfigError(f"least_rows must be at least 0, not {least_rows}.")
    select_split(table, split)  # its own error for a split that is none
    inside = (table["split"] == split).to_numpy()
    rows = np.flatnonzero(inside)
    labels = table["label"].to_numpy(np.float64)[rows]
    order = np.random.default_rng([seed, draw]).permutation(len(rows))
    chosen = order[_taken(labels[order], ratio, stratified)]
    if not len(chosen):
        raise ConfigError(
            f"{ratio:g} of {len(rows):,} windows of the {split} split is less than one; "
            "take a larger ratio, or give a larger table."
        )
    _say_absent_labels(labels, labels[chosen])
    copies = max(1, -(-least_rows // len(chosen)))
    kept = np.sort(np.concatenate([np.flatnonzero(~inside), np.repeat(rows[chosen], copies)]))
    part = table.iloc[kept].reset_index(drop=True)
    part.attrs = dict(table.attrs) | {
        "subset": {
            "split": split,
            "ratio": ratio,
            "seed": seed,
            "draw": draw,
            "stratified": stratified,
            "of": len(rows),
            "taken": len(chosen),
            "copies": copies,
        }
    }
    return part


def _taken(labels: np.ndarray, ratio: float, stratified: bool) -> np.ndarray:
    """Which of so many rows in random order are taken: the first, or the first of each label."""
    if not stratified:
        return np.arange(int(len(labels) * ratio + _ROUNDING))
    _, classes = np.unique(labels, return_inverse=True)  # no label is a class, too
    first = [
        members[: max(1, int(len(members) * ratio + _ROUNDING))]
        for members in (np.flatnonzero(classes == one) for one in range(classes.max(initial=-1) + 1))
    ]
    return np.concatenate([np.empty(0, np.int64), *first])


def _say_absent_labels(before: np.ndarray, after: np.ndarray) -> None:
    lost = np.setdiff1d(before[~np.isnan(before)], after)
    if len(lost):
        names = ", ".join(f"{label:g}" for label in lost)
        notify(f"no window with the label {names} was drawn; a stratified draw takes some of each")
