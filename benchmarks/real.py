"""The papers' tables on real maps: K562 chr22, and graph models of GM12878 chr20; every method.

    python -m benchmarks.real --data ../shared/data --folder DIR [--jobs 2]

Builds stores and windows (those of ``benchmarks.three_tasks_k562`` and ``benchmarks.graph_edges``), and gives
``chromweave benchmark`` k562.toml and gm12878.toml of ``benchmarks/configs``. Prints every command; what is
complete is not made again. Writes ``benchmarks/results/k562/`` and ``benchmarks/results/gm12878/``.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import graph_edges, three_tasks_k562
from benchmarks.filling import fill, keep
from benchmarks.map_annotation import RAO_FILE
from benchmarks.three_tasks import Step

K562 = dict.fromkeys(("loops", "contacts", "expression"), "k562.toml")
GM12878 = {"graph": "gm12878.toml"}


def material(data: Path, folder: Path) -> Iterator[Step]:
    """Stores and windows of both lines."""
    yield from three_tasks_k562.steps(data / "k562_chr22_hg38", folder / "k562", [])
    (chr20,) = (real for real in graph_edges.maps(data) if real.key == "chr20")
    yield graph_edges.store_of(folder / "gm12878", chr20)


def main() -> None:
    """Make what is missing, then copy the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--jobs", default="2", help="trainings side by side")
    given = parser.parse_args()
    for step in material(given.data, given.folder):
        step.run()
    shutil.copyfile(given.data / RAO_FILE, given.folder / "gm12878" / "sub-compartments.bed.gz")
    for name, kinds in (("k562", K562), ("gm12878", GM12878)):
        for kind, config in kinds.items():
            fill(kind, given.folder / name, config, "--jobs", given.jobs)
        keep(kinds, given.folder / name, name)


if __name__ == "__main__":
    main()
