"""A perturbation against its control: simulated cells with and without cohesin, by graph commands.

    python -m benchmarks.graph_cohesin --folder DIR [--seed 0]

One genome twice (``simulate``, preset tiny), with cohesin and without: the same sites, tracks and
compartments, but no loops and no domains, and a stronger plaid. Each map has two replicates; the control's
are the null, and the other condition's second one is compared, so that no two maps share noise. Then
commands: stores, insulation and compartments, a distance-aware model of the control's first replicate, which
encodes all three, ``compare`` and ``graph umap``. What should shift is known: bins at planted boundaries and
loop anchors, where extrusion did something. Writes ``benchmarks/results/graph_cohesin.{tsv,json,md}`` and
figures of ``docs/figures``.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.evaluation.bootstrap import Estimate, block_bootstrap, genome_blocks
from chromweave.evaluation.classification import auroc
from chromweave.sim.simulate import simulate

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
RESOLUTION, WINDOW, BLOCK = 25_000, 250_000, 1_000_000
CONTROL, REPLICATE, LOSS = "control", "control-2", "no-cohesin"
SAMPLES = {CONTROL: ("with", 1), REPLICATE: ("with", 2), LOSS: ("without", 2)}
PHASE = "H3K27ac"
BED = ["chrom", "start", "end", "name", "score"]
SHOWN = {"saddle": "no-cohesin.saddle.png", "switches": "compare/switches.png", "umap": "umap.png"}


def steps(folder: Path, seed: int) -> Iterator[Step]:
    """Every command, in order."""
    for name, (condition, replicate) in SAMPLES.items():
        genome = folder / condition
        tracks = [word for mark in ("CTCF", PHASE) for word in ("--track", f"{mark}={genome}/A.{mark}.bw")]
        store = f"{folder}/{name}.store"
        yield Step(
            Path(store) / "manifest.json",
            (
                "build", store, "--contacts", f"{genome}/A.rep{replicate}.mcool",
                "--resolution", str(RESOLUTION), "--assembly", f"{genome}/sim-tiny.chrom.sizes", *tracks,
            ),
        )  # fmt: skip
        of = ("--store", store, "--resolution", str(RESOLUTION))
        calls = folder / f"{name}.tsv"
        yield Step(calls, ("compartments", str(calls), *of, "--phase-by", PHASE))
        scores = folder / f"{name}.insulation.tsv"
        yield Step(scores, ("insulation", str(scores), *of, "--window", str(WINDOW)))
    model = folder / "model"
    yield Step(
        model / "config.json",
        (
            "graph", "train", str(model), "--store", f"{folder}/{CONTROL}.store", "--resolution",
            str(RESOLUTION), "--preset", "distance-aware", "--seed", str(seed),
        ),
    )  # fmt: skip
    encoded = {name: str(folder / f"{name}.h5ad") for name in SAMPLES}
    for name, out in encoded.items():
        words = ("--model", str(model), "--store", f"{folder}/{name}.store", "--phase-by", PHASE)
        yield Step(Path(out), ("graph", "encode", out, *words))
    yield Step(
        folder / "umap.tsv", ("graph", "umap", str(folder / "umap.tsv"), encoded[CONTROL], encoded[LOSS])
    )
    yield Step(
        folder / "compare" / "summary.tsv",
        (
            "compare", str(folder / "compare"), encoded[CONTROL], encoded[LOSS],
            "--replicates", encoded[REPLICATE], "--distance", "l2",
        ),
    )  # fmt: skip


def planted(folder: Path, bins: pd.DataFrame) -> dict[str, np.ndarray]:
    """bool (bins,) each: whether a bin holds a planted boundary, or the anchor of a planted loop."""
    truth = folder / "with" / "truth"
    ends = pd.read_csv(truth / "A.loops.tsv", sep="\t")
    sides = [ends[[f"chrom{k}", f"position{k}"]].set_axis(["chrom", "at"], axis=1) for k in (1, 2)]
    anchors = pd.concat(sides)
    edges = pd.read_csv(truth / "A.boundaries.bed", sep="\t", header=None).set_axis(BED, axis=1)
    edges["at"] = (edges["start"] + edges["end"]) // 2
    return {"boundaries": _holds(bins, edges), "loop anchors": _holds(bins, anchors)}


def _holds(bins: pd.DataFrame, places: pd.DataFrame) -> np.ndarray:
    keys = set(zip(places["chrom"], places["at"] // RESOLUTION, strict=True))
    return np.array([key in keys for key in zip(bins["chrom"], bins["start"] // RESOLUTION, strict=True)])


def rows(folder: Path) -> Iterator[dict[str, object]]:
    """What is said of the pair."""
    summary = pd.read_csv(folder / "compare" / "summary.tsv", sep="\t").set_index("what")["value"]
    for name in ("bins", "mean", "replicates_mean", "beyond_replicates", "replicates_called"):
        if name in summary.index:
            yield {"part": "compare", "what": name, "value": float(summary[name])}
    switches = pd.read_csv(folder / "compare" / "switches.tsv", sep="\t")
    for row in switches.itertuples():
        yield {
            "part": "switches",
            "what": f"{row.first}{row.second}",
            "value": row.bins,
            "expected": row.expected,
        }
    for name in SAMPLES:
        scores = pd.read_csv(folder / f"{name}.insulation.tsv", sep="\t")
        strength = pd.read_csv(folder / f"{name}.strength.tsv", sep="\t").iloc[0]["strength"]
        yield {
            "part": "maps",
            "what": f"{name}, boundaries",
            "value": int(scores["is_boundary"].eq(True).sum()),
        }
        yield {"part": "maps", "what": f"{name}, saddle strength", "value": float(strength)}
    bins = pd.read_csv(folder / "compare" / "bins.tsv", sep="\t", keep_default_na=False, na_values=[""])
    known = bins["l2"].notna().to_numpy()
    blocks = genome_blocks(bins["chrom"][known], bins["start"].to_numpy()[known], BLOCK)
    for name, here in planted(folder, bins).items():
        for distance in ("l2", "cosine"):
            found = block_bootstrap(auroc, (here[known], bins[distance].to_numpy()[known]), blocks, seed=0)
            yield {
                "part": "AUC of the distance",
                "what": f"{distance}, {name}",
                "bins": int(here[known].sum()),
                **_interval(found),
            }


def _interval(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def summary(table: pd.DataFrame) -> str:
    """Markdown."""
    lines = ["| | what | value | expected or interval |", "|---" * 4 + "|"]
    for row in table.to_dict("records"):
        beside = ""
        if pd.notna(row.get("low")):
            beside = f"{row['low']:.3f}-{row['high']:.3f}, {row['bins']:.0f} bins"
        elif pd.notna(row.get("expected")):
            beside = f"{row['expected']:.0f} by chance"
        lines.append(f"| {row['part']} | {row['what']} | {row['value']:.4g} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for condition, cohesin in (("with", True), ("without", False)):
        if not (given.folder / condition).exists():
            simulate(given.folder / condition, cell_lines=1, replicates=2, seed=given.seed, cohesin=cohesin)
    for step in steps(given.folder, given.seed):
        step.run()
    table = pd.DataFrame(rows(given.folder))
    text = summary(table)
    write_results("graph_cohesin", "Cohesin loss, simulated", table, text, seed=given.seed)
    for name, made in SHOWN.items():
        shutil.copyfile(given.folder / made, FIGURES / f"graph-cohesin-{name}.png")
    print(text)


if __name__ == "__main__":
    main()
