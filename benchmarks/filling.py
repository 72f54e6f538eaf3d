"""What benchmarks that fill the papers' tables share: the command, its clock, and keeping what it wrote."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tables import RESULTS, process_here
from chromweave.files import read_json, write_json

CONFIGS = Path(__file__).parent / "configs"
CLOCK = "seconds.json"


def fill(kind: str, folder: Path, config: str, *more: str) -> None:
    """One benchmark, by command, into ``FOLDER/bench``."""
    command = ["benchmark", kind, str(folder / "bench"), "--config", str(CONFIGS / config)]
    command += ["--data", str(folder), *more]
    print(shlex.join(["chromweave", *command]), flush=True)
    with clocked(folder, kind):
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


def keep(kinds: Mapping[str, str], folder: Path, name: str) -> None:
    """Copy tables and figures of benchmarks into ``results/NAME``, with the machine and what each took."""
    out = RESULTS / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for kind in kinds:
        for found in sorted((folder / "bench").glob(f"{kind}*")):
            if found.suffix in (".md", ".tsv", ".png"):
                shutil.copyfile(found, out / found.name)
    took = seconds(folder)
    said = {"seconds": took, "minutes": round(sum(took.values()) / 60, 1), "configs": dict(kinds)}
    write_json(out / f"{out.name}.json", {**process_here(), **said})
