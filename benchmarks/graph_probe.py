"""Does an embedding tell A from B better than the map's own components do? A linear probe, two real maps.

    python -m benchmarks.graph_probe --data ../shared/data --folder DIR [--seeds 3]

GM12878 chr20 (25 kb; A and B are Rao's sub-compartments) and chr21 (40 kb, HIC002; CALDER2's), hg19. Each
model is trained by its command, with several seeds: the original, ``distance-aware`` (with each encoder on
chr21), and ``distance-aware`` on contacts at any distance instead of 5 Mb, with eight latents. Embeddings are
probed as they are and with each vector at unit length, beside as many dimensions of PCA of the O/E
correlation, truncated SVD of O/E, PCA of its rows and the Laplacian, of contacts within 5 Mb and of all, its
UMAP, and position and tracks alone. The probe is that of ``graph read``: logistic regression, asked about
held-out blocks of 2 Mb, with bins within 0.5 Mb of them not learned from.

A value is the mean AUC over seeds; intervals resample the blocks, the same ones for a difference. A run that
is there is not made again. Writes ``benchmarks/results/graph_probe.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.map_annotation import CALDER, RAO, sub_compartments
from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.analysis.bin_annotations import known_sides
from chromweave.analysis.map_components import observed_over_expected
from chromweave.data.graph import ChromatinGraph, GraphConfig, build_graph
from chromweave.data.store import RegionStore
from chromweave.evaluation.classification import auroc
from chromweave.io.export import read_embedding
from chromweave.workflows.compartment_probes import (
    MAP_PCA,
    Asked,
    Described,
    balanced_map,
    map_descriptions,
)

BLOCK, REACH = 2_000_000, 5_000_000
DIMENSIONS = (8, 16, 32)
TRACKS = ("CTCF", "H3K27me3")


@dataclass(frozen=True)
class RealMap:
    """A map, and whose A and B are asked."""

    name: str
    chrom: str
    folder: str
    contacts: str
    resolution: int
    truth: str
    length: int


MAPS = (
    RealMap(
        "GM12878 chr21, 40 kb",
        "chr21",
        "gm12878_imr90_chr21_22_hg19",
        "GM12878_HIC002",
        40_000,
        CALDER,
        48_000_000,
    ),
    RealMap("GM12878 chr20, 25 kb", "chr20", "gm12878_chr20_hg19", "GM12878.chr20", 25_000, RAO, 63_000_000),
)


@dataclass(frozen=True)
class Model:
    """A training: options of its command, how long its edges are (bp; None: any), and on which maps."""

    name: str
    options: tuple[str, ...]
    reach: int | None = REACH
    chroms: tuple[str, ...] = ("chr21", "chr20")


AWARE = ("--preset", "distance-aware")
MODELS = (
    Model("vgae-original", ("--preset", "vgae-original")),
    Model("distance-aware", AWARE),
    Model("distance-aware, sage", (*AWARE, "--encoder", "sage"), chroms=("chr21",)),
    Model("distance-aware, gat", (*AWARE, "--encoder", "gat"), chroms=("chr21",)),
    Model("distance-aware, all distances", (*AWARE, "--latent", "8"), None),
)


def models(real: RealMap) -> list[Model]:
    """What is trained on a map."""
    return [model for model in MODELS if real.chrom in model.chroms]


def steps(data: Path, folder: Path, real: RealMap, seeds: int) -> Iterator[Step]:
    """Store, trainings and encodings."""
    files, store = data / real.folder, folder / f"{real.chrom}.store"
    tracks = [word for name in TRACKS for word in ("--track", f"{name}={files}/GM12878.{name}.bw")]
    yield Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{files}/{real.contacts}.mcool", "--resolution",
            str(real.resolution), "--assembly", "hg19", *tracks,
        ),
    )  # fmt: skip
    for model in models(real):
        for seed in range(seeds):
            run, made = folder / run_name(real, model, seed), encoded(folder, real, model, seed)
            yield Step(
                run / "config.json",
                (
                    "graph", "train", str(run), "--store", str(store), "--resolution", str(real.resolution),
                    "--chrom", real.chrom, "--max-distance", str(model.reach or real.length),
                    *model.options, "--seed", str(seed),
                ),
            )  # fmt: skip
            yield Step(made, ("graph", "encode", str(made), "--model", str(run), "--store", str(store)))


def run_name(real: RealMap, model: Model, seed: int) -> str:
    """What a training's files are called."""
    return f"{real.chrom}.{model.name.replace(', ', '-').replace(' ', '-')}.{seed}"


def encoded(folder: Path, real: RealMap, model: Model, seed: int) -> Path:
    """Where an encoding is."""
    return folder / f"{run_name(real, model, seed)}.h5ad"


def embeddings(folder: Path, real: RealMap, seeds: int) -> Iterator[Described]:
    """Every model's, as it is and at unit length."""
    for model in models(real):
        found = tuple(
            read_embedding(encoded(folder, real, model, seed)).full().astype(float) for seed in range(seeds)
        )
        yield Described(model.name, model.reach, found)
        unit = tuple(rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in found)
        yield Described(f"{model.name}, unit length", model.reach, unit)


def trivial(store: RegionStore, real: RealMap) -> Iterator[Described]:
    """What needs no training."""
    yield from map_descriptions(store, graph_of(store, real), DIMENSIONS)
    for reach in (REACH, None):
        balanced = balanced_map(store, real.chrom, real.resolution, reach)
        ratio = observed_over_expected(balanced)
        for k in DIMENSIONS:
            for name, matrix in (
                ("truncated SVD of O/E", ratio.ratio - 1),
                ("PCA of rows of O/E", ratio.ratio - ratio.ratio.mean(axis=0)),
            ):
                rows = np.full((len(balanced), k), np.nan)
                rows[ratio.kept] = leading(matrix, k)
                yield Described(name, reach, (rows,))


def graph_of(store: RegionStore, real: RealMap) -> ChromatinGraph:
    """The graph that models are trained on."""
    return build_graph(store, GraphConfig(real.resolution, (real.chrom,), TRACKS, REACH))


def leading(matrix: np.ndarray, k: int) -> np.ndarray:
    """Left singular vectors of the `k` largest singular values, times these."""
    from scipy.sparse.linalg import svds

    vectors, values, _ = svds(matrix, k, v0=np.ones(len(matrix)))
    return vectors * values


def measured(data: Path, folder: Path, real: RealMap, seeds: int) -> Iterator[dict[str, object]]:
    """A row of the table for each description: its AUC, and how much more that is than PCA's of like size."""
    store = RegionStore.open(folder / f"{real.chrom}.store")
    rows = [*trivial(store, real), *embeddings(folder, real, seeds)]
    bins = graph_of(store, real).bin_table()
    asked = Asked.of(
        known_sides(bins, sub_compartments(data)[real.truth]), rows, bins["chrom"].to_numpy(),
        bins["start"].to_numpy(), resolution=real.resolution, block=BLOCK,
    )  # fmt: skip
    said = [asked.probe(row) for row in rows]
    pca = {
        (row.reach, row.dimensions): one for row, one in zip(rows, said, strict=True) if row.method == MAP_PCA
    }
    for row, mine in zip(rows, said, strict=True):
        found = asked.auc(mine)
        each = [auroc(asked.side, one) for one in mine.T]
        told: dict[str, object] = {
            "map": real.name, "truth": real.truth, "method": row.method, "reach": row.reach,
            "dimensions": row.dimensions, "seeds": len(each), "bins": found.n, "auc": found.value,
            "low": found.low, "high": found.high, "sd": np.std(each, ddof=1) if len(each) > 1 else np.nan,
        }  # fmt: skip
        if row.method != MAP_PCA and (row.reach, row.dimensions) in pca:
            more = asked.difference(mine, pca[row.reach, row.dimensions])
            told |= {"more": more.value, "more_low": more.low, "more_high": more.high}
        yield told


def summary(table: pd.DataFrame) -> str:
    """Markdown."""
    lines = []
    for (name, truth), rows in table.groupby(["map", "truth"], sort=False):
        lines += ["", f"## {name}: A and B of {truth}, {rows['bins'].iloc[0]:,} bins", ""]
        lines += [
            "| contacts | description | dimensions | AUC (blocks) | sd of seeds | more than PCA of as many |"
        ]
        lines += ["|---" * 6 + "|"]
        for row in rows.sort_values(["reach", "dimensions"], kind="stable").to_dict("records"):
            spread = "" if pd.isna(row["sd"]) else f"{row['sd']:.4f} ({row['seeds']})"
            more = (
                ""
                if pd.isna(row["more"])
                else f"{row['more']:+.4f} [{row['more_low']:+.4f}, {row['more_high']:+.4f}]"
            )
            reach = "all" if pd.isna(row["reach"]) else "within 5 Mb" if row["reach"] else "none"
            lines.append(
                f"| {reach} | {row['method']} | {row['dimensions']} "
                f"| {row['auc']:.4f} [{row['low']:.4f}, {row['high']:.4f}] | {spread} | {more} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found: list[dict[str, object]] = []
    for real in MAPS:
        for step in steps(given.data, given.folder, real, given.seeds):
            step.run()
        found += measured(given.data, given.folder, real, given.seeds)
    table = pd.DataFrame(found)
    text = summary(table)
    write_results("graph_probe", "A linear probe for A and B", table, text, seeds=given.seeds)
    print(text)


if __name__ == "__main__":
    main()
