"""The tables beside the maps: what a laboratory would have, and what only a simulator knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .contacts import HiCLibrary
from .genome import CellState, Sequence
from .truth import boundary_strength

__all__ = ["Chromosome", "write_annotations", "write_table"]


@dataclass(frozen=True)
class Chromosome:
    """One chromosome of one cell line, ready to be sequenced.

    Parameters
    ----------
    layout, state
        Sequence features, and the line's occupancy and activity.
    library
        Where its contact counts are drawn from.
    loops
        Planted loops, as :func:`~chromweave.sim.truth.planted_loops` gives them.
    genes
        As :func:`~chromweave.sim.truth.expression` gives them.
    """

    layout: Sequence
    state: CellState
    library: HiCLibrary
    loops: pd.DataFrame
    genes: pd.DataFrame


def write_table(path: Path, table: pd.DataFrame, *, header: bool) -> None:
    """Write a TSV (BED, BEDPE, chrom.sizes) with six significant digits."""
    table.to_csv(path, sep="\t", index=False, header=header, float_format="%.6g")


def write_annotations(folder: Path, name: str, chromosomes: Mapping[str, Chromosome]) -> dict[str, Any]:
    """Write loops, genes and all truth of one cell line.

    Parameters
    ----------
    folder
        Of the simulation; holds a folder ``truth``.
    name
        Of the cell line.
    chromosomes
        Chromosome -> what was simulated.

    Returns
    -------
    dict
        ``loops``, ``genes`` and ``truth`` (kind -> file), relative to `folder`, for the manifest.
    """

    def gather(rows: Callable[[str, Chromosome], pd.DataFrame]) -> pd.DataFrame:
        return pd.concat([rows(chrom, one) for chrom, one in chromosomes.items()], ignore_index=True)

    loops, genes = gather(_loop_rows), gather(_gene_rows)
    files = {"loops": f"{name}.loops.bedpe", "genes": f"{name}.genes.tsv"}
    loops = loops.assign(name=[f"loop{number}" for number in range(1, len(loops) + 1)])
    write_table(folder / files["loops"], loops[_BEDPE], header=False)
    write_table(folder / files["genes"], genes[["chrom", "tss", "name", "strand", "expression"]], header=True)
    truth = {what: f"truth/{name}.{file}" for what, file in _TRUTH_FILES.items()}
    write_table(folder / truth["loops"], loops, header=True)
    write_table(folder / truth["genes"], genes, header=True)
    for what, rows in _BEDS.items():
        write_table(folder / truth[what], gather(rows), header=False)
    return {**files, "truth": truth}


_BEDPE = ["chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score", "strand1", "strand2"]
_TRUTH_FILES = {
    "loops": "loops.tsv",
    "genes": "genes.tsv",
    "compartments": "compartments.bed",
    "boundaries": "boundaries.bed",
    "ctcf": "ctcf.bed",
    "enhancers": "enhancers.bed",
    "visibility": "visibility.bedgraph",
}


def _loop_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    resolution = one.layout.resolution
    table = pd.DataFrame(index=one.loops.index)
    for side in "12":
        table[f"chrom{side}"] = chrom
        table[f"start{side}"] = one.loops[f"bin{side}"] * resolution
        table[f"end{side}"] = np.minimum((one.loops[f"bin{side}"] + 1) * resolution, one.layout.length)
    table["score"] = one.loops["strength"].round(4)
    table["strand1"] = table["strand2"] = "."
    for column in ("position1", "position2", "occupancy1", "occupancy2"):
        table[column] = one.loops[column]
    return table


def _gene_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    genes = one.layout.genes
    return pd.DataFrame(
        {
            "chrom": chrom,
            "tss": genes["tss"],
            "name": genes["name"],
            "strand": genes["strand"],
            "expression": one.genes["expression"].round(4),
            "accessibility": one.genes["accessibility"],
            "enhancer_input": one.genes["enhancer_input"],
            "housekeeping": genes["housekeeping"],
        }
    )


def _bed(chrom: str, position: pd.Series, half: int, one: Chromosome) -> pd.DataFrame:
    start = (position - half).clip(lower=0)
    return pd.DataFrame(
        {"chrom": chrom, "start": start, "end": (position + half).clip(upper=one.layout.length)}
    )


def _compartment_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    """Neighbouring blocks of one kind are one compartment interval."""
    first = np.diff(one.state.block_sign, prepend=0) != 0
    start = one.layout.blocks["start"].to_numpy()[first]
    name = np.where(one.state.block_sign[first] > 0, "A", "B")
    end = np.append(start[1:], one.layout.length)
    return pd.DataFrame({"chrom": chrom, "start": start, "end": end, "name": name})


def _boundary_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    table = _bed(chrom, pd.Series(one.layout.boundaries), 5_000, one)
    edges = np.isin(one.layout.boundaries, one.layout.blocks["start"].to_numpy())
    table["name"] = np.where(edges, "compartment_edge", "domain_edge")
    return table.assign(score=boundary_strength(one.layout, one.state))


def _ctcf_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    ctcf = one.layout.ctcf
    names = [f"CTCF_{chrom}_{number}" for number in range(1, len(ctcf) + 1)]
    table = _bed(chrom, ctcf["position"], 10, one)
    return table.assign(name=names, score=one.state.occupancy, strand=ctcf["strand"])


def _enhancer_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    table = _bed(chrom, one.layout.enhancers["position"], 200, one)
    return table.assign(
        name=one.layout.enhancers["name"], score=one.state.enhancer_activity, strand=".",
        accessibility=one.state.enhancer_access,
    )  # fmt: skip


def _visibility_rows(chrom: str, one: Chromosome) -> pd.DataFrame:
    start = np.arange(one.layout.n_bins) * one.layout.resolution
    end = np.minimum(start + one.layout.resolution, one.layout.length)
    return pd.DataFrame(
        {"chrom": chrom, "start": start, "end": end, "visibility": one.layout.visibility.round(6)}
    )


_BEDS: dict[str, Callable[[str, Chromosome], pd.DataFrame]] = {
    "compartments": _compartment_rows,
    "boundaries": _boundary_rows,
    "ctcf": _ctcf_rows,
    "enhancers": _enhancer_rows,
    "visibility": _visibility_rows,
}
