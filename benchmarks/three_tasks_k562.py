"""The three tasks on real data: chr22 of K562 by blocks, without its amplicon.

    python -m benchmarks.three_tasks_k562 --data ../shared/data/k562_chr22_hg38 --folder DIR [--seeds 0]

Loops of CTCF and of RAD21 ChIA-PET, contacts from tracks, and expression (TPM at start sites, in place of
CAGE, which is not to be had), each from scratch and from a model pre-trained on the training blocks. The
test block has some 6 Mb: blocks of 1 Mb are resampled for the intervals, which windows of 250 kb and loops of
up to 2 Mb reach across, so that the intervals are too narrow. Prints every command; a step whose result is
there is not run again. Writes ``benchmarks/results/three_tasks_k562.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.tables import write_results
from benchmarks.three_tasks import TRACKS, Step, cell, named, resumed

EXCLUDED = "chr22:19000000-23300000"
PRESET = "tiny"
SETS = {
    "loops of CTCF": ("loops", "ctcf", ("bimodal", "map", "tracks")),
    "loops of RAD21": ("loops", "rad21", ("bimodal", "map", "tracks")),
    "contacts": ("contacts", "grid", ("infer_map", "tracks")),
    "expression": ("expression", "tss", ("bimodal", "tracks", "map")),
}
"""What is learned: task, window table, and modes."""

HEADLINES = {
    "loops": ("auroc", "auroc_distance_matched", "average_precision"),
    "contacts": ("scc", "log_oe_pearson", "insulation", "pearson", "r2"),
    "expression": ("pearson_genes", "spearman_genes", "r2_genes"),
}


def steps(data: Path, folder: Path, seeds: list[int]) -> Iterator[Step]:
    """Every command, in order."""
    store = folder / "K562.store"
    signals = {name: data / f"K562.{name}.bw" for name in TRACKS} | {
        "RNA": data / "K562.expression_at_TSS.bw"
    }
    yield Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", str(data / "K562.chr22.mcool"), "--resolution", "5000",
            *(option for name, path in signals.items() for option in ("--track", f"{name}={path}")),
        ),
    )  # fmt: skip
    around = {
        "tss": ("--around", "tss", "--tss", str(data / "tss_K562.tsv")),
        "grid": ("--around", "grid", "--step", "25000"),
        "ctcf": ("--around", "loops", "--loops", str(data / "K562.CTCF_ChIA-PET.bedpe")),
        "rad21": ("--around", "loops", "--loops", str(data / "K562.RAD21_ChIA-PET.washu.txt")),
    }
    for name, options in around.items():
        table = folder / f"{name}.parquet"
        yield Step(
            table,
            (
                "windows",
                str(table),
                "--store",
                str(store),
                *options,
                "--split",
                "blocks",
                "--exclude",
                EXCLUDED,
            ),
        )
    for seed in seeds:
        yield from trained(folder, seed)


def trained(folder: Path, seed: int) -> Iterator[Step]:
    """Pre-training, every arm and the evaluations of one seed."""
    store = ("--store", f"{folder}/K562.store")
    tracks = named(TRACKS)
    chosen = ("--preset", PRESET, "--seed", str(seed))
    before = folder / f"seed{seed}" / "pretrain"
    yield Step(
        before / "config.json",
        (
            "pretrain",
            str(before),
            *store,
            "--windows",
            f"{folder}/grid.parquet",
            *tracks,
            *chosen,
            *resumed(before),
        ),
    )
    for name, (task, table, modes) in SETS.items():
        signal = ("--signal", "RNA", "--least-known", "0.01") if task == "expression" else ()
        windows = ("--windows", f"{folder}/{table}.parquet")
        runs = {}
        for mode in modes:
            for start, options in {"pre-trained": ("--from", str(before)), "from scratch": tracks}.items():
                arm = f"{mode}, {start}"
                run = runs[arm] = (
                    folder / f"seed{seed}" / f"{name}, {arm}".replace(", ", "_").replace(" ", "_")
                )
                yield Step(
                    run / "config.json",
                    (
                        "finetune", str(run), "--task", task, "--mode", mode, *options, *signal,
                        *store, *windows, *chosen, *resumed(run),
                    ),
                )  # fmt: skip
        first, *others = runs
        out = folder / f"seed{seed}" / f"{name} judged".replace(" ", "_")
        yield Step(
            out / f"{task}.json",
            (
                "evaluate", str(out), "--model", str(runs[first]), *store, *windows, "--block", "1000000",
                *(option for arm in others for option in ("--beside", f"{arm}={runs[arm]}")),
                "--seed", str(seed),
            ),
        )  # fmt: skip


def gathered(folder: Path, seeds: list[int]) -> pd.DataFrame:
    """All evaluations with columns set and seed; the first model under the name of its arm."""
    parts = []
    for seed in seeds:
        for name, (task, _, modes) in SETS.items():
            path = folder / f"seed{seed}" / f"{name} judged".replace(" ", "_") / f"{task}.tsv"
            rows = pd.read_csv(path, sep="\t", keep_default_na=False, na_values="NA")
            rows["method"] = rows["method"].str.replace(r"^model", f"{modes[0]}, pre-trained", regex=True)
            parts.append(rows[rows["stratum"] == "all"].assign(set=name, seed=seed))
    return pd.concat(parts, ignore_index=True)


def summary(table: pd.DataFrame, seeds: list[int]) -> str:
    """A table for each set: mean over seeds; differences of the first arm with their verdict by seed."""
    lines = [
        "Mean over seeds of the training and, in brackets, each seed's value; the data are the same. "
        "Rows with a minus are paired differences over the same blocks of 1 Mb; a star marks one whose 95 % "
        "interval, too narrow as it is, leaves 0 out."
    ]
    for name, (task, _, _) in SETS.items():
        metrics = HEADLINES[task]
        rows = table[(table["set"] == name) & table["metric"].isin(metrics)]
        n = int(rows[rows["metric"] == metrics[0]]["n"].max())
        lines += ["", f"### {name} ({n} test {'genes' if task == 'expression' else 'windows'})", ""]
        lines += [f"| | {' | '.join(metrics)} |", "|---" * (len(metrics) + 1) + "|"]
        for method, of in rows.groupby("method", sort=False):
            cells = [cell(of[of["metric"] == metric], seeds, " - " in method) for metric in metrics]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the K562 files")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    for step in steps(given.data, given.folder, given.seeds):
        step.run()
    table = gathered(given.folder, given.seeds)
    text = summary(table, given.seeds)
    title = f"Three tasks on chr22 of K562, preset {PRESET}"
    write_results("three_tasks_k562", title, table, text, seeds=given.seeds, preset=PRESET)
    print(text)


if __name__ == "__main__":
    main()
