"""Insulation of a store, as a table and as tracks, with its boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.insulation import insulation, require_window
from ..data.store import RegionStore
from ..files import atomic_path
from ..io.export import write_table
from .map_annotation import table_path, write_origin, write_score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["call_insulation"]

_BINS = 10  # side of the diamond where none is given


def call_insulation(
    out: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int,
    windows: Sequence[int] = (),
    chroms: Sequence[str] | None = None,
    weight: str | None = None,
    strength: float | None = None,
) -> pd.DataFrame:
    """Score a store's insulation and call its boundaries, with one window or several.

    Writes a table at `out` (OUT.tsv), the windows one below the other, and beside it for each window of W bp
    the score as ``OUT.W.bw`` and ``OUT.W.bedgraph`` and the boundaries as ``OUT.W.boundaries.bed`` (name: the
    window; score: the strength); and what it was made of as ``OUT.json``.

    Parameters
    ----------
    out
        Table to write.
    store, resolution, chroms, weight, strength
        As for :func:`chromweave.analysis.insulation.insulation`.
    windows
        Sides of the diamond in bp; ten bins by default.

    Returns
    -------
    pandas.DataFrame
        Schema `INSULATION`: a row for each window and bin.

    Raises
    ------
    ConfigError, DataError
        As the analysis does; before anything is written.
    """
    import pandas as pd

    out, opened = table_path(out), store if isinstance(store, RegionStore) else RegionStore.open(store)
    sides = tuple(dict.fromkeys(windows)) or (_BINS * resolution,)
    for window in sides:
        require_window(window, resolution)
    tables = {
        window: insulation(
            opened, resolution=resolution, window=window, chroms=chroms, weight=weight, strength=strength
        )
        for window in sides
    }
    table = pd.concat(tables.values(), ignore_index=True)
    write_table(out, table)
    for window, rows in tables.items():
        stem = out.with_suffix(f".{window}")
        write_score(stem, rows, "log2_insulation_score", resolution, opened.assembly)
        _write_boundaries(stem.with_name(f"{stem.name}.boundaries.bed"), rows)
    settings = {
        "resolution": resolution,
        "windows": list(sides),
        "weight": weight or opened.default_weight(resolution),
        "strength": strength,
    }
    write_origin(out, "insulation", settings, [opened.path])
    return table


def _write_boundaries(path: Path, table: pd.DataFrame) -> None:
    rows = table[table["is_boundary"]]
    columns = ["chrom", "start", "end", "window", "boundary_strength"]
    with atomic_path(path) as temporary:
        rows[columns].to_csv(temporary, sep="\t", header=False, index=False, float_format="%.6g")
