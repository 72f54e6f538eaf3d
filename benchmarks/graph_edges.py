"""Do graph models know more of held-out contacts than distance and visibility do? Real maps, five seeds.

    python -m benchmarks.graph_edges --data ../shared/data --folder DIR [--seeds 5]

GM12878 chr21 (HIC002, 40 kb) and chr20 (25 kb) and IMR90 chr21 (HIC050, 40 kb), all hg19: the preset of the
original and ``distance-aware``, each with as many trainings, every one with a split, non-contacts and first
weights of its own, beside the trivial rows on the same held-out contacts. Means over seeds and Student's 95 %
intervals of them, and the standard deviation between seeds; a difference is taken seed by seed. Features are
CTCF and H3K27me3, as in the original; IMR90 has no H3K27me3 here, and H3K4me3 in its place. Prints every
command; a run that is there is not made again. Writes ``benchmarks/results/graph_edges.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.evaluation.edges import summarise_scores

PRESETS = ("vgae-original", "distance-aware")
SHOWN = {
    ("uniform", "auc"): "AUC, uniform",
    ("in-range", "auc"): "AUC, in range",
    ("matched", "auc"): "AUC, equal distances",
}


@dataclass(frozen=True)
class RealMap:
    """A map, the tracks that are node features, and what its files are called in the folder."""

    name: str
    key: str
    contacts: str
    resolution: int
    chrom: str
    tracks: dict[str, str]


def maps(data: Path) -> Iterator[RealMap]:
    """The three."""
    lines, deep = data / "gm12878_imr90_chr21_22_hg19", data / "gm12878_chr20_hg19"
    for name, key, folder, contacts, resolution, marks in (
        ("GM12878 chr21, 40 kb", "chr21", lines, "GM12878_HIC002", 40_000, ("CTCF", "H3K27me3")),
        ("GM12878 chr20, 25 kb", "chr20", deep, "GM12878.chr20", 25_000, ("CTCF", "H3K27me3")),
        ("IMR90 chr21, 40 kb", "IMR90.chr21", lines, "IMR90_HIC050", 40_000, ("CTCF", "H3K4me3")),
    ):
        line = name.split()[0]
        tracks = {mark: str(folder / f"{line}.{mark}.bw") for mark in marks}
        yield RealMap(name, key, str(folder / f"{contacts}.mcool"), resolution, name.split()[1][:-1], tracks)


def run_of(folder: Path, real: RealMap, preset: str) -> Path:
    """Folder of a training."""
    return folder / f"{real.key}.{preset}"


def store_of(folder: Path, real: RealMap) -> Step:
    """The map's store."""
    store = folder / f"{real.key}.store"
    tracks = [option for name, path in real.tracks.items() for option in ("--track", f"{name}={path}")]
    return Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", real.contacts, "--resolution", str(real.resolution),
            "--assembly", "hg19", *tracks,
        ),
    )  # fmt: skip


def steps(folder: Path, real: RealMap, seeds: int) -> Iterator[Step]:
    """Store, and each preset's trainings."""
    store = folder / f"{real.key}.store"
    yield store_of(folder, real)
    for preset in PRESETS:
        run = run_of(folder, real, preset)
        yield Step(
            run / "scores.tsv",
            (
                "graph", "train", str(run), "--store", str(store), "--resolution", str(real.resolution),
                "--chrom", real.chrom, "--preset", preset, "--repeats", str(seeds),
            ),
        )  # fmt: skip


def scores(folder: Path, real: RealMap) -> pd.DataFrame:
    """Both presets' scores by seed; the trivial rows, which are the same for both, once."""
    tables = [pd.read_csv(run_of(folder, real, preset) / "scores.tsv", sep="\t") for preset in PRESETS]
    both = pd.concat(tables, ignore_index=True)
    return both.drop_duplicates(["method", "sampling", "metric", "seed"]).assign(map=real.name)


def summary(table: pd.DataFrame) -> str:
    """Markdown: methods down; AUC in three samplings and whatever is said of counts across."""
    lines = []
    for name, rows in table.groupby("map", sort=False):
        means = summarise_scores(rows.drop(columns="map"), PRESETS[1])
        columns = dict(SHOWN)
        for key in means[["sampling", "metric"]].drop_duplicates().itertuples(index=False, name=None):
            if key[1] not in ("auc", "ap"):
                columns[key] = f"{key[1]}, {key[0]}"
        lines += ["", f"## {name}, {rows['seed'].nunique()} seeds", ""]
        lines += [f"| | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
        for method, of in means.groupby("method", sort=False):
            found = of.set_index(["sampling", "metric"])
            lines.append(f"| {method} | {' | '.join(cell(found, key) for key in columns)} |")
    return "\n".join(lines)


def cell(found: pd.DataFrame, key: tuple[str, str]) -> str:
    """Mean, its interval, and the standard deviation between seeds."""
    if key not in found.index:
        return ""
    row = found.loc[key]
    if pd.isna(row["mean"]):
        return "undefined"
    return f"{row['mean']:.4f} [{row['low']:.4f}, {row['high']:.4f}] sd {row['sd']:.4f}"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    tables = []
    for real in maps(given.data):
        for step in steps(given.folder, real, given.seeds):
            step.run()
        tables.append(scores(given.folder, real))
    table = pd.concat(tables, ignore_index=True)
    text = summary(table)
    write_results("graph_edges", "Held-out contacts of real maps", table, text, seeds=given.seeds)
    print(text)


if __name__ == "__main__":
    main()
