"""What every reader asks of a file before and while it reads: that it is one, and that it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ChromweaveError, FileFormatError

__all__ = ["reading", "require_file"]

# What hictkpy, h5py, pybigtools and gzip raise on a damaged file.
_DAMAGE = (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, MemoryError)


def require_file(path: str | Path, kind: str) -> Path:
    """Return `path` as a Path if it is a readable, non-empty file.

    Parameters
    ----------
    path
        What the user gave.
    kind
        What is meant, with its article, for the message ("a bigWig file").

    Raises
    ------
    FileFormatError
        There is no such file, it is a directory, empty, or may not be read.
    """
    path = Path(path)
    if path.is_dir():
        raise FileFormatError(f"{path}: is a directory, where {kind} is meant; give the file.")
    if not path.exists():
        raise FileFormatError(f"{path}: no such file; {kind} is needed.")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise FileFormatError(f"{path}: is empty; {kind} is needed.")
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return path


@contextmanager
def reading(source: str, kind: str, *more: type[Exception]) -> Iterator[None]:
    """Turn what a file library raises inside the block into a :class:`FileFormatError` naming `source`.

    Parameters
    ----------
    source
        The file.
    kind
        What it should be, with its article ("a bigWig file").
    more
        A library's own exceptions, beyond the built-in ones.
    """
    try:
        yield
    except ChromweaveError:
        raise
    except BaseException as error:
        # A panic of a Rust library (pybigtools) is no Exception, and has a class that cannot be imported.
        if not isinstance(error, (*_DAMAGE, *more)) and type(error).__name__ != "PanicException":
            raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise FileFormatError(
            f"{source}: cannot be read as {kind}; it is truncated or damaged ({reason[:200]}). "
            "Download or write it again."
        ) from error
