"""Compartments of a store, as a table and as tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.compartments import compartments
from ..data.store import RegionStore
from ..io.export import write_bedgraph, write_bigwig, write_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["call_compartments"]


def call_compartments(
    out: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int,
    phase_by: str,
    chroms: Sequence[str] | None = None,
    weight: str | None = None,
    n_eigs: int = 3,
) -> pd.DataFrame:
    """Call compartments of a store: TSV at `out`, and E1 as bigWig and bedGraph beside it.

    Parameters are those of :func:`chromweave.analysis.compartments.compartments`.
    """
    opened = RegionStore.open(store) if isinstance(store, str | Path) else store
    out = Path(out)
    table = compartments(
        opened, resolution=resolution, phase_by=phase_by, chroms=chroms, weight=weight, n_eigs=n_eigs
    )
    write_table(out, table)
    values = {str(chrom): rows["E1"].to_numpy() for chrom, rows in table.groupby("chrom", sort=False)}
    write_bigwig(out.with_suffix(".bw"), values, resolution, opened.assembly)
    write_bedgraph(out.with_suffix(".bedgraph"), values, resolution, opened.assembly)
    return table
