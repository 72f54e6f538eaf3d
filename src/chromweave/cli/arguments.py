"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..workflows.demo import CellLineFiles

__all__ = ["ChromOption", "JobSeed", "StoreOption", "StoresOption", "cell_lines", "named_files"]

StoreOption = Annotated[Path, typer.Option("--store", help="Region store (made by build).", metavar="STORE")]
StoresOption = Annotated[
    list[Path], typer.Option("--store", help="Region store; repeat for several.", metavar="STORE")
]
ChromOption = Annotated[
    list[str] | None, typer.Option("--chrom", help="Chromosome; repeat for several. Default: all.")
]
JobSeed = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]


def named_files(
    values: Sequence[str] | None, option: str, example: str = "ATAC=K562.ATAC.bw"
) -> dict[str, str]:
    """``["ATAC=a.bw", ...]`` as ``{"ATAC": "a.bw", ...}``; `example` is one of what the option takes.

    Raises
    ------
    ConfigError
        A value is not NAME=FILE, or a name stands twice.
    """
    files: dict[str, str] = {}
    for value in values or ():
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"{option} {value!r}: write NAME=FILE, for example {option} {example}.")
        if name in files:
            raise ConfigError(f"{option}: {name!r} is given twice; each needs a name of its own.")
        files[name] = path
    return files


def cell_lines(
    contacts: Sequence[str] | None, tracks: Sequence[str] | None, loops: Sequence[str] | None
) -> tuple[CellLineFiles, ...]:
    """One or two cell lines' own files for ``demo``, from ``[CELL=]FILE`` and ``[CELL:]NAME=FILE``.

    Without a name, the cell line is called after its map. None given: an empty tuple.

    Raises
    ------
    ConfigError
        Tracks or loops without a map, of a cell line without a map, or more than two cell lines.
    """
    from ..workflows.demo import CellLineFiles

    maps = dict(_named(value) for value in contacts or ())
    if not maps:
        if tracks or loops:
            raise ConfigError("--track and --loops need --contacts: which map do they belong to?")
        return ()
    if len(maps) > 2 or len(maps) != len(contacts or ()):
        raise ConfigError("demo takes one or two cell lines; name two maps apart: --contacts A=a.mcool.")
    signals: dict[str, dict[str, str]] = {name: {} for name in maps}
    for value in tracks or ():
        label, equals, path = value.partition("=")
        cell, colon, name = label.rpartition(":")
        if not (equals and name and path):
            raise ConfigError(f"--track {value!r}: write NAME=FILE.bw, or CELL:NAME=FILE.bw with two maps.")
        signals[_owner(cell if colon else None, maps, f"--track {value}")][name] = path
    known: dict[str, str] = {}
    for value in loops or ():
        cell, equals, path = value.rpartition("=")
        known[_owner(cell if equals else None, maps, f"--loops {value}")] = path
    return tuple(CellLineFiles(name, maps[name], signals[name], known.get(name)) for name in maps)


def _named(value: str) -> tuple[str, str]:
    name, equals, path = value.partition("=")
    if equals:
        return name, path
    return Path(value.split("::", 1)[0]).name.split(".")[0], value


def _owner(cell: str | None, maps: dict[str, str], option: str) -> str:
    if cell is None and len(maps) == 1:
        return next(iter(maps))
    if cell not in maps:
        raise ConfigError(f"{option}: say which cell line it belongs to; there are {', '.join(maps)}.")
    return cell
