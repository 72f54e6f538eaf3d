"""How much of simulated expression could a map explain that distance does not, within a window?

    python -m benchmarks.expression_ceiling --folder DIR [--seeds 0 1 2]

``--folder`` is that of ``benchmarks.three_tasks``. Nothing is learned: the simulator's own rule (promoter
accessibility times a basal rate and the activity of enhancers by their contact) is applied to true activities
on the test chromosomes, with contacts as the mean of their distance, or as the map has them, smoothed; with
enhancers up to several distances from the start site, of which 125 kb is what a window of 50 bins of 5 kb
around it shows. What the two differ by is all that a map can add. Writes
``benchmarks/results/expression_ceiling.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from benchmarks.tables import write_results
from chromweave.data.store import RegionStore
from chromweave.sim.truth import Regulation

CHROMS = ("chr5", "chr6")
LINE = "C"
RESOLUTION = 5_000
REACHES = (125_000, 250_000, 500_000, 1_000_000)
SMOOTHED = 1.5  # bins, standard deviation
RULE = Regulation()


def genes(folder: Path) -> Iterator[dict[str, object]]:
    """Log expression of each gene, and what the rule makes of distance and of the map at each reach."""
    store = RegionStore.open(folder / f"{LINE}.store")
    truth = folder / "genome" / "truth"
    of_genes = pd.read_csv(truth / f"{LINE}.genes.tsv", sep="\t")
    names = ["chrom", "start", "end", "name", "activity", "strand", "accessibility"]
    enhancers = pd.read_csv(truth / f"{LINE}.enhancers.bed", sep="\t", names=names)
    for chrom in CHROMS:
        mean, ratio = contacts(store, chrom)
        active = enhancers[(enhancers["chrom"] == chrom) & (enhancers["activity"] > 0)]
        place = (active["start"].to_numpy() + 200) // RESOLUTION
        activity = active["activity"].to_numpy()
        for gene in of_genes[of_genes["chrom"] == chrom].itertuples():
            here = gene.tss // RESOLUTION
            row: dict[str, object] = {"expression": np.log2(2 * gene.expression + 1)}
            for reach in REACHES:
                near = np.abs(place - here) <= reach // RESOLUTION
                typical = mean[np.abs(place[near] - here)]
                for name, over in {"distance": np.ones(near.sum()), "map": ratio[here, place[near]]}.items():
                    half = mean[RULE.half // RESOLUTION]
                    relative = (over * np.sqrt(typical / half)) ** RULE.steepness
                    received = (activity[near] * relative / (1 + relative)).sum()
                    level = RULE.scale * gene.accessibility * (RULE.basal + received)
                    row[f"{name}, {reach}"] = np.log2(2 * level + 1)
            yield row


def contacts(store: RegionStore, chrom: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean balanced contact at each distance, and smoothed observed over expected, 1 where unknown."""
    layer = store.layer(chrom, RESOLUTION)
    balanced = layer.dense(0, layer.n_bins, weight=store.default_weight(RESOLUTION))
    mean = np.array([np.nanmean(np.diagonal(balanced, k)) for k in range(2 * max(REACHES) // RESOLUTION)])
    bins = np.arange(layer.n_bins)
    typical = mean[np.minimum(np.abs(bins[:, None] - bins), len(mean) - 1)]
    known = np.isfinite(balanced)
    weight = gaussian_filter(known.astype(float), SMOOTHED)
    value = gaussian_filter(np.where(known, balanced / typical, 0.0), SMOOTHED)
    return mean, np.where(weight > 0.1, value / np.maximum(weight, 1e-9), 1.0)


def main() -> None:
    """Compute and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder of benchmarks.three_tasks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        table = pd.DataFrame(genes(given.folder / f"seed{seed}"))
        for reach in REACHES:
            found = {
                f"from {name}": table["expression"].corr(table[f"{name}, {reach}"])
                for name in ("distance", "map")
            }
            rows.append({"seed": seed, "enhancers within, bp": reach, "genes": len(table), **found})
    table = pd.DataFrame(rows)
    mean = table.groupby("enhancers within, bp")[["from distance", "from map"]].mean()
    lines = ["| enhancers within | distance | map |", "|---|---|---|"]
    lines += [
        f"| {reach // 1000:,} kb | {row.iloc[0]:.3f} | {row.iloc[1]:.3f} |" for reach, row in mean.iterrows()
    ]
    text = "\n".join(lines)
    title = "Pearson of log expression across genes with the simulator's rule, mean of the genomes"
    write_results("expression_ceiling", title, table, text, seeds=given.seeds)
    print(text)


if __name__ == "__main__":
    main()
