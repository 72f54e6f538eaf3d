"""Writing that never leaves half a file, and checksums.

Everything chromweave writes goes beside its target under a temporary name and is renamed at the end:
a process killed at any moment leaves the old target, or none.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import ChromweaveError, FileFormatError, OutputError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "atomic_directory",
    "atomic_path",
    "is_first_process",
    "read_json",
    "sha256",
    "write_json",
    "writing",
]

_CHUNK = 1 << 20


def is_first_process(processes: int = 1) -> bool:
    """Whether this process is the one that writes and speaks: True unless it is a later one of a training.

    A process group that stands is asked. Before, what torchrun and Lightning leave in the environment is
    read. The numbers of a machine and of SLURM's task count only where the run is known to have several
    `processes`: independent commands, each with its own output, are started alike.

    Parameters
    ----------
    processes
        How many this run is meant to have.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if "RANK" in os.environ:
            return int(os.environ["RANK"]) == 0
        return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
    numbers = ("SLURM_PROCID", "NODE_RANK", "GROUP_RANK")
    return processes == 1 or all(int(os.environ.get(name, "0")) == 0 for name in numbers)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the system's refusals while writing `target` into an :class:`OutputError` that names it."""
    try:
        yield
    except ChromweaveError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(
                f"{target}: no space left on the disk; free some or write elsewhere. Nothing was kept."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise OutputError(
                f"{target}: its folder cannot be written to ({error.strerror}); choose another."
            ) from error
        raise OutputError(f"{target}: cannot be written ({error.strerror or error}).") from error


def _prepare_parent(target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` (same suffix); on success it is synced and renamed to `target`.

    Parameters
    ----------
    target
        File to appear, or to be replaced, when the block ends without an exception.

    Raises
    ------
    OutputError
        The folder cannot be written, the disk is full, or `target` is a directory.
    """
    target = Path(target)
    if target.is_dir():
        raise OutputError(f"{target}: is a directory, where a file is to be written; give a file name.")
    _prepare_parent(target)
    with writing(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
    temporary = Path(name)
    temporary.unlink()  # writers such as cooler and pybigtools want to create the file themselves
    try:
        with writing(target):
            yield temporary
            if not temporary.exists():
                raise OutputError(f"{target}: nothing was written.")
            temporary.chmod(0o666 & ~_umask())
            _sync(temporary)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: str | Path, *, marker: str) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; on success it takes `target`'s place as a whole.

    Parameters
    ----------
    target
        Folder to appear. One that exists is replaced only if it holds a file called `marker`
        (so that a slip of the hand cannot delete a home folder).
    marker
        Name of a file that every finished folder of this kind holds.

    Raises
    ------
    OutputError
        `target` exists and is something else, or the folder cannot be written.
    """
    target = Path(target)
    if target.exists() and not (target / marker).is_file():
        raise OutputError(
            f"{target}: exists and is no {marker.split('.')[0]} folder of chromweave; not replaced."
        )
    _prepare_parent(target)
    with writing(target):
        _clear_dead(target)
        temporary = _own_directory(target, ".partial")
    try:
        with writing(target), _held(temporary):
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            for path in temporary.rglob("*"):
                if path.is_file():
                    _sync(path)
            _replace_directory(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_directory(new: Path, target: Path) -> None:
    """Put `new` in `target`'s place. None can be renamed over a full one: the old one steps aside.

    Another process may do the same at the same moment; whoever comes last stands.
    """
    aside = _own_directory(target, ".old")
    try:
        for attempt in range(100):
            try:
                new.rename(target)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == 99:
                    if not target.exists() and (aside / "0").exists():
                        (aside / "0").rename(target)
                    raise
            with suppress(FileNotFoundError):
                target.rename(aside / str(attempt))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _own_directory(target: Path, suffix: str) -> Path:
    """A new hidden folder beside `target` that names this process."""
    return Path(
        tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}-", suffix=suffix, dir=target.parent.resolve())
    )


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold a lock on `directory`, which the system releases when this process dies, however it dies."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: the process number in the name remains
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _clear_dead(target: Path) -> None:
    """Remove what killed writers of `target` left; a `target` caught while stepping aside goes back."""
    for left in sorted(target.parent.glob(f".{glob.escape(target.name)}.*-*.partial")):
        if _is_dead(left, target):
            shutil.rmtree(left, ignore_errors=True)
    for left in sorted(target.parent.glob(f".{glob.escape(target.name)}.*-*.old")):
        if _is_dead(left, target):
            if (left / "0").exists() and not target.exists():
                (left / "0").rename(target)
            shutil.rmtree(left, ignore_errors=True)


def _is_dead(left: Path, target: Path) -> bool:
    """Whether the writer of a temporary folder is gone: no such process here, and no lock held elsewhere."""
    number = left.name.removeprefix(f".{target.name}.").partition("-")[0]
    if sys.platform == "win32" or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    else:
        return False
    try:
        handle = os.open(left, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    FileFormatError
        The file is missing, a directory, or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: no such file.") from error
    except IsADirectoryError as error:
        raise FileFormatError(f"{path}: is a directory, where a JSON file is meant.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: is not valid JSON ({error}); it may be truncated.") from error
