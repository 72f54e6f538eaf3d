"""Loops and other pairs of anchors: BEDPE, the lists of Juicebox and HiCCUPS, washU text; and BEDPE out."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import ConfigError, DataError, SchemaError
from ..files import atomic_path
from ..genome import Assembly
from ..progress import notify
from ..schemas import BEDPE
from .text import Rows, read_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_bedpe", "write_bedpe"]

_KIND = "a list of loops (BEDPE, Juicebox or washU text)"
_COORDINATES = ("chrom1", "start1", "end1", "chrom2", "start2", "end2")
_REGION = re.compile(r"(?P<chrom>[^:\s]+):(?P<start>\d+)-(?P<end>\d+)(?:,(?P<score>\S+))?")
# Further columns that belong to an anchor and change places with it.
_SIDED = ("strand", "centroid", "cstart")
_JUICEBOX_COLOR = "0,255,255"


def read_bedpe(path: str | Path, assembly: Assembly) -> pd.DataFrame:
    """Read pairs of anchors within chromosomes.

    Understood are BEDPE with or without a header, the lists of Juicebox and HiCCUPS (``chr1 x1 x2 ...``,
    chromosomes with or without ``chr``), washU text (``chr1:1-2  chr1:5-6  score``) and washU longrange
    (``chr1  1  2  chr1:5-6,score``), each also gzipped.

    Parameters
    ----------
    path
        The file.
    assembly
        Chromosome names become this assembly's, and coordinates are checked against it.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.BEDPE`, in the file's order, the anchor that starts first as anchor 1; columns
        named by a header come along. Pairs between chromosomes, and on chromosomes the assembly does not
        have, are left out, which is announced.

    Raises
    ------
    SchemaError
        A line has too few columns, a coordinate that is no number, or start >= end.
    AssemblyError
        An anchor lies beyond its chromosome, or no line is on a known one.
    DataError
        No pair lies within one chromosome.
    FileFormatError
        The file cannot be read.
    """
    rows = _plain(read_rows(path, _KIND))
    rows.require_columns(6, "two chromosomes, starts and ends")
    rows = rows.take(rows.known((rows.text(0), rows.text(3)), assembly))
    rows = _within_chromosomes(rows, assembly)
    chroms = np.array([assembly.require(name) for name in rows.text(0)], object)
    columns: dict[str, np.ndarray] = {"chrom1": chroms, "chrom2": chroms}
    for side, first in (("1", 1), ("2", 4)):
        start, end = rows.integers(first, f"start{side}"), rows.integers(first + 1, f"end{side}")
        columns |= {f"start{side}": start, f"end{side}": rows.fit_inside(chroms, start, end, assembly)}
    columns = {name: columns[name] for name in _COORDINATES} | _further(rows)
    return BEDPE.check(BEDPE.order(_in_order(columns)), str(path))


def _plain(rows: Rows) -> Rows:
    """washU dialects as plain BEDPE fields; anything else unchanged."""
    first = rows.fields[0]
    if len(first) >= 2 and _REGION.fullmatch(first[0]) and _REGION.fullmatch(first[1]):
        fields = tuple(_washu(rows, row) for row in range(len(rows)))
    elif 4 <= len(first) < 6 and _REGION.fullmatch(first[3]):
        fields = tuple(_longrange(rows, row) for row in range(len(rows)))
    else:
        return rows
    return Rows(rows.source, rows.kind, (), rows.numbers, fields)


def _washu(rows: Rows, row: int) -> list[str]:
    split = rows.fields[row]
    anchors = [_REGION.fullmatch(text) for text in split[:2]]
    if len(split) < 2 or anchors[0] is None or anchors[1] is None:
        raise SchemaError(
            f"{rows.where(row)} is not two regions (chr1:1-2) and a score, as the first one is."
        )
    return [
        *anchors[0].group("chrom", "start", "end"),
        *anchors[1].group("chrom", "start", "end"),
        *split[2:3],
    ]


def _longrange(rows: Rows, row: int) -> list[str]:
    split = rows.fields[row]
    anchor = _REGION.fullmatch(split[3]) if len(split) > 3 else None
    if anchor is None:
        raise SchemaError(f"{rows.where(row)} is no region followed by chr1:1-2,score, as the first line is.")
    score = [anchor["score"]] if anchor["score"] else []
    return [*split[:3], *anchor.group("chrom", "start", "end"), *score]


def _within_chromosomes(rows: Rows, assembly: Assembly) -> Rows:
    cis = np.array([assembly.canonical(f[0]) == assembly.canonical(f[3]) for f in rows.fields], bool)
    if not cis.any():
        raise DataError(
            f"{rows.source}: every pair lies between two chromosomes; pairs within one are needed."
        )
    if not cis.all():
        notify(
            f"{rows.source}: {np.count_nonzero(~cis):,} of {len(rows):,} pairs left out, "
            "which lie between two chromosomes."
        )
    return rows.take(cis)


def _further(rows: Rows) -> dict[str, np.ndarray]:
    """Columns beyond the coordinates: by the header's names, else the BEDPE name and score."""
    widest = max(map(len, rows.fields))
    if rows.header:
        named = {i: name for i, name in enumerate(rows.header) if 6 <= i < widest}
    elif widest == 7:  # six columns and one value: a score if it is a number
        named = {6: "score" if rows.numbers_of(6) is not None else "name"}
    else:
        named = {6 + i: name for i, name in enumerate(("name", "score", "strand1", "strand2")[: widest - 6])}
    further = {}
    for index, name in named.items():
        value = None if name in {"name", "strand1", "strand2"} else rows.numbers_of(index)
        if name == "score" and value is None:
            value = np.full(len(rows), np.nan)
        further[name] = rows.text(index) if value is None else value
    return {name: value for name, value in further.items() if name not in _COORDINATES}


def _in_order(columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Anchor 1 is the one that starts first (then ends first); what belongs to an anchor goes with it."""
    import pandas as pd

    swap = (columns["start1"] > columns["start2"]) | (
        (columns["start1"] == columns["start2"]) & (columns["end1"] > columns["end2"])
    )
    for stem in ("start", "end", *_SIDED):
        one, two = columns.get(f"{stem}1"), columns.get(f"{stem}2")
        if one is not None and two is not None:
            columns[f"{stem}1"], columns[f"{stem}2"] = np.where(swap, two, one), np.where(swap, one, two)
    return pd.DataFrame(columns)


def write_bedpe(path: str | Path, table: pd.DataFrame, style: Literal["bedpe", "juicebox"] = "bedpe") -> None:
    """Write pairs of anchors, sorted, whole or not at all; gzipped where `path` ends in ``.gz``.

    Parameters
    ----------
    path
        The file.
    table
        :data:`schemas.BEDPE`; further columns follow the ten of the format.
    style
        ``"bedpe"``: header ``#chrom1 start1 ...``, as HiGlass (clodius) and bioframe read it.
        ``"juicebox"``: HiCCUPS' header ``#chr1 x1 x2 ...`` with a color column, for Juicebox' 2D annotations.

    Raises
    ------
    SchemaError
        The table does not fit.
    OutputError
        The file cannot be written.
    """
    if style not in ("bedpe", "juicebox"):
        raise ConfigError(f"style is bedpe or juicebox, not {style!r}.")
    BEDPE.check(table, str(path))
    lines = _juicebox_lines(_ten_columns(table)) if style == "juicebox" else _bedpe_lines(_ten_columns(table))
    text = "".join(f"{line}\n" for line in lines).encode()
    with atomic_path(path) as temporary:
        # No time stamp: the same table gives the same bytes.
        temporary.write_bytes(gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def _ten_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Sorted, anchors in order, with the ten columns of BEDPE first."""
    ordered = _in_order({str(name): table[name].to_numpy() for name in table.columns})
    for name, default in (("name", "."), ("score", np.nan), ("strand1", "."), ("strand2", ".")):
        if name not in ordered.columns:
            ordered[name] = default
    first = [*_COORDINATES, "name", "score", "strand1", "strand2"]
    ordered = ordered[[*first, *(name for name in ordered.columns if name not in first)]]
    rank = {chrom: i for i, chrom in enumerate(sorted(ordered["chrom1"].unique(), key=_natural))}
    key = ordered["chrom1"].map(rank)
    order = np.lexsort([ordered["end2"], ordered["end1"], ordered["start2"], ordered["start1"], key])
    return ordered.iloc[order]


def _natural(chrom: str) -> tuple[int, int, str]:
    """chr2 before chr10 before chrX."""
    number = chrom.removeprefix("chr")
    return (0, int(number), chrom) if number.isdigit() else (1, 0, chrom)


def _bedpe_lines(table: pd.DataFrame) -> list[str]:
    return ["#" + "\t".join(map(str, table.columns)), *_body(table)]


def _juicebox_lines(table: pd.DataFrame) -> list[str]:
    if "color" not in table.columns:
        table = table.assign(color=_JUICEBOX_COLOR)
    first = list(table.columns[:10])
    rest = [name for name in table.columns[10:] if name != "color"]
    header = ["chr1", "x1", "x2", "chr2", "y1", "y2", *first[6:], "color", *map(str, rest)]
    return ["#" + "\t".join(header), *_body(table[[*first, "color", *rest]])]


def _body(table: pd.DataFrame) -> list[str]:
    columns = [[_cell(value) for value in table[name].tolist()] for name in table.columns]
    return ["\t".join(row) for row in zip(*columns, strict=True)]


def _cell(value: object) -> str:
    if value is None or value == "" or value != value:  # NaN differs from itself
        return "."
    return f"{value:.8g}" if isinstance(value, float) else str(value)
