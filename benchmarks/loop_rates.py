"""Does the false discovery rate hold, and what is found at it? Loops called where all loops are known.

    python -m benchmarks.loop_rates --folder DIR [--peers VENV] [--models DIR] [--seeds 0 1 ... 9]
        [--peer-seeds 0 1 2]

For each seed a genome of its own (``simulate --preset small``, one cell line); loops are called on chr5 and
chr6 from the map alone, with residual decoys and with permuted pixels, with ``--peers`` by chromosight and
cooltools dots, too. ``--models`` is the folder of ``benchmarks.three_tasks``: on the
fine-tuned line of each genome in it, whose chr5 and chr6 no model has seen, loops are called with the model
of map and tracks, and without one. All is held against the planted loops, within two
bins. A planted loop is a pair of convergent motifs whose expected peak is above a strength; pairs below it
are peaks, too, so that a call at any pair of convergent, bound motifs is counted as well. As methods cut in
different places, the recall is also given where 5 % of the best calls are false, as only who knows the loops
can cut. Intervals are Student's, of the mean over genomes. Prints every command; a step whose result is there
is not run again. Writes ``benchmarks/results/loop_rates.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.loop_peers import chromosight, dots
from benchmarks.tables import write_results
from benchmarks.three_tasks import Step
from chromweave.baselines.external import ExternalRequest
from chromweave.data.store import RegionStore
from chromweave.evaluation.matching import match_curve, match_loops
from chromweave.evaluation.means import mean_interval
from chromweave.workflows.store_cool import store_cool

CHROMS = ("chr5", "chr6")
RESOLUTION = 5_000
RATES = (0.01, 0.05, 0.1, 0.2)
DECOYS = {"map alone": "residuals", "map alone, permuted pixels": "pixels"}
MODEL = "bimodal"
BINS = 2
DISTANCES = (20_000, 2_000_000)
_SHOWN = {
    "false": "false: no planted loop",
    "false_at_no_pair": "false: no pair of motifs",
    "recall": "recall",
    "recall_at_5_false": "recall where 5 % are false",
}


def from_maps(folder: Path, seed: int, peers: Path | None) -> Iterator[dict[str, object]]:
    """What every method finds on one genome's map."""
    genome, store = folder / "genome", folder / "A.store"
    Step(
        genome / "simulation.json",
        ("simulate", str(genome), "--preset", "small", "--cell-lines", "1", "--seed", str(seed)),
    ).run()
    Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{genome}/A.mcool", "--resolution", str(RESOLUTION),
            "--assembly", f"{genome}/sim-small.chrom.sizes",
        ),
    ).run()  # fmt: skip
    known = Known(genome / "truth", "A", seed)
    for method, decoys in DECOYS.items():
        yield from known.rates(method, called(folder / f"{decoys}.bedpe", store, seed, "--decoys", decoys))
    if peers is not None:
        cool = store_cool(folder / "map.cool", RegionStore.open(store), RESOLUTION, CHROMS)
        request = ExternalRequest(str(cool), folder, RESOLUTION, CHROMS, *DISTANCES, peers / "bin")
        for callers in (chromosight, dots):
            for name, calls, _ in callers(request):
                yield known.judged(name, calls)


def with_model(trained: Path, folder: Path, seed: int) -> Iterator[dict[str, object]]:
    """What is found on the line that models were fine-tuned on, with them and without."""
    folder.mkdir(parents=True, exist_ok=True)
    store = trained / "C.store"
    known = Known(trained / "genome" / "truth", "C", seed)
    yield from known.rates("map alone", called(folder / "alone.bedpe", store, seed))
    model = str(trained / "runs" / "loops" / MODEL)
    yield from known.rates("with a model", called(folder / f"{MODEL}.bedpe", store, seed, "--model", model))


def called(out: Path, store: Path, seed: int, *options: str) -> pd.DataFrame:
    """Loops up to the largest rate, with their q-values."""
    Step(
        out,
        (
            "loops", "call", str(out), "--store", str(store), *options,
            "--fdr", str(max(RATES)), "--seed", str(seed), *(o for c in CHROMS for o in ("--chrom", c)),
        ),
    ).run()  # fmt: skip
    return pd.read_csv(out, sep="\t").rename(columns={"#chrom1": "chrom1"})


class Known:
    """The planted loops of a line, and what calls are beside them."""

    def __init__(self, truth: Path, line: str, seed: int) -> None:
        self.loops = pd.read_csv(truth / f"{line}.loops.tsv", sep="\t").query("chrom1 in @CHROMS")
        self.pairs = convergent(truth / f"{line}.ctcf.bed")
        self.line, self.seed = line, seed

    def rates(self, method: str, calls: pd.DataFrame) -> Iterator[dict[str, object]]:
        """A row for each rate."""
        for rate in RATES:
            kept = calls[calls["qvalue"].astype(float) <= rate].reset_index(drop=True)
            yield self.judged(f"{method}, FDR {rate:g}", kept)

    def judged(self, method: str, calls: pd.DataFrame) -> dict[str, object]:
        """Shares of false calls and of planted loops that are found."""
        calls = calls[calls["start2"] - calls["start1"] >= DISTANCES[0]].reset_index(drop=True)
        score = calls["score"].to_numpy(dtype=float)
        matching = match_loops(calls, self.loops, BINS, RESOLUTION, score=score)
        curve = match_curve(matching, score)
        others = calls.drop(index=matching.call)
        weaker = sum(
            at_a_pair(loop.chrom1, loop.start1, loop.start2, self.pairs) for loop in others.itertuples()
        )
        return {
            "line": self.line, "seed": self.seed, "method": method,
            "known": len(self.loops), "calls": len(calls), "recall": matching.recall,
            "false": 1 - matching.precision,
            "false_at_no_pair": (len(others) - weaker) / len(calls) if len(calls) else np.nan,
            "recall_at_5_false": curve.recall[curve.precision >= 0.95].max(initial=0.0),
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
    """Markdown: for each line, mean over genomes, with its interval."""
    lines = []
    for line, rows in table.groupby("line", sort=False):
        where = "A, maps alone" if line == "A" else "C, whose training chromosomes models have seen"
        lines += ["", f"### Line {where}", ""]
        heads = ("genomes", "calls", *_SHOWN.values())
        lines += [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for method, of in rows.groupby("method", sort=False):
            cells = [
                mean_of(of[name]) for name in ("false", "false_at_no_pair", "recall", "recall_at_5_false")
            ]
            lines.append(f"| {method} | {len(of)} | {of['calls'].mean():.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_of(values: pd.Series) -> str:
    """Mean and its interval; a dash where one genome at most has a value."""
    found = values.dropna().to_numpy(dtype=float)
    if len(found) < 2:
        return "-"
    mean = mean_interval(found)
    return f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--peers", type=Path, help="virtual environment with chromosight and cooltools")
    parser.add_argument("--models", type=Path, help="folder of benchmarks.three_tasks")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument(
        "--peer-seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="genomes that others call on, minutes each",
    )
    given = parser.parse_args()
    found: list[dict[str, object]] = []
    for seed in given.seeds:
        found += from_maps(
            given.folder / f"seed{seed}", seed, given.peers if seed in given.peer_seeds else None
        )
    for seed in given.seeds if given.models else []:
        trained = given.models / f"seed{seed}"
        if trained.is_dir():
            found += with_model(trained, given.folder / f"seed{seed}" / "models", seed)
    table = pd.DataFrame(found)
    text = summary(table)
    write_results("loop_rates", "Loop calling on simulated genomes", table, text, seeds=given.seeds)
    print(text)


if __name__ == "__main__":
    main()
