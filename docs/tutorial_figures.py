"""Figures of docs/tutorial.md, and its table of what sorts the bins that change compartment.

``python docs/tutorial_figures.py OUT DATA --figures docs/figures``, after docs/tutorial.sh made OUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from chromweave.analysis.pileup import pileup
from chromweave.data.graph import GraphConfig, build_graph
from chromweave.data.store import RegionStore
from chromweave.evaluation.classification import auroc
from chromweave.genome import Interval
from chromweave.io.export import read_embedding, write_table
from chromweave.io.intervals import read_bedpe
from chromweave.plot.browser import browser_figure
from chromweave.plot.curves import evaluation_figure, training_figure
from chromweave.plot.embeddings import embedding_figure
from chromweave.plot.maps import pileup_figure
from chromweave.plot.style import WIDTH, image_bytes, new_figure, styled
from chromweave.plot.tracks import SignalTrack, draw_delta, draw_eigenvector, label_outer
from chromweave.workflows.evaluate_loops import TRIVIAL_LOOP_ROWS, headline_scores

GM12878, REPLICATE, IMR90, MAP_ONLY = "GM12878_HIC001", "GM12878_HIC002", "IMR90_HIC050", "IMR90_map_only"
COMPARISONS = {
    "lines": ("GM12878 and IMR90", IMR90),
    "replicates": ("two GM12878 replicates", REPLICATE),
    "map_only": ("IMR90 map, GM12878 tracks", MAP_ONLY),
}
MODEL = "vgae-original"
K562, RESOLUTION = "K562", 5000
SHOWN = ("chr22", 45_500_000, 47_500_000)  # in the test block
AMPLICON = ("chr22", 19_000_000, 23_300_000)
PRETRAINING = ("loss", "contrastive", "retrieval_top5")


def read(path: Path) -> pd.DataFrame:
    """A table of chromweave; "NA" is no value of ours."""
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])


def pretraining(out: Path, data: Path):
    """Losses and retrieval of pre-training; validation is another block of the chromosome."""
    metrics = pd.read_csv(out / "pretrain" / "metrics.csv")
    return training_figure(metrics[metrics["metric"].isin(PRETRAINING)])


def finetuning(out: Path, data: Path):
    """Loss and validation scores of fine-tuning."""
    return training_figure(pd.read_csv(out / "loop-model" / "metrics.csv"))


def loop_scores(out: Path, data: Path):
    """The fine-tuned model, the one from scratch, and the trivial rows on the test windows."""
    scores, scratch = (
        headline_scores(read(out / folder / "loops.tsv"))
        for folder in ("evaluation", "evaluation-from-scratch")
    )
    scratch = scratch.query("method == 'model'")
    table = pd.concat(
        [scores.query("method == 'model'"), scratch.assign(method="model, from scratch"), scores]
    ).drop_duplicates(["method", "metric", "stratum"])
    shown = ["auroc", "auroc_distance_matched", "average_precision"]
    table = table[table["metric"].isin(shown)]
    return evaluation_figure(table, trivial=TRIVIAL_LOOP_ROWS, chance=dict.fromkeys(shown, 0.5))


def _signal(store: RegionStore, name: str, region: Interval, width: int = 1000) -> SignalTrack:
    binned = store.track(name, region.chrom).binned(width)
    first, last = region.start // width, -(-region.end // width)
    return SignalTrack(name, np.asarray(binned.mean[first:last]), first * width, width)


def called_loops(out: Path, data: Path):
    """Part of the test block: map, called loops above, CTCF ChIA-PET loops, tracks."""
    store, region = RegionStore.open(out / f"{K562}.store"), Interval(*SHOWN)
    matrix = store.layer(region.chrom, RESOLUTION).dense(
        region.start // RESOLUTION,
        region.end // RESOLUTION,
        weight=store.default_weight(RESOLUTION),
        scaled=True,
    )
    return browser_figure(
        matrix,
        region,
        RESOLUTION,
        max_distance=700_000,
        unit="balanced contacts",
        tracks=[_signal(store, name, region) for name in store.track_names],
        calls=read_bedpe(out / "K562.loops.bedpe", store.assembly),
        truth=read_bedpe(data / "k562_chr22_hg38" / "K562.CTCF_ChIA-PET.bedpe", store.assembly),
    )


def loop_pileup(out: Path, data: Path):
    """Aggregate peak of the called loops outside the amplicon."""
    store = RegionStore.open(out / f"{K562}.store")
    calls = read_bedpe(out / "K562.loops.bedpe", store.assembly)
    chrom, start, end = AMPLICON
    calls = calls[(calls["chrom1"] == chrom) & ~((calls["start1"] < end) & (calls["end2"] > start))]
    weight = store.default_weight(RESOLUTION)
    piled = pileup(store.layer(chrom, RESOLUTION), calls, weight=weight, seed=0)
    return pileup_figure(
        piled.mean,
        piled.control_mean,
        piled.resolution,
        score=piled.enrichment,
        control_score=piled.control_enrichment,
        count=piled.n,
    )


def graph_scores(out: Path, data: Path):
    """AUC on held-out contacts: mean over three seeds, ends at the lowest and highest seed."""
    scores = read(out / "graph" / "scores.tsv").query("metric == 'auc'")
    table = (
        scores.groupby(["method", "sampling"], sort=False)["value"]
        .agg(value="mean", low="min", high="max")
        .reset_index()
    )
    table["metric"] = "AUC, " + table["sampling"] + " negatives"
    trivial = [name for name in table["method"].unique() if name != MODEL]
    return evaluation_figure(table, trivial=trivial, chance=dict.fromkeys(table["metric"], 0.5))


@styled
def compartments_and_distances(out: Path, data: Path):
    """E1 of both lines on chr21, and the distance of each bin in the three comparisons, on one scale."""
    store = RegionStore.open(out / f"{GM12878}.store")
    region = Interval("chr21", 13_000_000, store.assembly.length("chr21"))
    figure = new_figure(WIDTH, 6.0)
    axes = figure.subplots(5, 1, sharex=True)
    for ax, name in zip(axes, (GM12878, IMR90), strict=False):
        table = read(out / "compartments" / f"{name}.tsv")
        draw_eigenvector(ax, table, region, f"{name.split('_')[0]}\nE1")
    for ax, (folder, (title, _)) in zip(axes[2:], COMPARISONS.items(), strict=True):
        bins = read(out / "compare" / folder / "bins.tsv").rename(columns={"cosine": "delta"})
        draw_delta(ax, bins, region, title)
        ax.set_ylim(0, 2)
        ax.set_yticks([0, 1, 2], ["0", "1", "2"])
    label_outer(axes)
    return figure


def umap(out: Path, data: Path):
    """The three encoded maps in one plane."""
    layout = read(out / "encoded" / "umap.tsv").rename(columns={"embedding": "map"})
    points = layout[["umap1", "umap2"]].to_numpy(dtype=float)
    return embedding_figure(points, layout, colour_by=("compartment", "position", "map"))


def _features(out: Path, name: str, config: GraphConfig) -> np.ndarray:
    graph = build_graph(RegionStore.open(out / f"{name}.store"), config)
    values = np.full((graph.n_bins[0], len(config.features)), np.nan)
    values[graph.bins] = graph.features
    return values


def switch_sorting(out: Path) -> pd.DataFrame:
    """AUROC of telling bins that change compartment from those that do not, by four differences."""
    tracks = tuple(read_embedding(out / "encoded" / f"{GM12878}.h5ad").provenance["features"])
    config = GraphConfig(40_000, ("chr21",), tracks)
    first = _features(out, GM12878, config)
    rows = []
    for folder, (title, other) in COMPARISONS.items():
        bins = read(out / "compare" / folder / "bins.tsv")
        kept = bins["cosine"].notna().to_numpy()
        for which in ("first", "second"):
            kept &= bins[f"compartment_{which}"].isin(["A", "B"]).to_numpy()
        changed = (bins["compartment_first"] != bins["compartment_second"]).to_numpy(dtype=float)
        differences = {
            "embedding, cosine": bins["cosine"].to_numpy(),
            "embedding, L2": bins["l2"].to_numpy(),
            "tracks alone": np.linalg.norm(first - _features(out, other, config), axis=1),
            "E1 (not independent)": (bins["E1_first"] - bins["E1_second"]).abs().to_numpy(),
        }
        for name, values in differences.items():
            rows.append(
                (title, int(kept.sum()), int(changed[kept].sum()), name, auroc(changed[kept], values[kept]))
            )
    return pd.DataFrame(rows, columns=["comparison", "bins", "changed", "sorted_by", "auroc"])


FIGURES = {
    "pretraining": pretraining,
    "finetuning": finetuning,
    "loop_scores": loop_scores,
    "called_loops": called_loops,
    "loop_pileup": loop_pileup,
    "graph_scores": graph_scores,
    "compartments_and_distances": compartments_and_distances,
    "umap": umap,
}


def main() -> None:
    """Draw every figure; write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="what docs/tutorial.sh made")
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"))
    given = parser.parse_args()
    given.figures.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        (given.figures / f"{name}.png").write_bytes(image_bytes(draw(given.out, given.data), dpi=110))
    table = switch_sorting(given.out)
    write_table(given.out / "compare" / "switch_sorting.tsv", table)
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
