"""Do both modalities, and pre-training, help? Three tasks on simulated cell lines, each step a command.

    python -m benchmarks.three_tasks --folder DIR [--seeds 0 1 2] [--preset tiny] [--only SEED...] [--table]

For each seed a genome of its own (``simulate --preset small``, six chromosomes, four cell lines): lines A and
B are pre-trained on, C is fine-tuned on, and every model is judged on chr5 and chr6 of C, and of D, of which
it has seen nothing. chr4 is validation; nothing at all is trained on chr5 and chr6.
Prints every command; a step whose result is there is not run again, so that it may be interrupted and several
processes may take different seeds. Writes ``benchmarks/results/three_tasks*.{tsv,json,md}`` and two figures
of ``docs/figures``.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from chromweave.files import atomic_path, write_json
from chromweave.provenance import describe_process

RESULTS = Path(__file__).parent / "results"
FIGURES = Path(__file__).parents[1] / "docs" / "figures"
TRACKS = ("ATAC", "DNase", "CTCF", "H3K27ac")
SIGNAL = "CAGE"
SPLIT = ("--valid-chrom", "chr4", "--test-chrom", "chr5", "--test-chrom", "chr6")
RATIOS = ("0.001", "0.01")
DRAWS = 3
PRETRAIN_EPOCHS = "8"
PICTURED = "chr6:5,000,000-7,000,000"

ARMS = {
    "loops": {
        "bimodal": ("--mode", "bimodal"),
        "map only": ("--mode", "map"),
        "tracks only": ("--mode", "tracks"),
    },
    "contacts": {
        "infer_map": ("--mode", "infer_map"),
        "tracks only": ("--mode", "tracks"),
        "infer_map, from scratch": ("--mode", "infer_map", "scratch"),
    },
    "expression": {
        "bimodal": ("--mode", "bimodal"),
        "tracks only": ("--mode", "tracks"),
    },
}
"""Task, and what is fine-tuned for it; "scratch" leaves the pre-trained model out."""

WINDOWS = {"loops": "loops", "contacts": "tss", "expression": "tss"}
HEADLINES = {
    "loops": ("auroc", "auroc_distance_matched", "average_precision"),
    "contacts": ("scc", "log_oe_pearson", "insulation", "pearson"),
    "expression": ("pearson_genes", "r2_genes", "pearson"),
}


@dataclass(frozen=True)
class Step:
    """A command, and the file that is there when it has been run."""

    made: Path
    arguments: tuple[str, ...]

    def run(self) -> None:
        """Run the command unless what it makes is there."""
        if self.made.exists():
            return
        print(shlex.join(["chromweave", *self.arguments]), flush=True)
        said = subprocess.run(
            [str(Path(sys.executable).with_name("chromweave")), *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if said.returncode:
            raise SystemExit(
                f"{shlex.join(self.arguments)} ended with {said.returncode}:\n{said.stdout[-3000:]}"
            )


def steps(folder: Path, seed: int, preset: str) -> Iterator[Step]:
    """Every command of one seed, in order."""
    yield from material(folder, seed)
    both = [option for line in "AB" for option in ("--store", f"{folder}/{line}.store")]
    both += [option for line in "AB" for option in ("--windows", f"{folder}/{line}.grid.parquet")]
    tracks = [option for name in TRACKS for option in ("--track", name)]
    chosen = ("--preset", preset, "--seed", str(seed))
    yield Step(
        folder / "pretrain" / "config.json",
        (
            "pretrain",
            f"{folder}/pretrain",
            *both,
            *tracks,
            *chosen,
            "--epochs",
            PRETRAIN_EPOCHS,
            *resumed(folder / "pretrain"),
        ),
    )
    for task, arms in ARMS.items():
        windows = WINDOWS[task]
        given = ("--store", f"{folder}/C.store", "--windows", f"{folder}/C.{windows}.parquet")
        for arm, options in arms.items():
            run = run_of(folder, task, arm)
            scratch = "scratch" in options
            start = (*options[:-1], *tracks) if scratch else (*options, "--from", f"{folder}/pretrain")
            yield Step(
                run / "config.json",
                ("finetune", str(run), "--task", task, *start, *given, *chosen, *resumed(run)),
            )
        for line in "CD":
            yield judged(folder, task, line, seed)
    yield Step(
        folder / "few-shot" / "few_shot.tsv",
        (
            "experiment", "few-shot", f"{folder}/few-shot", "--task", "loops",
            "--store", f"{folder}/C.store", "--windows", f"{folder}/C.loops.parquet",
            "--from", f"{folder}/pretrain", "--draws", str(DRAWS), *tracks, *chosen,
            *(option for ratio in RATIOS for option in ("--ratio", ratio)),
        ),
    )  # fmt: skip


def material(folder: Path, seed: int) -> Iterator[Step]:
    """Genome, stores and window tables of one seed."""
    genome = folder / "genome"
    yield Step(
        genome / "simulation.json",
        ("simulate", str(genome), "--preset", "small", "--cell-lines", "4", "--seed", str(seed)),
    )
    for line in "ABCD":
        store = folder / f"{line}.store"
        signals = [
            option
            for name in (*TRACKS, SIGNAL)
            for option in ("--track", f"{name}={genome}/{line}.{name}.bw")
        ]
        yield Step(
            store / "manifest.json",
            (
                "build", str(store), "--contacts", f"{genome}/{line}.mcool", "--resolution", "5000",
                "--assembly", f"{genome}/sim-small.chrom.sizes", *signals,
            ),
        )  # fmt: skip
        around = {
            "grid": ("--around", "grid", "--step", "25000"),
            "loops": ("--around", "loops", "--loops", f"{genome}/{line}.loops.bedpe"),
            "tss": ("--around", "tss", "--tss", f"{genome}/{line}.genes.tsv"),
        }
        for name, options in around.items():
            table = folder / f"{line}.{name}.parquet"
            yield Step(
                table, ("windows", str(table), "--store", str(store), *options, *SPLIT, "--seed", str(seed))
            )


def resumed(run: Path) -> tuple[str, ...]:
    """Go on with a training that was interrupted."""
    return ("--resume",) if (run / "checkpoints" / "last.ckpt").exists() else ()


def run_of(folder: Path, task: str, arm: str) -> Path:
    """Folder of a fine-tuning."""
    return folder / "runs" / task / arm.replace(", ", "_").replace(" ", "_")


def judged(folder: Path, task: str, line: str, seed: int) -> Step:
    """All arms of a task beside one another on the test chromosomes of a line; trivial rows learn from C."""
    out, windows = folder / f"{task}_on_{line}", WINDOWS[task]
    first, *others = ARMS[task]
    learned = ("--trivial-store", f"{folder}/C.store", "--trivial-windows", f"{folder}/C.{windows}.parquet")
    return Step(
        out / f"{task}.json",
        (
            "evaluate", str(out), "--model", str(run_of(folder, task, first)),
            "--store", f"{folder}/{line}.store", "--windows", f"{folder}/{line}.{windows}.parquet",
            *(option for arm in others for option in ("--beside", f"{arm}={run_of(folder, task, arm)}")),
            *(learned if line == "D" else ()), "--seed", str(seed),
        ),
    )  # fmt: skip


def pictures(folder: Path) -> Iterator[Step]:
    """A map predicted for line D, which no model has seen, and what deleting a loop's anchor does to it."""
    place = folder / "pictures"
    model, store = run_of(folder, "contacts", "infer_map"), f"{folder}/D.store"
    predicted = place / "D.mcool"
    yield Step(
        predicted,
        ("predict", "contacts", str(predicted), "--model", str(model), "--store", store, "--chrom", "chr6"),
    )
    yield Step(
        place / "predicted-map.png",
        (
            "predict", "picture", str(place / "predicted-map.png"), str(predicted), "--store", store,
            "--region", PICTURED, *(option for name in TRACKS for option in ("--track", name)),
        ),
    )  # fmt: skip
    loops = pd.read_csv(folder / "genome" / "truth" / "D.loops.tsv", sep="\t")
    fits = (loops["chrom1"] == "chr6") & ((loops["start2"] - loops["start1"]) <= 150_000)
    motif = int(loops[fits].sort_values("score")["position1"].iloc[-1])
    yield Step(
        place / "deletion" / "perturbation.png",
        (
            "perturb", str(place / "deletion"), "--model", str(model), "--store", store,
            "--delete", f"chr6:{motif - 2500}-{motif + 2500}",
        ),
    )  # fmt: skip


def gathered(root: Path, seeds: list[int]) -> pd.DataFrame:
    """All evaluations: columns of `schemas.RESULTS`, seed being the genome's, and line."""
    parts = []
    for seed in seeds:
        for task, arms in ARMS.items():
            for line in "CD":
                table = root / f"seed{seed}" / f"{task}_on_{line}" / f"{task}.tsv"
                if table.is_file():
                    rows = pd.read_csv(table, sep="\t", keep_default_na=False, na_values="NA")
                    rows["method"] = rows["method"].str.replace(r"^model", next(iter(arms)), regex=True)
                    parts.append(rows[rows["stratum"] == "all"].assign(line=line, seed=seed))
    return pd.concat(parts, ignore_index=True)


def few_shots(root: Path, seeds: list[int]) -> pd.DataFrame:
    """The few-shot tables of all seeds."""
    tables = {seed: root / f"seed{seed}" / "few-shot" / "few_shot.tsv" for seed in seeds}
    parts = [
        pd.read_csv(path, sep="\t", keep_default_na=False, na_values="NA").assign(genome=seed)
        for seed, path in tables.items()
        if path.is_file()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def summary(table: pd.DataFrame, seeds: list[int]) -> str:
    """Markdown: a table for each task and line; arms and trivial rows down, metrics across."""
    lines = []
    for task, metrics in HEADLINES.items():
        for line in "CD":
            rows = table[(table["task"] == task) & (table["line"] == line) & table["metric"].isin(metrics)]
            if not len(rows):
                continue
            where = "C, fine-tuned on" if line == "C" else "D, crossed over to"
            lines += [
                "",
                f"### {task}: test chromosomes of {where}",
                "",
                f"| | {' | '.join(metrics)} |",
                "|---" * (len(metrics) + 1) + "|",
            ]
            for name, of in rows.groupby("method", sort=False):
                cells = [_cell(of[of["metric"] == metric], seeds) for metric in metrics]
                lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame, seeds: list[int]) -> str:
    values = [rows.loc[rows["seed"] == seed, "value"] for seed in seeds]
    found = [float(v.iloc[0]) for v in values if len(v)]
    if not found or not np.isfinite(found).any():
        return "undefined"
    each = " ".join(f"{value:.3f}" for value in found)
    return f"{np.mean(found):.3f} ({each})"


def write(root: Path, seeds: list[int], preset: str) -> None:
    """The tables, gathered."""
    table, few = gathered(root, seeds), few_shots(root, seeds)
    RESULTS.mkdir(exist_ok=True)
    for name, rows in {"three_tasks": table, "three_tasks_few_shot": few}.items():
        with atomic_path(RESULTS / f"{name}.tsv") as temporary:
            rows.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.5g")
    write_json(RESULTS / "three_tasks.json", {**describe_process(), "seeds": seeds, "preset": preset})
    with atomic_path(RESULTS / "three_tasks.md") as temporary:
        temporary.write_text(
            f"# Three tasks on simulated cell lines, preset {preset}\n{summary(table, seeds)}\n"
        )
    print(summary(table, seeds))


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--only", type=int, nargs="+", help="run these seeds and write no table")
    parser.add_argument("--table", action="store_true", help="run nothing, write the tables of what is there")
    given = parser.parse_args()
    for seed in [] if given.table else given.only or given.seeds:
        for step in steps(given.folder / f"seed{seed}", seed, given.preset):
            step.run()
    if not given.only:
        write(given.folder, given.seeds, given.preset)
        drawn = given.folder / f"seed{given.seeds[0]}"
        for step in pictures(drawn):
            step.run()
        for name in ("predicted-map.png", "deletion/perturbation.png"):
            shutil.copyfile(drawn / "pictures" / name, FIGURES / Path(name).name)


if __name__ == "__main__":
    main()
