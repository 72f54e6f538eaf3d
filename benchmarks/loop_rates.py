"""Does the false discovery rate hold? Loops called from the map alone where all loops are known.

    python -m benchmarks.loop_rates --folder DIR [--seeds 0 1 ... 9]

For each seed a genome of its own (``simulate --preset small``, one cell line); loops are called on chr5 and
chr6, with residual decoys and with permuted pixels, and held against the planted ones, within two bins. A
planted loop is a pair of convergent motifs whose expected peak is above a strength; pairs below it are peaks,
too, so that a call at any pair of convergent, bound motifs is counted as well. Intervals are Student's, of
the mean over genomes. Prints every command; a step whose result is there is not run again. Writes
``benchmarks/results/loop_rates.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.three_tasks import RESULTS, Step
from chromweave.evaluation.matching import match_loops
from chromweave.evaluation.means import mean_interval
from chromweave.files import atomic_path, write_json
from chromweave.provenance import describe_process

CHROMS = ("chr5", "chr6")
RESOLUTION = 5_000
RATES = (0.01, 0.05, 0.1, 0.2)
DECOYS = ("residuals", "pixels")
BINS = 2


def steps(folder: Path, seed: int) -> Iterator[Step]:
    """Every command of one genome."""
    genome, store = folder / "genome", folder / "A.store"
    yield Step(
        genome / "simulation.json",
        ("simulate", str(genome), "--preset", "small", "--cell-lines", "1", "--seed", str(seed)),
    )
    yield Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{genome}/A.mcool", "--resolution", str(RESOLUTION),
            "--assembly", f"{genome}/sim-small.chrom.sizes",
        ),
    )  # fmt: skip
    for decoys in DECOYS:
        yield Step(
            folder / f"{decoys}.bedpe",
            (
                "loops", "call", str(folder / f"{decoys}.bedpe"), "--store", str(store), "--decoys", decoys,
                "--fdr", str(max(RATES)), "--seed", str(seed), *(o for c in CHROMS for o in ("--chrom", c)),
            ),
        )  # fmt: skip


def rows(folder: Path, seed: int) -> Iterator[dict[str, object]]:
    """What each rate gives on one genome."""
    known = pd.read_csv(folder / "genome" / "truth" / "A.loops.tsv", sep="\t").query("chrom1 in @CHROMS")
    pairs = convergent(folder / "genome" / "truth" / "A.ctcf.bed")
    for decoys in DECOYS:
        calls = pd.read_csv(folder / f"{decoys}.bedpe", sep="\t").rename(columns={"#chrom1": "chrom1"})
        for rate in RATES:
            found = calls[calls["qvalue"].astype(float) <= rate].reset_index(drop=True)
            matching = match_loops(found, known, BINS, RESOLUTION)
            others = found.drop(index=matching.call)
            weaker = sum(
                at_a_pair(loop.chrom1, loop.start1, loop.start2, pairs) for loop in others.itertuples()
            )
            yield {
                "seed": seed, "decoys": decoys, "rate": rate, "known": len(known), "calls": len(found),
                "recall": matching.recall,
                "false": 1 - matching.precision,
                "false_at_no_pair": (len(others) - weaker) / len(found) if len(found) else np.nan,
            }  # fmt: skip


def convergent(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Bins of bound forward and of bound reverse motifs, by chromosome."""
    motifs = pd.read_csv(
        path, sep="\t", header=None, names=["chrom", "start", "end", "name", "bound", "strand"]
    )
    motifs = motifs[motifs["bound"] >= 0.1]
    return {
        str(chrom): tuple(of.loc[of["strand"] == s, "start"].to_numpy() // RESOLUTION for s in "+-")
        for chrom, of in motifs.groupby("chrom")
    }


def at_a_pair(chrom: str, start1: int, start2: int, pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether a call's anchors lie within two bins of a forward motif and of a reverse one."""
    forward, reverse = pairs[chrom]
    return bool(
        (abs(forward - start1 // RESOLUTION) <= BINS).any()
        and (abs(reverse - start2 // RESOLUTION) <= BINS).any()
    )


def summary(table: pd.DataFrame) -> str:
    """Markdown: mean over genomes, with its interval where the rate is to hold."""
    lines = ["| decoys | rate | calls | false: no planted loop | false: no pair of motifs | recall |"]
    lines.append("|---|---|---|---|---|---|")
    for (decoys, rate), of in table.groupby(["decoys", "rate"], sort=False):
        cells = []
        for name in ("false", "false_at_no_pair"):
            values = of[name].dropna().to_numpy()
            mean = mean_interval(values) if len(values) > 1 else None
            cells.append("-" if mean is None else f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
        lines.append(
            f"| {decoys} | {rate:g} | {of['calls'].mean():.0f} | {cells[0]} | {cells[1]} "
            f"| {of['recall'].mean():.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    given = parser.parse_args()
    found: list[dict[str, object]] = []
    for seed in given.seeds:
        folder = given.folder / f"seed{seed}"
        for step in steps(folder, seed):
            step.run()
        found += rows(folder, seed)
    table = pd.DataFrame(found)
    text = summary(table)
    with atomic_path(RESULTS / "loop_rates.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.4g")
    write_json(RESULTS / "loop_rates.json", {**describe_process(), "seeds": given.seeds})
    with atomic_path(RESULTS / "loop_rates.md") as temporary:
        temporary.write_text(f"# False discovery rates on {len(given.seeds)} simulated genomes\n\n{text}\n")
    print(text)


if __name__ == "__main__":
    main()
