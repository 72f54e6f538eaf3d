"""Every table of the papers on simulated cell lines, in an hour on two cores.

    python -m benchmarks.quick --folder DIR [--jobs 2] [--programs VENV/bin]

Simulates a genome with four cell lines (``simulate --preset small``), builds stores and windows, and gives
``chromweave benchmark`` three files of ``benchmarks/configs``. Prints every command; what is complete is not
made again. Writes ``benchmarks/results/quick/``: each table as .md and .tsv, its figures, and ``quick.json``
with the machine and the seconds that each part took, in all calls with this folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.filling import clocked, fill, keep
from benchmarks.three_tasks import Step, material

KINDS = {
    "contacts": "simulated.toml",
    "loops": "simulated.toml",
    "expression": "simulated.toml",
    "cross-cell": "simulated.toml",
    "annotation": "simulated.toml",
    "ablation": "simulated-one-line.toml",
    "few-shot": "simulated-one-line.toml",
    "graph": "simulated-graph.toml",
}
SEED = 0


def graph_store(folder: Path) -> Step:
    """A store of bins as wide as compartments need."""
    genome, store = folder / "genome", folder / "C.25kb.store"
    tracks = [word for name in ("CTCF", "H3K27me3") for word in ("--track", f"{name}={genome}/C.{name}.bw")]
    return Step(
        store / "manifest.json",
        (
            "build", str(store), "--contacts", f"{genome}/C.mcool", "--resolution", "25000",
            "--assembly", f"{genome}/sim-small.chrom.sizes", *tracks,
        ),
    )  # fmt: skip


def main() -> None:
    """Make what is missing, then copy the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--jobs", default="2", help="trainings side by side")
    parser.add_argument("--programs", help="folder with the programs of other loop callers")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="these benchmarks alone; copies nothing")
    given = parser.parse_args()
    with clocked(given.folder, "cell lines"):
        for step in (*material(given.folder, SEED), graph_store(given.folder)):
            step.run()
    for kind in given.only or KINDS:
        programs = ("--programs", given.programs) if given.programs and kind == "annotation" else ()
        fill(kind, given.folder, KINDS[kind], "--jobs", given.jobs, *programs)
    if not given.only:
        keep(KINDS, given.folder, "quick")


if __name__ == "__main__":
    main()
