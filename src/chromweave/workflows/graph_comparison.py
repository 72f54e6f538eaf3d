"""Two encodings of one model side by side, as tables and tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.compare import (
    bin_distances,
    distances_by_compartment,
    require_one_model,
    summarise_distances,
    switch_table,
)
from ..errors import ConfigError, DataError
from ..genome import Assembly
from ..io.export import Embedding, read_embedding, write_bedgraph, write_bigwig, write_table
from ..progress import notify
from ..provenance import start_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompareConfig", "Comparison", "compare"]


@dataclass(frozen=True)
class CompareConfig:
    """Settings of :func:`compare`."""

    permutations: int = 1000

    def __post_init__(self) -> None:
        if self.permutations < 1:
            raise ConfigError(f"permutations must be at least 1, not {self.permutations}.")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found: a row per bin, means by compartment, switches, and a few figures."""

    distances: pd.DataFrame
    by_compartment: pd.DataFrame
    switches: pd.DataFrame | None
    summary: Mapping[str, float]


def compare(
    out: str | Path,
    *,
    first: str | Path,
    second: str | Path,
    permutations: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two encodings of one model, bin by bin.

    Writes into the folder `out`: bins.tsv, by_compartment.tsv, switches.tsv, summary.tsv, and the cosine
    distance as delta.bw and delta.bedgraph.

    Parameters
    ----------
    out
        Folder.
    first, second
        `.h5ad` files that :func:`encode` wrote with one model.
    permutations, seed
        Circular shifts behind the p-values of the switch table.

    Raises
    ------
    ConfigError
        The two are of different models.
    DataError
        They have other bins, or no bin is valid in both.
    """
    settings = CompareConfig(permutations)
    a, b = read_embedding(first), read_embedding(second)
    require_one_model(a, b, (str(first), str(second)))
    distances = bin_distances(a, b)
    summary = summarise_distances(distances)
    called = "compartment_first" in distances.columns
    comparison = Comparison(
        distances=distances,
        by_compartment=distances_by_compartment(distances) if called else _no_compartments(),
        switches=_switches(distances, permutations, seed) if called else None,
        summary=summary,
    )
    folder = start_run(out, kind="graph-compare", config=settings, seed=seed, inputs=[first, second])
    _write_comparison(folder, comparison, a)
    return comparison


def _no_compartments() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=["compartment", "distance", "bins", "mean", "median"])


def _switches(distances: pd.DataFrame, permutations: int, seed: int) -> pd.DataFrame | None:
    first, second = (
        distances[f"compartment_{which}"].to_numpy(dtype=object) for which in ("first", "second")
    )
    try:
        return switch_table(
            first, second, distances["chrom"].to_numpy(), permutations=permutations, seed=seed
        )
    except DataError as error:
        notify(f"no switch table: {error}")
        return None


def _write_comparison(folder: Path, comparison: Comparison, first: Embedding) -> None:
    import pandas as pd

    write_table(folder / "bins.tsv", comparison.distances)
    write_table(folder / "by_compartment.tsv", comparison.by_compartment)
    if comparison.switches is not None:
        write_table(folder / "switches.tsv", comparison.switches)
    write_table(folder / "summary.tsv", pd.DataFrame(comparison.summary.items(), columns=["what", "value"]))
    origin = first.provenance
    lengths = {str(chrom): int(length) for chrom, length in origin["chrom_sizes"].items()}
    assembly = Assembly(str(origin["assembly"]), lengths)
    tracks = {
        str(chrom): rows["cosine"].to_numpy()
        for chrom, rows in comparison.distances.groupby("chrom", sort=False)
    }
    for suffix, write in ((".bw", write_bigwig), (".bedgraph", write_bedgraph)):
        write(folder / f"delta{suffix}", tracks, int(origin["resolution"]), assembly)
