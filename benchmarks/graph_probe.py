"""Does an embedding tell A from B better than the map's own components do? A linear probe, two real maps.

    python -m benchmarks.graph_probe --data ../shared/data --folder DIR [--seeds 3]

GM12878 chr20 (25 kb; A and B are Rao's sub-compartments) and chr21 (40 kb, HIC002; CALDER2's), hg19. Each
model is trained by its command, with several seeds: the original, ``distance-aware`` (with each encoder on
chr21), and ``distance-aware`` on contacts at any distance instead of 5 Mb, with eight latents. Embeddings are
probed as they are and with each vector at unit length, beside as many dimensions of PCA of the O/E
correlation, truncated SVD of O/E, PCA of its rows and the Laplacian, of contacts within 5 Mb and of all; and
beside position and tracks alone. The probe is that of ``graph read``: logistic regression, asked about
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

from benchmarks.map_annotation import CALDER, RAO, known_sides, sub_compartments
from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.analysis.map_components import map_components, observed_over_expected
from chromweave.analysis.probes import linear_probe
from chromweave.data.graph import GraphConfig, all_edges, build_graph
from chromweave.data.graph_batches import normalised_adjacency
from chromweave.data.store import RegionStore
from chromweave.evaluation.bootstrap import block_bootstrap, genome_blocks, paired_difference
from chromweave.evaluation.classification import auroc
from chromweave.io.export import read_embedding

BLOCK, REACH, FAR = 2_000_000, 5_000_000, 1_000_000_000
DIMENSIONS = (8, 16, 32)
TRACKS = ("CTCF", "H3K27me3")
PCA = "PCA of O/E correlation"


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
    Model("distance-aware, all distances", (*AWARE, "--latent", "8", "--epochs", "60"), None),
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


@dataclass(frozen=True)
class Row:
    """A way to describe bins: one or more (bins, dimensions), NaN where there is no description."""

    method: str
    reach: int
    seeds: list[np.ndarray]


def embeddings(folder: Path, real: RealMap, seeds: int) -> Iterator[Row]:
    """Every model's, as it is and at unit length."""
    for model in models(real):
        found = [
            read_embedding(encoded(folder, real, model, seed)).full().astype(float) for seed in range(seeds)
        ]
        yield Row(model.name, model.reach or FAR, found)
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in found]
        yield Row(f"{model.name}, unit length", model.reach or FAR, unit)


def trivial(store: RegionStore, real: RealMap) -> Iterator[Row]:
    """What needs no training."""
    graph = build_graph(store, GraphConfig(real.resolution, (real.chrom,), TRACKS, REACH))
    n = graph.n_bins[0]
    yield Row(
        "position and its square",
        0,
        [everywhere(np.stack([graph.bins, graph.bins.astype(float) ** 2], axis=1), graph.bins, n)],
    )
    yield Row("tracks", 0, [everywhere(graph.features, graph.bins, n)])
    layer = store.layer(real.chrom, real.resolution)
    balanced = layer.dense(weight=store.default_weight(real.resolution))
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) * real.resolution
    adjacency = normalised_adjacency(graph.n_nodes, all_edges(graph)).to_dense().numpy()
    for reach in (REACH, FAR):
        near = np.where(apart <= reach, balanced, np.nan)
        ratio = observed_over_expected(near)
        for k in DIMENSIONS:
            yield Row(PCA, reach, [map_components(near, k)])
            yield Row("truncated SVD of O/E", reach, [everywhere(leading(ratio.ratio - 1, k), ratio.kept, n)])
            centred = ratio.ratio - ratio.ratio.mean(axis=0)
            yield Row("PCA of rows of O/E", reach, [everywhere(leading(centred, k), ratio.kept, n)])
    for k in DIMENSIONS:
        vectors = np.linalg.eigh(adjacency)[1][:, ::-1][:, 1 : k + 1]
        yield Row("Laplacian", REACH, [everywhere(vectors, graph.bins, n)])


def leading(matrix: np.ndarray, k: int) -> np.ndarray:
    """Left singular vectors of the `k` largest singular values, times these."""
    from scipy.sparse.linalg import svds

    vectors, values, _ = svds(matrix, k, v0=np.ones(len(matrix)))
    return vectors * values


def everywhere(rows: np.ndarray, kept: np.ndarray, n: int) -> np.ndarray:
    """Rows of the kept bins among all, NaN between."""
    full = np.full((n, rows.shape[1]), np.nan)
    full[kept] = rows
    return full


@dataclass(frozen=True)
class Asked:
    """Bins that every description knows and the list calls: their index and side, 1 for A."""

    bins: np.ndarray
    side: np.ndarray
    resolution: int

    def probed(self, rows: np.ndarray) -> np.ndarray:
        """Probability of A from the fold that did not learn from a bin, (bins,)."""
        block = BLOCK // self.resolution
        labels, where = np.where(self.side == 1, "A", "B"), np.zeros(len(self.bins))
        found = linear_probe(
            rows[self.bins], labels, where, self.bins, block=block, gap=block // 4, permutations=0
        )
        return found.probability


def mean_auroc(side: np.ndarray, probability: np.ndarray) -> float:
    """Mean over seeds, the columns of `probability`."""
    return float(np.mean([auroc(side, one) for one in probability.T]))


def measured(data: Path, folder: Path, real: RealMap, seeds: int) -> Iterator[dict[str, object]]:
    """A row of the table for each description: its AUC, and how much more that is than PCA's of like size."""
    store = RegionStore.open(folder / f"{real.chrom}.store")
    rows = [*trivial(store, real), *embeddings(folder, real, seeds)]
    bins = pd.DataFrame({"start": np.arange(len(rows[0].seeds[0])) * real.resolution})
    bins = bins.assign(chrom=real.chrom, end=bins["start"] + real.resolution)
    side = known_sides(bins, sub_compartments(data)[real.truth])
    known = np.isfinite(side) & np.all(
        [np.isfinite(one).all(axis=1) for row in rows for one in row.seeds], axis=0
    )
    kept = np.flatnonzero(known)
    asked = Asked(kept, side[kept], real.resolution)
    blocks = genome_blocks([real.chrom] * len(kept), kept * real.resolution, BLOCK)
    said = {id(row): np.stack([asked.probed(one) for one in row.seeds], axis=1) for row in rows}
    pca = {(row.reach, row.seeds[0].shape[1]): said[id(row)] for row in rows if row.method == PCA}
    for row in rows:
        mine, dimensions = said[id(row)], row.seeds[0].shape[1]
        found = block_bootstrap(mean_auroc, (asked.side, mine), blocks, seed=0)
        each = [auroc(asked.side, one) for one in mine.T]
        told = {
            "map": real.name, "truth": real.truth, "method": row.method, "reach": row.reach,
            "dimensions": dimensions, "seeds": len(each), "bins": len(kept), "auc": found.value,
            "low": found.low, "high": found.high, "sd": np.std(each, ddof=1) if len(each) > 1 else np.nan,
        }  # fmt: skip
        if row.method != PCA and (row.reach, dimensions) in pca:
            other = np.repeat(pca[row.reach, dimensions], mine.shape[1], axis=1)
            more = paired_difference(mean_auroc, asked.side, mine, other, blocks, seed=0)
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
            reach = {0: "none", REACH: "within 5 Mb", FAR: "all"}[row["reach"]]
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
    found = []
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
