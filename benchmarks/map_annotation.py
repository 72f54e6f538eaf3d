"""Compartments, their confidence and insulation of real maps, held against published calls and cooltools.

    python -m benchmarks.map_annotation --data ../shared/data [--folder DIR]

Maps: GM12878 chr20 (25, 50 and 100 kb), two replicates of GM12878 and one of IMR90 on chr21 and chr22
(40 kb), and the matrix of sines that cooltools tests itself with. E1 is phased by H3K27ac and held against
Rao's sub-compartments of GM12878 and CALDER2's reference ones, A against B, by the bin's middle; and against
cooltools' own ``eigs_cis``. Confidence is that of one replicate, and what it should foretell is whether the
other replicate's E1 has the same sign. Boundaries are held against the edges of Arrowhead's domains: within
two bins of the boundary's middle; by chance is the same with all boundaries turned along the bins that have
a score, by every number of bins from five up. ``--folder`` keeps the stores. Takes about two minutes. Writes
``benchmarks/results/map_annotation.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import bioframe
import cooler
import numpy as np
import pandas as pd

from chromweave.analysis.compartments import compartments
from chromweave.analysis.insulation import insulation
from chromweave.analysis.reference import cooltools_module
from chromweave.analysis.saddle import EVERYWHERE, saddles, strength_table
from chromweave.data.build import build
from chromweave.data.store import RegionStore
from chromweave.evaluation.classification import auroc
from chromweave.files import atomic_path, write_json
from chromweave.genome import Assembly
from chromweave.io.intervals import read_bed
from chromweave.provenance import describe_process

RESULTS = Path(__file__).parent / "results"
HG19 = Assembly.named("hg19")
RAO, CALDER = "Rao 2014 sub-compartments", "CALDER2 sub-compartments"
RAO_FILE = "truth_hg19/GM12878/GSE63525_GM12878_subcompartments.bed.gz"
DEEP, FIRST, SECOND, OTHER = "GM12878 chr20", "GM12878 HIC001", "GM12878 HIC002", "IMR90 HIC050"
WINDOWS = (3, 4, 6, 8, 10, 12, 16, 20)
SURE = (0.5, 0.7, 0.9, 0.95, 0.99, 1.0)
NEAREST_TURN = 5


@dataclass(frozen=True)
class Map:
    """A real map: its file, the track that phases it, and the bin sizes in use."""

    name: str
    contacts: Path
    track: Path
    resolutions: tuple[int, ...]

    def store(self, folder: Path) -> RegionStore:
        """Its store, built if it is not there."""
        path = folder / f"{self.name.replace(' ', '_')}.store"
        if (path / "manifest.json").exists():
            return RegionStore.open(path)
        return build(
            path,
            contacts=self.contacts,
            tracks={"H3K27ac": self.track},
            resolutions=list(self.resolutions),
            assembly="hg19",
        )


def maps(data: Path) -> Iterator[Map]:
    """The maps."""
    deep, lines = data / "gm12878_chr20_hg19", data / "gm12878_imr90_chr21_22_hg19"
    yield Map(DEEP, deep / "GM12878.chr20.mcool", deep / "GM12878.H3K27ac.bw", (25_000, 50_000, 100_000))
    for name in (FIRST, SECOND, OTHER):
        line, replicate = name.split()
        yield Map(name, lines / f"{line}_{replicate}.mcool", lines / f"{line}.H3K27ac.bw", (40_000,))


def known_sides(table: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """float (bins,): 1 where a bin's middle lies in an A sub-compartment of `known`, 0 in a B one, else NaN.

    `known` has chrom, start, end and a name that begins with its side; its intervals share no base.
    """
    sides = np.full(len(table), np.nan)
    middle = ((table["start"] + table["end"]) // 2).to_numpy()
    for chrom, rows in known.sort_values("start").groupby("chrom"):
        here = np.flatnonzero((table["chrom"] == chrom).to_numpy())
        row = np.searchsorted(rows["start"].to_numpy(), middle[here], side="right") - 1
        inside = (row >= 0) & (middle[here] < rows["end"].to_numpy()[row])
        letter = rows["name"].str[0].map({"A": 1.0, "B": 0.0}).to_numpy()
        sides[here] = np.where(inside, letter[row], np.nan)
    return sides


def agreement(table: pd.DataFrame, known: pd.DataFrame) -> dict[str, float]:
    """bins, AUC of E1 for A, and share of bins with the same call, over bins that both know."""
    sides, first = known_sides(table, known), table["E1"].to_numpy()
    both = np.isfinite(sides) & np.isfinite(first)
    same = (first[both] > 0) == (sides[both] == 1)
    return {"bins": int(both.sum()), "AUC": auroc(sides[both], first[both]), "same call": float(same.mean())}


def least_correlation(table: pd.DataFrame, uri: str, phase: dict[str, np.ndarray]) -> float:
    """Smallest |r| over chromosomes between our E1 and that of cooltools' ``eigs_cis``."""
    source = cooler.Cooler(uri)
    names = [name for name in source.chromnames if name in phase]
    view = bioframe.make_viewframe({name: int(source.chromsizes[name]) for name in names})
    track = pd.concat([table.loc[table["chrom"] == name, ["chrom", "start", "end"]] for name in names])
    track["value"] = np.concatenate([phase[name] for name in names])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cooltools_module("api.eigdecomp").eigs_cis(source, track, view_df=view, n_eigs=3)[1]
    found = []
    for name in names:
        pair = [of.loc[of["chrom"] == name, "E1"].to_numpy() for of in (table, theirs)]
        both = np.isfinite(pair).all(axis=0)
        found.append(abs(np.corrcoef(pair[0][both], pair[1][both])[0, 1]))
    return float(min(found))


def nearest_edge(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Distance in bp from each position to the nearest of `edges`, which are sorted."""
    after = np.searchsorted(edges, positions)
    low, high = (edges[np.clip(k, 0, len(edges) - 1)] for k in (after - 1, after))
    return np.minimum(np.abs(positions - low), np.abs(positions - high))


def boundary_rates(table: pd.DataFrame, edges: np.ndarray, reach: int) -> dict[str, float]:
    """Of the boundaries of one chromosome, how many lie within `reach` bp of an edge, and how many by chance.

    Returns
    -------
    dict
        boundaries, near; chance (mean over turns) and chance_high (97.5th percentile); found (share of the
        edges that have a boundary near).
    """
    middle = ((table["start"] + table["end"]) / 2).to_numpy()
    scored = np.flatnonzero(table["log2_insulation_score"].notna().to_numpy())
    called = np.flatnonzero(table["is_boundary"].to_numpy())
    place, n = np.searchsorted(scored, called), len(scored)
    near = nearest_edge(middle, edges) <= reach
    turned = [near[scored[(place + k) % n]].mean() for k in range(NEAREST_TURN, n - NEAREST_TURN + 1)]
    return {
        "boundaries": len(called),
        "near": float(near[called].mean()),
        "chance": float(np.mean(turned)),
        "chance_high": float(np.quantile(turned, 0.975)),
        "found": float((nearest_edge(edges.astype(float), middle[called]) <= reach).mean()),
    }


def arrowhead_edges(data: Path, chrom: str) -> np.ndarray:
    """Sorted starts and ends of GM12878's domains on one chromosome, bp."""
    file = data / "truth_hg19/GM12878/GSE63525_GM12878_primary+replicate_Arrowhead_domainlist.txt.gz"
    domains = pd.read_csv(file, sep="\t", dtype={"chr1": str})
    here = domains[domains["chr1"] == chrom.removeprefix("chr")]
    return np.unique(here[["x1", "x2"]].to_numpy())


def sub_compartments(data: Path) -> dict[str, pd.DataFrame]:
    """Published sub-compartments, hg19."""
    return {
        RAO: read_bed(data / RAO_FILE, HG19),
        CALDER: read_bed(data / "truth_hg19" / "CALDER2_subcompartments.bed", HG19),
    }


def sine(data: Path, folder: Path) -> dict[str, object]:
    """E1 of cooltools' matrix of sines against the sine, and against cooltools."""
    peers = data / "peers" / "cooltools"
    uri = str(peers / "sin_eigs_mat.cool")
    sizes = Assembly("sine", {"chr1": 1000, "chr2": 2000, "chr3": 3000})
    store = build(folder / "sine.store", contacts=uri, resolutions=[10], assembly=sizes, max_distance=3000)
    track = pd.read_csv(peers / "sin_eigs_track.tsv", sep="\t")
    phase = {str(chrom): rows["value"].to_numpy() for chrom, rows in track.groupby("chrom")}
    table = compartments(store, resolution=10, phase_by=phase)
    wave = np.sin(2 * np.pi * table["start"] / 500)
    least = min(rows["E1"].corr(wave[rows.index]) for _, rows in table.groupby("chrom"))
    return {
        "part": "sine", "map": "cooltools' sine matrix", "resolution": 10, "against": "sine", "r": least,
        "cooltools_r": least_correlation(table, uri, phase),
    }  # fmt: skip


def annotated(one: Map, store: RegionStore, known: dict[str, pd.DataFrame]) -> Iterator[dict[str, object]]:
    """Compartments of one map at each resolution."""
    for resolution in one.resolutions:
        table = compartments(store, resolution=resolution, phase_by="H3K27ac")
        found = saddles(store, table, resolution=resolution)
        strength = strength_table(found).set_index("saddle")["strength"].drop(EVERYWHERE)
        signal = {name: store.track("H3K27ac", name).binned(resolution) for name in store.chromosomes}
        phase = {name: np.where(np.isfinite(of.mean), of.mean, 0) for name, of in signal.items()}
        equal = least_correlation(table, f"{one.contacts}::/resolutions/{resolution}", phase)
        for chrom, rows in table.groupby("chrom", sort=False):
            shared = {
                "part": "compartments", "map": one.name, "chrom": chrom, "resolution": resolution,
                "cooltools_r": equal, "strength": strength[chrom],
                "confident": float((rows["confidence"] >= 0.95).sum() / rows["E1"].notna().sum()),
            }  # fmt: skip
            for name, list_ in known.items():
                if name == RAO and not one.name.startswith("GM12878"):
                    continue
                yield {**shared, "against": name, **agreement(rows, list_)}


def replicates(first: RegionStore, second: RegionStore) -> Iterator[dict[str, object]]:
    """How often two replicates agree, by the confidence of the first."""
    one, other = (compartments(s, resolution=40_000, phase_by="H3K27ac") for s in (first, second))
    both = one["E1"].notna() & other["E1"].notna()
    same = np.sign(one["E1"]) == np.sign(other["E1"])
    label = same[both].to_numpy(float)
    for by, values in (("confidence", one["confidence"]), ("|E1|", one["E1"].abs())):
        yield {
            "part": "order", "map": FIRST, "against": SECOND, "resolution": 40_000, "by": by,
            "bins": int(both.sum()), "same call": float(label.mean()),
            "AUC": auroc(label, values[both].to_numpy()),
        }  # fmt: skip
    for low, high in pairwise(SURE):
        last = high == SURE[-1]
        bins = both & (one["confidence"] >= low) & ((one["confidence"] < high) | last)
        yield {
            "part": "confidence", "map": FIRST, "against": SECOND, "resolution": 40_000, "low": low,
            "high": high, "bins": int(bins.sum()), "confidence": float(one["confidence"][bins].mean()),
            "same call": float(same[bins].mean()),
        }  # fmt: skip


def boundaries(store: RegionStore, data: Path) -> Iterator[dict[str, object]]:
    """Boundaries of chr20 at 25 kb for each window, with Li's threshold."""
    resolution = 25_000
    edges = arrowhead_edges(data, "chr20")
    for width in WINDOWS:
        table = insulation(store, resolution=resolution, window=width * resolution)
        yield {
            "part": "insulation", "map": DEEP, "chrom": "chr20", "resolution": resolution,
            "against": "Arrowhead domain edges", "window": width * resolution, "edges": len(edges),
            **boundary_rates(table, edges, 2 * resolution),
        }  # fmt: skip


def measured(data: Path, folder: Path) -> pd.DataFrame:
    """All rows."""
    known = sub_compartments(data)
    rows, stores = [], {}
    for one in maps(data):
        stores[one.name] = one.store(folder)
        rows += annotated(one, stores[one.name], known)
    rows.append(sine(data, folder))
    rows += replicates(stores[FIRST], stores[SECOND])
    rows += boundaries(stores[DEEP], data)
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> str:
    """Markdown."""
    parts = dict(tuple(table.groupby("part")))
    lines = ["## E1 against published A and B", ""]
    lines += ["| map | bins of | list | bins | AUC | same call | confidence from 0.95 | saddle strength |"]
    lines += ["|---" * 8 + "|"]
    for row in parts["compartments"].to_dict("records"):
        where = row["map"] if row["map"].endswith(row["chrom"]) else f"{row['map']}, {row['chrom']}"
        lines.append(
            f"| {where} | {row['resolution'] / 1000:g} kb | {row['against']} | {row['bins']:,.0f} "
            f"| {row['AUC']:.4f} | {row['same call']:.3f} | {row['confident']:.3f} | {row['strength']:.2f} |"
        )
    equal, wave = table["cooltools_r"].min(), parts["sine"].iloc[0]
    lines += ["", f"Least |r| of E1 with cooltools' `eigs_cis`, any map and chromosome: {equal:.6f}."]
    lines += [f"cooltools' matrix of sines: least r of E1 with the sine {wave['r']:.4f}."]
    lines += ["", f"## Confidence of {FIRST}, and whether {SECOND} has the same call", ""]
    lines += ["| confidence | bins | its mean | same call |", "|---" * 4 + "|"]
    for row in parts["confidence"].to_dict("records"):
        lines.append(
            f"| {row['low']:g}-{row['high']:g} | {row['bins']:,.0f} | {row['confidence']:.3f} "
            f"| {row['same call']:.3f} |"
        )
    order = parts["order"].set_index("by")["AUC"]
    lines += [
        "",
        "AUC for the same call: " + ", ".join(f"{auc:.3f} by {by}" for by, auc in order.items()) + ".",
    ]
    cut = parts["insulation"]
    lines += [
        "",
        f"## Boundaries of {DEEP}, 25 kb, and {cut['edges'].iloc[0]:.0f} edges of Arrowhead domains",
    ]
    lines += ["", "| window | boundaries | within two bins | by chance (97.5 %) | edges found |"]
    lines += ["|---" * 5 + "|"]
    for row in cut.to_dict("records"):
        lines.append(
            f"| {row['window'] / 1000:g} kb | {row['boundaries']:.0f} | {row['near']:.3f} "
            f"| {row['chance']:.3f} ({row['chance_high']:.3f}) | {row['found']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, help="where stores are kept; thrown away without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        table = measured(given.data, given.folder or Path(temporary))
    text = summary(table)
    RESULTS.mkdir(exist_ok=True)
    with atomic_path(RESULTS / "map_annotation.tsv") as temporary_path:
        table.to_csv(temporary_path, sep="\t", index=False, na_rep="NA", float_format="%.6g")
    write_json(RESULTS / "map_annotation.json", describe_process())
    with atomic_path(RESULTS / "map_annotation.md") as temporary_path:
        temporary_path.write_text(f"# Annotation of maps\n\n{text}\n")
    print(text)


if __name__ == "__main__":
    main()
