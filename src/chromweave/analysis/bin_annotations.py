"""Annotations of other tools on the bins of an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .embedding_clusters import NO_LABEL

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["known_sides", "on_bins", "widest_label"]

_MOST_LABELS = 20
_LEAST_COVER = 0.5
_NO_NAMES = ("", ".", "NA", "nan", "None")


def on_bins(bins: pd.DataFrame, table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows of `table` in the order of `bins`; missing values where it has no such bin.

    Parameters
    ----------
    bins, table
        chrom, start, end (bp), and in `table` more columns; one row per bin.
    source
        Of the table, for messages.

    Raises
    ------
    DataError
        The table has a bin twice, or none of `bins`: it is of another resolution or other chromosomes.
    """
    keys = ["chrom", "start", "end"]
    if table.duplicated(keys).any():
        raise DataError(f"{source}: has a bin twice; give a table with one row for each.")
    joined = bins[keys].reset_index(drop=True).merge(table, on=keys, how="left", indicator=True)
    if not (joined.pop("_merge") == "both").any():
        raise DataError(
            f"{source}: has none of the embedding's bins; give a table of its resolution and chromosomes."
        )
    return joined


def widest_label(bins: pd.DataFrame, intervals: pd.DataFrame, *, levels: int | None = None) -> np.ndarray:
    """Name of the interval kind that covers most of each bin, if that is at least half of it.

    Parameters
    ----------
    bins
        chrom, start, end (bp), sorted; one width, but for chromosomes' ends.
    intervals
        chrom, start, end, name: sub-compartments, for example. Names such as ``NA`` count as none.
    levels
        How many parts of a dotted name to keep: 2 makes ``A.1`` of ``A.1.2.2``; None keeps all.

    Returns
    -------
    numpy.ndarray
        object (bins,); ``N`` where nothing covers half of the bin.

    Raises
    ------
    DataError
        Intervals have no name, or more than 20 names are left.
    """
    if "name" not in intervals.columns:
        raise DataError("the intervals have no names; a BED with a fourth column is needed.")
    named = intervals[~intervals["name"].isin(_NO_NAMES)]
    names = named["name"].astype(str)
    if levels is not None:
        names = names.str.split(".").str[:levels].str.join(".")
    kinds = sorted(names.unique())
    if len(kinds) > _MOST_LABELS:
        raise DataError(
            f"the intervals have {len(kinds)} names; keep fewer parts of them ({_MOST_LABELS} names at most)."
        )
    cover = np.zeros((len(bins), len(kinds)))
    start, end = bins["start"].to_numpy(), bins["end"].to_numpy()
    for (chrom, kind), rows in named.groupby(["chrom", names], sort=False):
        here = np.flatnonzero((bins["chrom"] == chrom).to_numpy())
        for low, high in zip(rows["start"], rows["end"], strict=True):
            near = here[np.searchsorted(end[here], low, "right") : np.searchsorted(start[here], high)]
            cover[near, kinds.index(kind)] += np.minimum(end[near], high) - np.maximum(start[near], low)
    if not kinds:
        return np.full(len(bins), NO_LABEL, dtype=object)
    best = cover.argmax(axis=1)
    enough = cover[np.arange(len(bins)), best] >= _LEAST_COVER * (end - start)
    return np.where(enough, np.array(kinds, dtype=object)[best], NO_LABEL)


def known_sides(bins: pd.DataFrame, intervals: pd.DataFrame) -> np.ndarray:
    """Published compartment of each bin: that which covers most of it, if at least half.

    Parameters
    ----------
    bins
        As :func:`widest_label` takes them.
    intervals
        chrom, start, end, name: compartments or sub-compartments, whose names begin with A or B.

    Returns
    -------
    numpy.ndarray
        float64 (bins,): 1 for A, 0 for B, NaN for neither.

    Raises
    ------
    DataError
        Intervals have no name.
    """
    if "name" in intervals.columns:
        intervals = intervals.assign(name=intervals["name"].astype(str).str[:1])
        intervals = intervals[intervals["name"].isin(["A", "B"])]
    labels = widest_label(bins, intervals)
    return np.select([labels == "A", labels == "B"], [1.0, 0.0], np.nan)
