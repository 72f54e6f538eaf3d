"""Two encodings in one frame side by side, as tables and tracks, with replicates as the null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.alignment import Alignment, align, one_encoder
from ..analysis.compare import (
    DISTANCES,
    bin_distances,
    distances_by_compartment,
    summarise_distances,
    switch_table,
)
from ..analysis.replicates import replicate_calls, with_replicates
from ..errors import ConfigError, DataError
from ..files import atomic_path
from ..genome import Assembly
from ..io.export import Embedding, read_embedding, write_bedgraph, write_bigwig, write_table
from ..plot.comparison import distances_figure
from ..plot.embeddings import switches_figure
from ..plot.style import image_bytes
from ..progress import notify
from ..provenance import start_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompareConfig", "Comparison", "compare"]


@dataclass(frozen=True)
class CompareConfig:
    """Settings of :func:`compare`."""

    permutations: int = 1000
    fdr: float = 0.05
    distance: str = "cosine"

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise ConfigError(f"distance must be {' or '.join(DISTANCES)}, not {self.distance!r}.")
        if self.permutations < 1:
            raise ConfigError(f"permutations must be at least 1, not {self.permutations}.")
        if not 0 < self.fdr < 1:
            raise ConfigError(f"fdr must lie between 0 and 1, not at {self.fdr:g}.")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Attributes
    ----------
    distances
        A row per bin (:func:`chromweave.analysis.compare.bin_distances`); with replicates pvalue, qvalue and
        shifted beside it.
    by_compartment
        Mean and median distances by the first condition's compartment, against shifted compartments; with
        replicates `replicates_mean`, their own mean distance in that compartment.
    switches
        Bins that keep or change compartment; None where they are not called.
    alignment
        How the two came into one frame.
    summary
        A few figures, and `frame`, the alignment in words. With replicates `beyond_replicates`, the shifted
        bins, and on several chromosomes `replicates_called`, the share of bins that would be called between
        replicates (:func:`chromweave.analysis.replicates.replicate_calls`).
    """

    distances: pd.DataFrame
    by_compartment: pd.DataFrame
    switches: pd.DataFrame | None
    alignment: Alignment
    summary: Mapping[str, float | str]


def compare(
    out: str | Path,
    *,
    first: str | Path,
    second: str | Path,
    replicates: Sequence[str | Path] = (),
    fdr: float = 0.05,
    distance: str = "cosine",
    permutations: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two encodings, bin by bin.

    Encodings of one model are in one frame. That of another model is turned onto the first one by orthogonal
    Procrustes on bins of stable compartment, which `summary` says.

    Writes into the folder `out`: bins.tsv, by_compartment.tsv, switches.tsv and its picture switches.png,
    summary.tsv, and the distance as delta.bw, delta.bedgraph and delta.png; with replicates shifted.tsv, the
    bins that differ more between the conditions than between replicates.

    Parameters
    ----------
    out
        Folder.
    first, second
        `.h5ad` files that :func:`encode` wrote.
    replicates
        More encodings of the first condition. All pairs of them and `first` are the null.
    fdr
        False discovery rate of the shifted bins (Benjamini-Hochberg).
    distance
        What bins are called by, and what the tracks hold: cosine, l2 or l1.
    permutations, seed
        Circular shifts behind the p-values of the switch table.

    Raises
    ------
    ConfigError
        A file is given twice. Or replicates are in one frame with the first where the second is not, or the
        other way round: their distances are no null then.
    DataError
        They have other bins, no bin is valid in both, or too few are stable to align on.
    """
    settings = CompareConfig(permutations, fdr, distance)
    _require_two(first, second, replicates)
    a, b = read_embedding(first), read_embedding(second)
    others = [read_embedding(path) for path in replicates]
    _require_like_frames(a, b, dict(zip(map(str, replicates), others, strict=True)))
    aligned = align(a, b)
    distances = bin_distances(a, aligned.second)
    summary: dict[str, float | str] = {"frame": str(aligned.alignment)}
    summary |= summarise_distances(distances, distance)
    called = "compartment_first" in distances.columns
    by_compartment = _no_compartments()
    if called:
        by_compartment = distances_by_compartment(distances, permutations=permutations, seed=seed)
    if others:
        nulls = [bin_distances(one, align(one, other).second) for one, other in combinations([a, *others], 2)]
        distances = with_replicates(distances, nulls, distance=distance, fdr=fdr)
        summary |= _against(distances, nulls, settings)
        by_compartment = _beside_replicates(by_compartment, nulls) if called else by_compartment
        if not distances["shifted"].any():
            notify(
                f"no bin is further apart than replicates are at a false discovery rate of {fdr:g}; the "
                f"least p-value is {distances['pvalue'].min():.2g}; more chromosomes or replicates lower it."
            )
    comparison = Comparison(
        distances=distances,
        by_compartment=by_compartment,
        switches=_switches(distances, permutations, seed) if called else None,
        alignment=aligned.alignment,
        summary=summary,
    )
    folder = start_run(
        out,
        kind="graph-compare",
        config=settings,
        seed=seed,
        inputs=[first, second, *replicates],
        extra={"alignment": asdict(aligned.alignment)},
    )
    _write_comparison(folder, comparison, a, distance)
    _draw_comparison(folder, comparison, distance, Path(first).stem, Path(second).stem)
    return comparison


def _require_two(first: str | Path, second: str | Path, replicates: Sequence[str | Path]) -> None:
    """A file that is named twice is at distance 0 from itself, which says nothing."""
    given = [Path(path).resolve() for path in (first, second, *replicates)]
    for path in given:
        if given.count(path) > 1:
            raise ConfigError(
                f"{path.name}: is given twice; a comparison takes two encodings, and replicates other ones."
            )


def _require_like_frames(first: Embedding, second: Embedding, replicates: Mapping[str, Embedding]) -> None:
    """What an alignment leaves must be in the distances of all replicates, or in none."""
    wanted = one_encoder(first, second)
    for (one, a), (other, b) in combinations({"the first": first, **replicates}.items(), 2):
        if one_encoder(a, b) != wanted:
            raise ConfigError(
                f"{other}: is no null for this comparison: the two conditions are of "
                f"{'one model' if wanted else 'different models'}, and it and {one} are not. "
                "Encode all with one model, or each with one of its own."
            )


def _against(
    distances: pd.DataFrame, nulls: Sequence[pd.DataFrame], settings: CompareConfig
) -> dict[str, float]:
    import pandas as pd

    between = pd.concat(list(nulls))[settings.distance].dropna()
    found = {
        "replicates_mean": float(between.mean()),
        "replicates_median": float(between.median()),
        "beyond_replicates": float(distances["shifted"].sum()),
    }
    among = replicate_calls(nulls, distance=settings.distance, fdr=settings.fdr)
    if among > settings.fdr:
        notify(
            f"{among:.1%} of bins would be called between replicates, each chromosome beside the others: "
            "their noise differs, and the shifted bins are not at the rate asked for."
        )
    return found if np.isnan(among) else {**found, "replicates_called": among}


def _no_compartments() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=["compartment", "distance", "bins", "mean", "median", "expected", "pvalue"])


def _beside_replicates(by_compartment: pd.DataFrame, nulls: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    means = pd.concat(list(nulls)).groupby("compartment_first")[list(DISTANCES)].mean().stack()
    keys = pd.MultiIndex.from_frame(by_compartment[["compartment", "distance"]])
    return by_compartment.assign(replicates_mean=means.reindex(keys).to_numpy())


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


def _write_comparison(folder: Path, comparison: Comparison, first: Embedding, distance: str) -> None:
    import pandas as pd

    write_table(folder / "bins.tsv", comparison.distances)
    write_table(folder / "by_compartment.tsv", comparison.by_compartment)
    if comparison.switches is not None:
        write_table(folder / "switches.tsv", comparison.switches)
    write_table(folder / "summary.tsv", pd.DataFrame(comparison.summary.items(), columns=["what", "value"]))
    if "shifted" in comparison.distances.columns:
        shifted = comparison.distances[comparison.distances["shifted"]].drop(columns=["masked", "shifted"])
        write_table(folder / "shifted.tsv", shifted.sort_values("qvalue", kind="stable"))
    origin = first.provenance
    lengths = {str(chrom): int(length) for chrom, length in origin["chrom_sizes"].items()}
    assembly = Assembly(str(origin["assembly"]), lengths)
    tracks = {
        str(chrom): rows[distance].to_numpy()
        for chrom, rows in comparison.distances.groupby("chrom", sort=False)
    }
    for suffix, write in ((".bw", write_bigwig), (".bedgraph", write_bedgraph)):
        write(folder / f"delta{suffix}", tracks, int(origin["resolution"]), assembly)


def _draw_comparison(folder: Path, comparison: Comparison, distance: str, first: str, second: str) -> None:
    figures = {"delta": distances_figure(comparison.distances, distance, first=first, second=second)}
    if comparison.switches is not None:
        figures["switches"] = switches_figure(comparison.switches, first=first, second=second)
    for name, figure in figures.items():
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(image_bytes(figure))
