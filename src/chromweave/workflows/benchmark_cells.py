"""The cells of a benchmark: each a call in a process of its own, measured, with an end to its patience.

What one method does, raise, hang or be killed for its memory, is written into its cell; the others go on.
A cell that is complete is not run again.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ChromweaveError, InterruptedTraining
from ..files import read_json, write_json
from ..progress import notify, track
from ..schemas import Column, Schema
from .experiment_steps import forget_others, once

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COSTS", "Cell", "Outcome", "cost_row", "cost_table", "run_cells"]

COSTS = Schema(
    "benchmark cost",
    (
        Column("task", "text", "what was learned"),
        Column("method", "text", "what learned it"),
        Column("train_line", "text", "cell line learned from"),
        Column("seed", "integer", "of the training"),
        Column("seconds", "number", "of wall time, of one training", nullable=True),
        Column("cpu_seconds", "number", "of processor time", nullable=True),
        Column("peak_mb", "number", "most memory its process held, MB", nullable=True),
        Column("parameters", "number", "that are learned; missing for a forest", nullable=True),
        Column("note", "text", "why it failed", nullable=True),
    ),
)
_PATIENCE = 5.0  # seconds that a process has to end after it was told to
_GLANCE = 0.2  # seconds between looks at a process


@dataclass(frozen=True)
class Cell:
    """A call whose outcome is a cell of a table.

    Parameters
    ----------
    name
        Names its files.
    call
        A module's function; it returns plain values (numbers, text), which are kept.
    arguments
        What it is given; they have to survive pickling.
    settings
        Plain values that decide how it turns out; a cell made with others is refused.
    timeout
        Seconds.
    folder
        What it writes and, if it was broken off, goes on from. What a cell that failed has left there under
        other settings is removed before it is run again.
    """

    name: str
    call: Callable[..., Mapping[str, Any]]
    arguments: Mapping[str, Any]
    settings: Mapping[str, Any]
    timeout: float
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a cell turned out.

    Attributes
    ----------
    values
        What the call returned; empty where it failed.
    error
        Why it failed, in a sentence; empty where it did not.
    seconds, cpu_seconds, peak_mb
        Wall and processor time, and the most memory its process held (MB); NaN where it was ended, times also
        where it went on from what an earlier process had left.
    """

    values: Mapping[str, Any]
    error: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def cost_row(task: str, method: str, line: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """What a training of a method took, a row of :data:`COSTS`."""
    return {
        "task": task,
        "method": method,
        "train_line": line,
        "seed": seed,
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "peak_mb": outcome.peak_mb,
        "parameters": outcome.values.get("parameters"),
        "note": outcome.error or None,
    }


def cost_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of :func:`cost_row` as a table of schema :data:`COSTS`."""
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in ("seconds", "cpu_seconds", "peak_mb", "parameters"):
        table[name] = table[name].astype(float)
    return COSTS.order(COSTS.check(table, "costs of the benchmark"))


def run_cells(folder: Path, cells: Sequence[Cell], *, jobs: int = 1, retry: bool = False) -> list[Outcome]:
    """Run every cell that is not complete.

    Parameters
    ----------
    folder
        Gets ``NAME.json`` with the outcome, and ``NAME.log`` with what the call printed.
    cells
        In the order of the outcomes.
    jobs
        How many run side by side.
    retry
        Run cells again that failed.

    Raises
    ------
    ConfigError
        A cell is there, made with other settings.
    """
    if retry:
        for cell in cells:
            _forget_failure(folder / f"{cell.name}.json", cell)
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        begun = pool.map(lambda cell: _outcome(folder, cell, stop), cells)
        try:
            return list(track(begun, "benchmark", total=len(cells), unit="cells"))
        except BaseException:  # an interruption above all: no cell is to go on without anybody waiting
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _forget_failure(path: Path, cell: Cell) -> None:
    if not (path.is_file() and read_json(path).get("error")):
        return
    if forget_others(path, cell.settings) and cell.folder is not None:
        shutil.rmtree(cell.folder, ignore_errors=True)
    path.unlink()


def _outcome(folder: Path, cell: Cell, stop: threading.Event) -> Outcome:
    path = folder / f"{cell.name}.json"
    remedy = "give the benchmark another folder, or the settings that it was begun with"
    once(path, cell.settings, lambda begun: _run(cell, path, stop), remedy=remedy)
    found = read_json(path)
    return Outcome(
        found["values"],
        found["error"],
        *(float("nan") if found[name] is None else float(found[name]) for name in _MEASURED),
    )


_MEASURED = ("seconds", "cpu_seconds", "peak_mb")


def _run(cell: Cell, path: Path, stop: threading.Event) -> None:
    """Run the call in its process, and write what came of it, unless it was stopped from outside."""
    log, report = path.with_suffix(".log"), path.with_suffix(".report.json")
    report.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(cell.call, dict(cell.arguments), str(report), str(log)), name=cell.name
    )
    goes_on = cell.folder is not None and cell.folder.exists()
    began = time.monotonic()
    process.start()
    while process.is_alive() and not stop.is_set() and time.monotonic() - began < cell.timeout:
        process.join(_GLANCE)
    late = process.is_alive()
    _end(process)
    if stop.is_set():
        raise InterruptedTraining(f"{cell.name}: stopped; the same command goes on from there.")
    found = read_json(report) if report.is_file() and not late else {"values": {}, "error": ""}
    if late:
        found["error"] = f"took longer than {cell.timeout:g} s"
    elif not report.is_file():
        found["error"] = f"its process ended with {process.exitcode}; see {log.name}"
    found["seconds"] = round(time.monotonic() - began, 1)
    if goes_on:
        found |= {"seconds": None, "cpu_seconds": None}
    if found["error"]:
        notify(f"{cell.name}: {found['error']}")
    write_json(path, {**dict.fromkeys(_MEASURED), **found})
    report.unlink(missing_ok=True)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.terminate()
        process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


def _work(call: Callable[..., Mapping[str, Any]], arguments: dict[str, Any], report: str, log: str) -> None:
    """In the cell's process: call, and report; everything printed goes to the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the process that waits decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    found: dict[str, Any] = {"values": {}, "error": ""}
    try:
        found["values"] = dict(call(**arguments))
    except ChromweaveError as error:
        found["error"] = str(error)
    except Exception as error:
        traceback.print_exc()
        found["error"] = f"{type(error).__name__}: {error}"
    used = resource.getrusage(resource.RUSAGE_SELF)
    found["cpu_seconds"] = round(used.ru_utime + used.ru_stime, 1)
    found["peak_mb"] = _peak_mb(used.ru_maxrss)
    write_json(report, found)


def _peak_mb(counted: int) -> int:
    """The most memory this process has held. What Linux counts for a child begins with its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 2**10)
    return round(counted / (2**20 if sys.platform == "darwin" else 2**10))
