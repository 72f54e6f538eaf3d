"""Which kind of contact map a file is, and what is in it."""

from __future__ import annotations

from typing import Literal

import h5py
import hictkpy
import numpy as np

from ..errors import FileFormatError
from ..genome import summarise

__all__ = ["Container", "container_of", "contents_of"]

Container = Literal["hic", "mcool", "cool"]

_HIC_VERSIONS = range(6, 10)  # what hictkpy reads


def container_of(file: str, group: str) -> Container:
    """What kind of contact map a file is; `group` is what a cooler URI has after ``::``, or empty.

    Raises
    ------
    FileFormatError
        It is none, or cannot be opened; the message says what was found.
    """
    if group:
        if not hictkpy.is_cooler(f"{file}::{group}"):
            raise FileFormatError(f"{file}::{group}: no cooler there; {_inside(file)}.")
        return "cool"
    if hictkpy.is_hic(file):
        _require_version(file)
        return "hic"
    if hictkpy.is_mcool_file(file):
        return "mcool"
    if hictkpy.is_cooler(file):
        return "cool"
    if hictkpy.is_scool_file(file):
        raise FileFormatError(f"{file}: holds many cells (.scool); name one, as {file}::/cells/NAME.")
    raise FileFormatError(f"{file}: {_why_not(file)}")


def _require_version(file: str) -> None:
    with open(file, "rb") as handle:
        version = int.from_bytes(handle.read(8)[4:], "little")
    if version not in _HIC_VERSIONS:
        raise FileFormatError(
            f"{file}: is a .hic file of version {version}; versions {_HIC_VERSIONS.start} to "
            f"{_HIC_VERSIONS.stop - 1} are read. Write it again with a current juicer_tools."
        )


def _inside(file: str) -> str:
    """What can be named after ``::`` in an HDF5 file, for a message."""
    try:
        with h5py.File(file) as handle:
            groups = [f"/resolutions/{name}" for name in handle.get("resolutions", ())]
    except OSError:
        return "the file is no HDF5 file, or a damaged one"
    return f"the file has {summarise(groups)}"


def _why_not(file: str) -> str:
    with open(file, "rb") as handle:
        start = handle.read(8)
    if start.startswith((b"HIC", b"\x89HDF")):
        kind = "a .hic" if start.startswith(b"HIC") else "an HDF5"
        return (
            f"begins as {kind} file but cannot be read as a contact map; it is truncated, damaged or of an "
            "unknown version. Download or write it again."
        )
    return f"is no contact map; .hic, .cool or .mcool is needed (it begins with {start!r})."


def contents_of(path: str, container: Container) -> tuple[dict[str, int], tuple[int, ...]]:
    """Chromosome lengths and resolutions of a file."""
    if container == "cool":
        single = hictkpy.File(path)
        resolution = single.resolution() or 0
        return dict(single.chromosomes()), (int(resolution),) if resolution else ()
    several = hictkpy.MultiResFile(path)
    return dict(several.chromosomes()), tuple(sorted(np.asarray(several.resolutions(), np.int64).tolist()))
