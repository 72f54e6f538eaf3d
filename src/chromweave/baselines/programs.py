"""Programs of others as they are installed: where they are, their version, and what a run of one costs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ..errors import ConfigError, DataError
from ..files import read_json, write_json

__all__ = [
    "Cost",
    "ProgramFailed",
    "ProgramMissing",
    "find_program",
    "measured",
    "program_version",
    "run_program",
]

# A small process between us and the program: peak memory counts from the process that starts another one,
# which would be this one with all that it holds. It ends the program where nobody waits for it any longer.
_LAUNCHER = """
import json, os, resource, signal, subprocess, sys
parent, status = os.getppid(), None
try:
    program = subprocess.Popen(sys.argv[2:])
except OSError as error:
    print(error)
    status = 127
while status is None:
    try:
        status = program.wait(1)
    except subprocess.TimeoutExpired:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
scale = 1 if sys.platform == "darwin" else 1024
with open(sys.argv[1], "w") as file:
    json.dump([status, used.ru_utime + used.ru_stime, used.ru_maxrss * scale], file)
"""
_SHOWN = 2000  # characters of what a program said, from the end
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*\S*")
_VERSION_TIME = 120  # seconds; the first start compiles a lot


class ProgramMissing(ConfigError):
    """A program is not installed; the message says how to."""


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes
    ----------
    seconds
        Of the processor, all its processes together.
    megabytes
        Peak memory of the largest of its processes.
    """

    seconds: float
    megabytes: float

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(round(self.seconds + other.seconds, 1), max(self.megabytes, other.megabytes))


class ProgramFailed(DataError):
    """A program ended with an error, or did not end in time; the message has its last words.

    Parameters
    ----------
    message
        What was run, and what happened.
    cost
        What it took until then, where that is known.
    """

    def __init__(self, message: str, cost: Cost | None = None) -> None:
        super().__init__(message)
        self.cost = cost


def find_program(name: str, folder: str | Path | None, install: str) -> Path:
    """A program in a folder, such as the `bin` of another virtual environment, or else on the PATH.

    Raises
    ------
    ProgramMissing
        It is not there.
    """
    found = shutil.which(name, path=None if folder is None else str(folder))
    if found is None:
        where = "on the PATH" if folder is None else f"in {folder}"
        raise ProgramMissing(
            f"there is no program {name} {where}; in a virtual environment of its own, since its "
            f"requirements and ours do not meet, install it by {install}, and name the environment's bin "
            "folder."
        )
    return Path(found)


@cache
def program_version(program: Path, *, package: str | None = None) -> str:
    """What a program says of its version; "unknown" where it says nothing.

    Parameters
    ----------
    program
        Asked with ``--version``.
    package
        Asked instead, by the Python beside the program, where the program does not know.
    """
    command = [str(program), "--version"]
    if package is not None:
        python = program.with_name("python")
        asked = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        command = [str(python if python.exists() else sys.executable), "-c", asked, package]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_VERSION_TIME, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    said = _VERSION.findall(answer.stdout if answer.stdout.strip() else answer.stderr)
    return str(said[-1]) if said and not answer.returncode else "unknown"


def run_program(command: Sequence[str | Path], *, timeout: float | None = None) -> tuple[Cost, str]:
    """Run a command to its end; its cost, and all that it said.

    Parameters
    ----------
    command
        Program and arguments; no shell is involved.
    timeout
        Seconds on the clock after which it is killed with all that it started.

    Raises
    ------
    ProgramFailed
        It could not be started, ended with another status than 0, or was killed.
    """
    words = [str(word) for word in command]
    over = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        note, log = Path(folder) / "cost.json", Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(note), *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            timer = threading.Timer(timeout or 0, _end, (process, over))
            if timeout is not None:
                timer.start()
            try:
                process.wait()
            except BaseException:  # Ctrl-C: nothing of it goes on alone
                _end(process, over)
                raise
            finally:
                timer.cancel()
        said = log.read_text(errors="replace")
        if over.is_set():
            raise ProgramFailed(f"{shlex.join(words)}: was not done after {timeout:g} s.{_last_words(said)}")
        if not note.is_file():
            raise ProgramFailed(f"{shlex.join(words)}: was killed.{_last_words(said)}")
        status, seconds, size = json.loads(note.read_text())
    cost = Cost(round(seconds, 1), round(size / 2**20))
    if status:
        raise ProgramFailed(f"{shlex.join(words)}: ended with status {status}.{_last_words(said)}", cost)
    return cost, said


def _end(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    """Kill a process and all that it started, unless it has ended."""
    if process.poll() is None:
        over.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _last_words(said: str) -> str:
    said = said.strip()
    return f" It said:\n{said[-_SHOWN:]}" if said else ""


def measured(command: Sequence[str | Path], made: Path, *, timeout: float | None = None) -> Cost:
    """Run a command unless what it makes is there; its cost is kept beside that.

    Parameters
    ----------
    command, timeout
        As for :func:`run_program`.
    made
        File that the command writes; the cost stands in ``MADE.cost.json``.

    Raises
    ------
    ProgramFailed
        As in :func:`run_program`, or the file is not there afterwards.
    """
    kept = made.with_name(f"{made.name}.cost.json")
    if made.exists() and kept.exists():
        return Cost(**read_json(kept))
    cost, said = run_program(command, timeout=timeout)
    if not made.exists():
        words = shlex.join(str(word) for word in command)
        raise ProgramFailed(f"{words}: left no {made.name}.{_last_words(said)}", cost)
    write_json(kept, asdict(cost))
    return cost
