"""Peakachu's forest from a store and its windows, without what networks need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..baselines.peakachu import Peakachu, PeakachuConfig, fit_peakachu, half_width
from ..data.store import RegionStore
from ..evaluation.bootstrap import genome_blocks
from ..progress import notify
from .loop_patches import window_enrichment

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["grow_peakachu"]

_BLOCK = 1_000_000  # bp, of the cross-validation: many times the squares of a window


def grow_peakachu(
    store: RegionStore, table: pd.DataFrame, *, config: PeakachuConfig | None = None, seed: int = 0
) -> Peakachu:
    """A forest grown on all labelled windows of a table, whatever their split.

    Raises
    ------
    DataError
        They are of one class.
    """
    table = table[table["label"].notna()]
    resolution = int(table.attrs["resolution"])
    notify(f"Peakachu learns from {len(table):,} windows")
    blocks = genome_blocks(table["chrom"].to_numpy(), table["x"].to_numpy(), _BLOCK)
    squares = window_enrichment(store, table, resolution, half_width(resolution))
    return fit_peakachu(squares, table["label"].to_numpy(), blocks, config=config, seed=seed)
