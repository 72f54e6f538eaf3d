"""What a run folder and every written file say about where they come from."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from . import config as configs
from ._version import __version__
from .errors import OutputError
from .files import is_first_process, read_json, sha256, write_json, writing

__all__ = ["describe_inputs", "describe_process", "start_run"]

_PACKAGES = ("numpy", "scipy", "torch", "lightning", "hictkpy", "cooler", "cooltools", "pybigtools", "numba")


def describe_process() -> dict[str, Any]:
    """Version, command, commit, time and machine of this process, as plain values."""
    return {
        "chromweave": __version__,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git_commit": _git_commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": _package_versions(),
    }


@cache
def _package_versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def _git_commit() -> str | None:
    """Commit of the source tree this package runs from; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def describe_inputs(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Path, size in bytes and SHA-256 of each input file; a store or run folder is known by its manifest.

    A cooler URI (``file.mcool::/resolutions/5000``) is described by its file.
    """
    described = []
    for path in paths:
        file = Path(str(path).split("::", 1)[0])
        for marker in ("manifest.json", "run.json"):
            if (file / marker).is_file():
                file = file / marker
        if not file.is_file():
            continue
        described.append({"path": str(path), "bytes": file.stat().st_size, "sha256": sha256(file)})
    return described


def start_run(
    directory: str | Path,
    *,
    kind: str,
    config: Any,
    seed: int,
    inputs: Iterable[str | Path] = (),
    overwrite: bool = True,
    extra: Mapping[str, Any] | None = None,
    processes: int = 1,
) -> Path:
    """Make a run folder and write `config.toml` and `run.json` into it.

    Of several processes that work on one run, the first writes and the others only get the path.

    Parameters
    ----------
    directory
        The folder. One that exists must be a run folder of the same kind (or empty).
    kind
        What made it, e.g. ``"pretrain"``.
    config
        The merged configuration, a frozen dataclass.
    seed
        The run's seed.
    inputs
        Files and stores read; kept with size and SHA-256.
    overwrite
        Whether a finished run of the same kind may be written over.
    extra
        More plain values to keep.
    processes
        How many work on this run together.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    directory = Path(directory)
    if not is_first_process(processes):
        return directory
    record = directory / "run.json"
    if directory.is_file():
        raise OutputError(f"{directory}: is a file, where a run folder is to be written.")
    if record.is_file():
        before = read_json(record).get("kind")
        if before != kind:
            raise OutputError(
                f"{directory}: holds a {before!r} run, not a {kind!r} one; choose another folder."
            )
        if not overwrite:
            raise OutputError(
                f"{directory}: holds a {kind!r} run already; choose another folder or resume it."
            )
    elif directory.is_dir() and any(directory.iterdir()):
        raise OutputError(f"{directory}: is not empty and no run folder; choose another.")
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    configs.save(config, directory / "config.toml")
    write_json(
        record,
        {
            "kind": kind,
            "seed": seed,
            **describe_process(),
            "inputs": describe_inputs(inputs),
            **(extra or {}),
        },
    )
    return directory
