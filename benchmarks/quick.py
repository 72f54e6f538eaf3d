"""Every table of the papers on simulated cell lines, in an hour on two cores.

    python -m benchmarks.quick --folder DIR [--jobs 2] [--programs VENV/bin]

Simulates a genome with four cell lines (``simulate --preset small``), builds stores and windows, and gives
``chromweave benchmark`` two files of ``benchmarks/configs``. Prints every command; what is complete is not
made again. Writes ``benchmarks/results/quick/``: each table as .md and .tsv, its figures, and ``quick.json``
with the machine and the seconds that each part took, in all calls with this folder.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tables import RESULTS
from benchmarks.three_tasks import material
from chromweave.files import read_json, write_json
from chromweave.provenance import describe_process

CONFIGS = Path(__file__).parent / "configs"
KINDS = {
    "contacts": "simulated.toml",
    "loops": "simulated.toml",
    "expression": "simulated.toml",
    "cross-cell": "simulated.toml",
    "annotation": "simulated.toml",
    "ablation": "simulated-one-line.toml",
    "few-shot": "simulated-one-line.toml",
}
SEED = 0
CLOCK = "seconds.json"


def run(kind: str, folder: Path, *more: str) -> None:
    """One benchmark, by command."""
    command = ["benchmark", kind, str(folder / "bench"), "--config", str(CONFIGS / KINDS[kind])]
    command += ["--data", str(folder), *more]
    print(shlex.join(["chromweave", *command]), flush=True)
    done = subprocess.run([str(Path(sys.executable).with_name("chromweave")), *command], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


@contextmanager
def clocked(folder: Path, part: str) -> Iterator[None]:
    """Add what a part takes to what it has taken in earlier calls."""
    began = time.monotonic()
    try:
        yield
    finally:
        took = seconds(folder)
        write_json(folder / CLOCK, took | {part: round(took.get(part, 0) + time.monotonic() - began, 1)})


def seconds(folder: Path) -> dict[str, float]:
    """What each part has taken."""
    return read_json(folder / CLOCK) if (folder / CLOCK).is_file() else {}


def keep(folder: Path) -> None:
    """Copy tables and figures into the results."""
    out = RESULTS / "quick"
    out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for found in sorted((folder / "bench").glob(f"{kind}*")):
            if found.suffix in (".md", ".tsv", ".png"):
                shutil.copyfile(found, out / found.name)
    process = describe_process()
    process["command"] = "python -m benchmarks.quick --folder DIR"
    took = seconds(folder)
    write_json(out / "quick.json", {**process, "seconds": took, "minutes": round(sum(took.values()) / 60, 1)})


def main() -> None:
    """Make what is missing, then copy the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--jobs", default="2", help="trainings side by side")
    parser.add_argument("--programs", help="folder with the programs of other loop callers")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="these benchmarks alone; copies nothing")
    given = parser.parse_args()
    with clocked(given.folder, "cell lines"):
        for step in material(given.folder, SEED):
            step.run()
    for kind in given.only or KINDS:
        programs = ("--programs", given.programs) if given.programs and kind == "annotation" else ()
        with clocked(given.folder, kind):
            run(kind, given.folder, "--jobs", given.jobs, *programs)
    if not given.only:
        keep(given.folder)


if __name__ == "__main__":
    main()
