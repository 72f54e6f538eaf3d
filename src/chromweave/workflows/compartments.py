"""Compartments of a store, as a table and as tracks, with their saddle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.compartments import compartments
from ..analysis.saddle import saddle_table, saddles, strength_table
from ..data.store import RegionStore
from ..files import atomic_path
from ..genome import Interval
from ..io.export import write_table
from ..io.intervals import read_bed
from ..plot.saddle import saddle_figure
from ..plot.style import image_bytes
from ..progress import notify
from .map_annotation import table_path, write_origin, write_score

if TYPE_CHECKING:
    import pandas as pd

    from ..analysis.saddle import Saddle

__all__ = ["CompartmentCalls", "call_compartments"]


@dataclass(frozen=True)
class CompartmentCalls:
    """What :func:`call_compartments` found.

    Attributes
    ----------
    table
        Schema `COMPARTMENTS`: a row for each bin.
    strength
        Columns saddle ("all", or a chromosome), bins, groups, AA, BB, AB, strength; empty without a saddle.
    """

    table: pd.DataFrame
    strength: pd.DataFrame


def call_compartments(
    out: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int,
    phase_by: str,
    chroms: Sequence[str] | None = None,
    regions: str | Path | None = None,
    weight: str | None = None,
    n_eigs: int = 3,
    saddle_groups: int = 50,
) -> CompartmentCalls:
    """Call compartments of a store and average its contacts over them.

    Writes a table at `out` (OUT.tsv) and beside it E1 as ``OUT.bw`` and ``OUT.bedgraph``, the saddles as
    ``OUT.saddle.tsv`` and ``OUT.saddle.png``, their corners and strengths as ``OUT.strength.tsv``, and what
    it was made of as ``OUT.json``.

    Parameters
    ----------
    out
        Table to write.
    store, resolution, phase_by, chroms, weight, n_eigs
        As for :func:`chromweave.analysis.compartments.compartments`.
    regions
        BED of chromosome arms, or other stretches to decompose apart; chromosomes by default.
    saddle_groups
        Quantiles of E1 in a saddle; 0 for none.

    Raises
    ------
    ConfigError, DataError
        As the analysis does; before anything is written.
    """
    out, opened = table_path(out), store if isinstance(store, RegionStore) else RegionStore.open(store)
    arms = None if regions is None else _intervals(regions, opened)
    table = compartments(
        opened,
        resolution=resolution,
        phase_by=phase_by,
        chroms=chroms,
        regions=arms,
        weight=weight,
        n_eigs=n_eigs,
    )
    found: list[Saddle] = []
    if saddle_groups:
        found = saddles(
            opened, table, resolution=resolution, groups=saddle_groups, weight=weight, regions=arms
        )
    calls = CompartmentCalls(table, strength_table(found))
    write_table(out, table)
    write_score(out.with_suffix(""), table, "E1", resolution, opened.assembly)
    settings = {
        "resolution": resolution,
        "phase_by": phase_by,
        "weight": weight or opened.default_weight(resolution),
        "saddle_groups": saddle_groups,
    }
    write_origin(out, "compartments", settings, [opened.path, *([] if regions is None else [regions])])
    if found:
        _write_saddle(out, opened.name, found, calls.strength)
    elif saddle_groups:
        notify(f"{opened.name}: too few bins for a saddle")
    return calls


def _intervals(regions: str | Path, store: RegionStore) -> list[Interval]:
    table = read_bed(regions, store.assembly)
    return [Interval(*row) for row in table[["chrom", "start", "end"]].itertuples(index=False)]


def _write_saddle(out: Path, name: str, found: Sequence[Saddle], strength: pd.DataFrame) -> None:
    write_table(out.with_suffix(".saddle.tsv"), saddle_table(found))
    write_table(out.with_suffix(".strength.tsv"), strength)
    whole, *own = strength.to_dict("records")
    figure = saddle_figure(
        found[0].mean,
        strength=whole["strength"],
        corners={pair: whole[pair] for pair in ("AA", "BB", "AB")},
        chromosomes={str(row["saddle"]): row["strength"] for row in own},
        title=name,
    )
    with atomic_path(out.with_suffix(".saddle.png")) as temporary:
        temporary.write_bytes(image_bytes(figure))
