"""How many candidates a loop model scores in a second, and how long a map without a model takes.

    python -m benchmarks.loop_scoring --folder DIR [--preset small] [--candidates 2000] [--data DATA]

By commands: a small simulated genome, one epoch of a loop model of map and tracks from scratch (how well it
calls does not matter here). Then windows of random places are scored as `loops call` does it, cutting them
from the store included, on a GPU where there is one; the rate is of the clock, after a first batch. With
``--data`` chr22 of K562 at 5 kb is searched without a model, too. Writes
``benchmarks/results/loop_scoring_<device>.{json,md}``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.store_throughput import processor
from benchmarks.tables import RESULTS
from benchmarks.three_tasks import Step
from chromweave.baselines.programs import Cost, measured
from chromweave.data.store import RegionStore
from chromweave.files import atomic_path, write_json
from chromweave.provenance import describe_process
from chromweave.workflows.inference import TaskModel, window_table
from chromweave.workflows.loop_scores import score_windows

CHROM = "chr1"
TRACKS = ("ATAC", "DNase")


def model(folder: Path, preset: str) -> Path:
    """A loop model, trained for an epoch."""
    genome, store, windows = folder / "genome", folder / "A.store", folder / "loops.parquet"
    run = folder / preset
    Step(genome / "simulation.json", ("simulate", str(genome), "--preset", "tiny", "--cell-lines", "1")).run()
    signals = [option for name in TRACKS for option in ("--track", f"{name}={genome}/A.{name}.bw")]
    Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{genome}/A.mcool", "--resolution", "5000",
            "--assembly", f"{genome}/sim-tiny.chrom.sizes", *signals,
        ),
    ).run()  # fmt: skip
    Step(
        windows,
        (
            "windows", str(windows), "--store", str(store), "--around", "loops",
            "--loops", f"{genome}/A.loops.bedpe", "--valid-chrom", "chr2", "--test-chrom", "chr3",
        ),
    ).run()  # fmt: skip
    Step(
        run / "config.json",
        (
            "finetune", str(run), "--task", "loops", "--mode", "bimodal", "--preset", preset,
            "--store", str(store), "--windows", str(windows), "--epochs", "1",
        ),
    ).run()  # fmt: skip
    return run


def rate(run: Path, store: RegionStore, n: int, batch_size: int) -> float:
    """Candidates scored in a second, on the clock."""
    task = TaskModel.of(run, "loops")
    rng = np.random.default_rng(0)
    side, length = task.given.window_bins, task.n_bins(store, CHROM)
    x = np.sort(rng.integers(side, length - 400 - side, n + batch_size))
    table = window_table(CHROM, x, x + rng.integers(4, 400, len(x)), task.given.resolution)
    score_windows(task.loaded, store, table[:batch_size], batch_size=batch_size)
    start = time.perf_counter()
    score_windows(task.loaded, store, table[batch_size:], batch_size=batch_size)
    return n / (time.perf_counter() - start)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--candidates", type=int, default=2_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    given = parser.parse_args()
    cost = (
        without_model(given.data / "k562_chr22_hg38" / "K562.chr22.mcool", given.folder)
        if given.data
        else None
    )
    run = model(given.folder, given.preset)
    found = rate(run, RegionStore.open(given.folder / "A.store"), given.candidates, given.batch_size)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    lines = [
        "| what | measured |",
        "|---|---|",
        f"| `{given.preset}`, {given.candidates:,} candidates | {found:,.0f}/s |",
    ]
    result = {
        **describe_process(), "device": device, "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0], "preset": given.preset, "candidates_per_second": found,
    }  # fmt: skip
    if cost is not None:
        result |= {"k562_chr22_5kb_seconds": cost.seconds, "k562_chr22_5kb_megabytes": cost.megabytes}
        lines.append(
            f"| K562 chr22, 5 kb, no model | {cost.seconds:.1f} s of processor, {cost.megabytes:,.0f} MB |"
        )
    name = f"loop_scoring_{'cuda' if torch.cuda.is_available() else 'cpu'}"
    write_json(RESULTS / f"{name}.json", result)
    with atomic_path(RESULTS / f"{name}.md") as temporary:
        where = f"{device}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
        temporary.write_text("# Scoring candidates: " + where + "\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


def without_model(contacts: Path, folder: Path) -> Cost:
    """What a search of a real map costs."""
    store, out = folder / "K562.store", folder / "K562.bedpe"
    Step(
        store / "manifest.json", ("build", str(store), "--contacts", str(contacts), "--resolution", "5000")
    ).run()
    program = str(Path(sys.executable).with_name("chromweave"))
    return measured([program, "loops", "call", str(out), "--store", str(store)], out)


if __name__ == "__main__":
    main()
