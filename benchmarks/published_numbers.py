"""What of the published numbers does not survive, each shown on simulated lines.

    python -m benchmarks.published_numbers --folder DIR [--seeds 0 1 2]

Takes stores, windows and models that ``benchmarks.three_tasks`` left in DIR, and asks, on test chromosomes
of line C:

1. **Negatives that differ in distance.** ``windows --protocol paper`` draws half the negatives beyond the
   loops: what do distance alone, and the model, score there, and what on strict negatives?
2. **A random split of expression windows.** Neighbouring genes share their bins: how much of the test windows
   has been trained on, and what do a model and boosting score there, and what on whole chromosomes held out?
3. **R2 with its arguments exchanged.** The same predictions of contacts and of expression by R2 and by the
   exchanged form.
4. **Attention across the batch.** A model with the published code's attention is judged twice, with 64
   windows in a batch and with one.

Prints every command; what is there is not made again. Writes ``benchmarks/results/published_numbers.*``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.tables import write_results
from benchmarks.three_tasks import SPLIT, Step, named, resumed, run_of, table_of
from chromweave import config as configs
from chromweave.data.windows import read_windows
from chromweave.workflows.evaluate import EvaluateConfig, evaluate
from chromweave.workflows.foundation_settings import FinetuneConfig

BATCHES = (64, 1)
ASKED = {
    "negatives": ("auroc", "auroc_distance_matched"),
    "split": ("pearson", "pearson_genes"),
    "r2 of contacts": ("pearson", "r2", "r2_swapped"),
    "r2 of expression": ("pearson_flat", "r2_flat", "r2_swapped_flat"),
    "batch": ("auroc",),
}


def place_of(folder: Path) -> Path:
    """Where this benchmark keeps what it makes of a genome."""
    return folder / "published-numbers"


def steps(folder: Path, seed: int) -> Iterator[Step]:
    """Every command of one genome."""
    place, store, genome = place_of(folder), f"{folder}/C.store", folder / "genome"
    place.mkdir(exist_ok=True)
    chosen = ("--seed", str(seed))
    paper = place / "paper.parquet"
    yield Step(
        paper,
        (
            "windows", str(paper), "--store", store, "--around", "loops",
            "--loops", f"{genome}/C.loops.bedpe", "--protocol", "paper", *SPLIT, *chosen,
        ),
    )  # fmt: skip
    yield judged(place / "negatives", "loops", run_of(folder, "loops", "bimodal"), store, paper, seed)
    shuffled = place / "shuffled.parquet"
    yield Step(
        shuffled,
        (
            "windows", str(shuffled), "--store", store, "--around", "tss", "--tss",
            f"{genome}/C.genes.tsv", "--split", "random", *chosen,
        ),
    )  # fmt: skip
    run = place / "expression"
    yield Step(
        run / "config.json",
        (
            "finetune", str(run), "--task", "expression", "--store", store, "--windows", str(shuffled),
            *named(("H3K27ac",)), "--preset", "tiny", *chosen, *resumed(run),
        ),
    )  # fmt: skip
    yield judged(place / "split", "expression", run, store, shuffled, seed)
    legacy = place / "legacy"
    settings = FinetuneConfig.preset("tiny", "loops")
    network = replace(settings.network, legacy=True, fusion="paper", unimodal_heads=False)
    configs.save(replace(settings, network=network), place / "legacy.toml")
    yield Step(
        legacy / "config.json",
        (
            "finetune", str(legacy), "--task", "loops", "--store", store, "--windows",
            f"{folder}/C.loops.parquet", "--config", str(place / "legacy.toml"), *chosen, *resumed(legacy),
        ),
    )  # fmt: skip


def judged(out: Path, task: str, run: Path, store: str, windows: Path, seed: int) -> Step:
    """An evaluation by command."""
    return Step(
        out / f"{task}.json",
        (
            "evaluate", str(out), "--model", str(run), "--store", store, "--windows", str(windows),
            "--seed", str(seed),
        ),
    )  # fmt: skip


def batches(folder: Path, seed: int) -> pd.DataFrame:
    """Scores of the model with attention across the batch, by how many windows it is given at once."""
    parts = []
    for size in BATCHES:
        out = place_of(folder) / f"batch-{size}"
        if not (out / "loops.tsv").exists():
            evaluate(
                out, model=place_of(folder) / "legacy", store=folder / "C.store",
                windows=folder / "C.loops.parquet", seed=seed, config=EvaluateConfig(batch_size=size),
            )  # fmt: skip
        parts.append(read(out / "loops.tsv", "batch", f"{size} windows in a batch"))
    return pd.concat(parts)


def read(path: Path, question: str, case: str) -> pd.DataFrame:
    """The rows of an evaluation that a question is about."""
    rows = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA", ""])
    rows = rows[(rows["stratum"] == "all") & rows["metric"].isin(ASKED[question])]
    return rows[~rows["method"].str.contains(" - ")].assign(question=question, case=case)


def overlapping(windows: Path) -> float:
    """Share of test windows of which a half or more lies in one training window."""
    table = read_windows(windows, splits=("train", "test"))
    side = int(table.attrs["window_bins"]) * int(table.attrs["resolution"])
    train, test = (table[table["split"] == name] for name in ("train", "test"))
    seen = 0
    for chrom, rows in test.groupby("chrom", observed=True):
        known = train.loc[train["chrom"] == chrom, "x"].to_numpy()
        seen += sum(bool(len(known)) and abs(known - x).min() <= side // 2 for x in rows["x"])
    return seen / len(test)


def gathered(folder: Path, seed: int) -> pd.DataFrame:
    """All questions' rows of one genome."""
    place = place_of(folder)
    found = [
        read(table_of(folder, "loops", "C").with_suffix(".tsv"), "negatives", "strict"),
        read(place / "negatives" / "loops.tsv", "negatives", "as published"),
        read(table_of(folder, "expression", "C").with_suffix(".tsv"), "split", "chromosomes"),
        read(place / "split" / "expression.tsv", "split", "random"),
        read(table_of(folder, "contacts", "C").with_suffix(".tsv"), "r2 of contacts", "from tracks"),
        read(table_of(folder, "expression", "C").with_suffix(".tsv"), "r2 of expression", "chromosomes"),
        batches(folder, seed),
    ]
    return pd.concat(found, ignore_index=True).assign(genome=seed)


def summary(table: pd.DataFrame, shares: dict[int, float]) -> str:
    """A table for each question: cases and methods down, metrics across; mean and each genome."""
    lines = ["Mean over genomes and, in brackets, each."]
    for question, metrics in ASKED.items():
        lines += ["", f"## {question}", ""]
        if question == "split":
            each = " ".join(f"{share:.2f}" for share in shares.values())
            lines += [f"Share of test windows of which half or more was in a training window: {each}.", ""]
        lines += [f"| case | method | {' | '.join(metrics)} |", "|---" * (len(metrics) + 2) + "|"]
        of = table[table["question"] == question]
        for (case, method), rows in of.groupby(["case", "method"], sort=False):
            cells = [_cell(rows[rows["metric"] == metric]["value"]) for metric in metrics]
            lines.append(f"| {case} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: pd.Series) -> str:
    known: Any = values.dropna()
    if not len(known):
        return "–"
    return f"{known.mean():.3f} ({' '.join(f'{value:.3f}' for value in known)})"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="what benchmarks.three_tasks wrote")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    parts, shares = [], {}
    for seed in given.seeds:
        folder = given.folder / f"seed{seed}"
        for step in steps(folder, seed):
            step.run()
        parts.append(gathered(folder, seed))
        shares[seed] = overlapping(place_of(folder) / "shuffled.parquet")
    table = pd.concat(parts, ignore_index=True)
    text = summary(table, shares)
    write_results("published_numbers", "What of the published numbers does not survive", table, text)
    print(text)


if __name__ == "__main__":
    main()
