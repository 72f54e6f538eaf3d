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
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.tables import RESULTS, write_results
from chromweave.files import atomic_path

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
TRACKS = ("ATAC", "DNase", "CTCF", "H3K27ac")
SIGNAL = "CAGE"
SPLIT = ("--valid-chrom", "chr4", "--test-chrom", "chr5", "--test-chrom", "chr6")
RATIOS = ("0.001", "0.01")
DRAWS = 2
PRETRAIN_EPOCHS = "8"
PICTURED = "chr6:5,000,000-7,000,000"


@dataclass(frozen=True)
class Arm:
    """What a model reads, and whether it starts from the pre-trained one."""

    mode: str
    scratch: bool = False


@dataclass(frozen=True)
class Question:
    """A task, the window tables it is asked on, the arms, and the metrics that are shown."""

    task: str
    windows: str
    arms: dict[str, Arm]
    shown: tuple[str, ...]
    tracks: tuple[str, ...] = TRACKS


_MODES = {"bimodal": Arm("bimodal"), "map only": Arm("map"), "tracks only": Arm("tracks")}
_RANKING = ("auroc", "auroc_distance_matched", "average_precision")
_EXPRESSION = ("pearson_genes", "r2_genes", "pearson")
QUESTIONS = {
    "loops": Question("loops", "loops", _MODES, _RANKING),
    "loops among anchors": Question("loops", "anchors", _MODES, _RANKING),
    "contacts": Question(
        "contacts",
        "tss",
        {
            "infer_map": Arm("infer_map"),
            "tracks only": Arm("tracks"),
            "infer_map, from scratch": Arm("infer_map", scratch=True),
        },
        ("scc", "log_oe_pearson", "insulation", "pearson"),
    ),
    "expression": Question(
        "expression",
        "tss",
        {"bimodal": Arm("bimodal", scratch=True), "tracks only": Arm("tracks", scratch=True)},
        _EXPRESSION,
        ("H3K27ac",),
    ),
    "expression from four tracks": Question(
        "expression", "tss", {"bimodal": Arm("bimodal"), "tracks only": Arm("tracks")}, _EXPRESSION
    ),
}
"""In "loops" a negative is any pixel of the same distance, in "loops among anchors" it joins two anchors.
"expression" is told the activity of enhancers and has to take their contacts from the map: CTCF, DNase and
ATAC mark the very sites that make the simulated map, so that four tracks alone know what it would add."""


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
    chosen = ("--preset", preset, "--seed", str(seed))
    yield Step(
        folder / "pretrain" / "config.json",
        (
            "pretrain",
            f"{folder}/pretrain",
            *both,
            *named(TRACKS),
            *chosen,
            "--epochs",
            PRETRAIN_EPOCHS,
            *resumed(folder / "pretrain"),
        ),
    )
    for name, question in QUESTIONS.items():
        given = ("--store", f"{folder}/C.store", "--windows", f"{folder}/C.{question.windows}.parquet")
        for arm, how in question.arms.items():
            run = run_of(folder, name, arm)
            start = named(question.tracks) if how.scratch else ("--from", f"{folder}/pretrain")
            yield Step(
                run / "config.json",
                (
                    "finetune", str(run), "--task", question.task, "--mode", how.mode, *start, *given,
                    *chosen, *resumed(run),
                ),
            )  # fmt: skip
        for line in "CD":
            yield judged(folder, name, line, seed)
    yield Step(
        folder / "few-shot" / "few-shot.tsv",
        (
            "experiment", "few-shot", f"{folder}/few-shot", "--task", "loops",
            "--store", f"{folder}/C.store", "--windows", f"{folder}/C.loops.parquet",
            "--from", f"{folder}/pretrain", "--draws", str(DRAWS), *chosen,
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
            "anchors": (
                "--around",
                "loops",
                "--loops",
                f"{genome}/{line}.loops.bedpe",
                "--negatives",
                "anchors",
            ),
            "tss": ("--around", "tss", "--tss", f"{genome}/{line}.genes.tsv"),
        }
        for name, options in around.items():
            table = folder / f"{line}.{name}.parquet"
            yield Step(
                table, ("windows", str(table), "--store", str(store), *options, *SPLIT, "--seed", str(seed))
            )


def named(tracks: Iterable[str]) -> tuple[str, ...]:
    """Options that name tracks."""
    return tuple(option for name in tracks for option in ("--track", name))


def resumed(run: Path) -> tuple[str, ...]:
    """Go on with a training that was interrupted."""
    return ("--resume",) if (run / "checkpoints" / "last.ckpt").exists() else ()


def run_of(folder: Path, question: str, arm: str) -> Path:
    """Folder of a fine-tuning."""
    return folder / "runs" / question.replace(" ", "_") / arm.replace(", ", "_").replace(" ", "_")


def table_of(folder: Path, question: str, line: str) -> Path:
    """The table of an evaluation, without its suffix."""
    return folder / f"{question} on {line}".replace(" ", "_") / QUESTIONS[question].task


def judged(folder: Path, name: str, line: str, seed: int) -> Step:
    """All arms of a question side by side on the test chromosomes of a line; trivial rows learn from C."""
    question = QUESTIONS[name]
    out, windows = table_of(folder, name, line), question.windows
    first, *others = question.arms
    learned = ("--trivial-store", f"{folder}/C.store", "--trivial-windows", f"{folder}/C.{windows}.parquet")
    return Step(
        out.with_suffix(".json"),
        (
            "evaluate", str(out.parent), "--model", str(run_of(folder, name, first)),
            "--store", f"{folder}/{line}.store", "--windows", f"{folder}/{line}.{windows}.parquet",
            *(option for arm in others for option in ("--beside", f"{arm}={run_of(folder, name, arm)}")),
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
            "--region", PICTURED, *named(TRACKS),
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
    """All evaluations: columns of `schemas.RESULTS`, seed being the genome's, and question and line."""
    parts = []
    for seed in seeds:
        for name, question in QUESTIONS.items():
            for line in "CD":
                path = table_of(root / f"seed{seed}", name, line).with_suffix(".tsv")
                if not path.exists():
                    print(f"not there yet: {name} on {line}, genome {seed}")
                    continue
                rows = _read(path)
                rows["method"] = rows["method"].str.replace(r"^model", next(iter(question.arms)), regex=True)
                parts.append(rows[rows["stratum"] == "all"].assign(question=name, line=line, seed=seed))
    return pd.concat(parts, ignore_index=True)


def few_shots(root: Path, seeds: list[int]) -> pd.DataFrame:
    """The few-shot tables of all seeds."""
    paths = {seed: root / f"seed{seed}" / "few-shot" / "few-shot.tsv" for seed in seeds}
    return pd.concat(
        [_read(path).assign(genome=seed) for seed, path in paths.items() if path.exists()], ignore_index=True
    )


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA", ""])


def summary(table: pd.DataFrame, seeds: list[int]) -> str:
    """Markdown: a table for each question and line; arms and trivial rows down, metrics across."""
    lines = [
        "Mean over genomes and, in brackets, the value of each that was run. Rows with a minus are paired "
        "differences over the same blocks of 5 Mb; a star marks one whose 95 % interval leaves 0 out."
    ]
    for name, question in QUESTIONS.items():
        for line in "CD":
            rows = table[(table["question"] == name) & (table["line"] == line)]
            where = "C, fine-tuned on" if line == "C" else "D, crossed over to"
            lines += ["", f"### {name}: test chromosomes of {where}", ""]
            lines += [f"| | {' | '.join(question.shown)} |", "|---" * (len(question.shown) + 1) + "|"]
            for method, of in rows.groupby("method", sort=False):
                cells = [
                    cell(of[of["metric"] == metric], seeds, " - " in method) for metric in question.shown
                ]
                lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(rows: pd.DataFrame, seeds: list[int], difference: bool) -> str:
    """Mean over seeds and each seed's value; a star where a difference's interval leaves 0 out."""
    found = [rows[rows["seed"] == seed] for seed in seeds]
    found = [one.iloc[0] for one in found if len(one) and np.isfinite(one["value"].iloc[0])]
    if not found:
        return "undefined"
    each = [
        f"{one['value']:.3f}" + ("*" if difference and one["low"] * one["high"] > 0 else "") for one in found
    ]
    return f"{np.mean([one['value'] for one in found]):.3f} ({' '.join(each)})"


def few_summary(few: pd.DataFrame) -> str:
    """Markdown: AUROC of each start at each ratio, by genome: mean and range over draws."""
    rows = few[(few["row"] == "arm") & (few["metric"] == "auroc") & (few["method"] == "model")]
    rows = rows[rows["stratum"] == "all"]
    lines = ["", "### loops from few windows: AUROC on the test chromosomes of C", ""]
    lines += ["| ratio | windows | start | mean over genomes and draws | each |", "|---|---|---|---|---|"]
    for (ratio, start), of in rows.groupby(["ratio", "start"], sort=True):
        windows = sorted({int(n) for n in of["train_windows"]})
        each = " ".join(f"{value:.3f}" for value in of["value"])
        lines.append(
            f"| {ratio:g} | {' '.join(map(str, windows))} | {start} | {of['value'].mean():.3f} | {each} |"
        )
    return "\n".join(lines)


def write(root: Path, seeds: list[int], preset: str) -> None:
    """The tables, gathered."""
    table, few = gathered(root, seeds), few_shots(root, seeds)
    with atomic_path(RESULTS / "three_tasks_few_shot.tsv") as temporary:
        few.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.5g")
    text = f"{summary(table, seeds)}\n{few_summary(few)}"
    title = f"Three tasks on simulated cell lines, preset {preset}"
    write_results("three_tasks", title, table, text, seeds=seeds, preset=preset)
    print(text)


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
        for step in [] if given.table else pictures(drawn):
            step.run()
        for name in ("predicted-map.png", "deletion/perturbation.png"):
            if (drawn / "pictures" / name).exists():
                with Image.open(drawn / "pictures" / name) as picture:  # 256 colours: a page loads it sooner
                    picture.convert("RGB").quantize(256).save(FIGURES / Path(name).name, optimize=True)


if __name__ == "__main__":
    main()
