"""Intervals and positions: BED, narrowPeak and TSS tables; pairs of anchors come from :mod:`.pairs`.

Every reader makes chromosome names the assembly's, checks coordinates against it, leaves out (and says so)
what lies on chromosomes the assembly does not have, and returns a table that fits its schema.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AssemblyError, SchemaError
from ..genome import Assembly, summarise
from ..schemas import BED, NARROWPEAK, TSS
from .pairs import read_bedpe, write_bedpe
from .text import MISSING, Rows, chromosome_lengths, read_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_bed", "read_bedpe", "read_narrowpeak", "read_tss", "write_bedpe"]

_TSS_KIND = "a TSS table (TSV with a header, or GFF)"
# Names that a TSS table's columns go by, in lower case.
_TSS_COLUMNS = {
    "chrom": ("chrom", "chr", "chromosome", "seqname", "seqnames"),
    "tss": ("tss", "position", "pos", "tss_position"),
    "name": ("name", "gene", "gene_name", "symbol", "gene_symbol", "gene_id"),
    "strand": ("strand",),
    "expression": ("expression", "tpm", "fpkm", "rpkm", "cage", "value"),
}
_START_FEATURES = ("gene", "transcript", "capsite", "tss", "mrna")


def read_bed(path: str | Path, assembly: Assembly) -> pd.DataFrame:
    """Read a BED file of three or more columns, plain or gzipped.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.BED`, in the file's order, with `name`, `score` (NaN where it is no number) and
        `strand` where the file has them.

    Raises
    ------
    SchemaError
        A line has too few columns, a coordinate that is no number, or start >= end.
    AssemblyError
        An interval lies beyond its chromosome, or none is on a known one.
    FileFormatError
        The file cannot be read.
    """
    import pandas as pd

    rows = _on_assembly(read_rows(path, "a BED file"), 3, "chrom, start, end", assembly)
    columns = _interval(rows, assembly)
    shortest = min(map(len, rows.fields))
    if shortest > 3:
        columns["name"] = rows.text(3)
    if shortest > 4:
        score = rows.numbers_of(4)
        columns["score"] = np.full(len(rows), np.nan) if score is None else score
    if shortest > 5:
        columns["strand"] = rows.text(5)
    return BED.check(pd.DataFrame(columns), str(path))


def read_narrowpeak(path: str | Path, assembly: Assembly) -> pd.DataFrame:
    """Read a narrowPeak file (ENCODE's BED6+4), plain or gzipped.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.NARROWPEAK`, in the file's order.

    Raises
    ------
    SchemaError
        A line has other than ten columns, a field that is no number, or start >= end.
    AssemblyError
        A peak lies beyond its chromosome, or none is on a known one.
    FileFormatError
        The file cannot be read.
    """
    import pandas as pd

    meaning = "chrom, start, end, name, score, strand, signal, p, q, summit"
    rows = _on_assembly(read_rows(path, "a narrowPeak file"), 10, meaning, assembly)
    columns = _interval(rows, assembly) | {"name": rows.text(3), "strand": rows.text(5)}
    for index, name in ((4, "score"), (6, "signal"), (7, "pvalue"), (8, "qvalue")):
        columns[name] = _numbers(rows, index, name)
    columns["peak"] = rows.integers(9, "peak")
    beyond = np.flatnonzero(columns["peak"] >= columns["end"] - columns["start"])
    if len(beyond):
        raise SchemaError(
            f"{rows.where(int(beyond[0]))} has its summit outside the peak; it counts from start."
        )
    return NARROWPEAK.check(NARROWPEAK.order(pd.DataFrame(columns)), str(path))


def read_tss(path: str | Path, assembly: Assembly) -> pd.DataFrame:
    """Read transcription start sites: a TSV with a header, or GFF/GTF, plain or gzipped.

    The header names a chromosome (``chrom``, ``chr``), a position (``tss``) and a gene (``name``,
    ``gene``), and may name a strand and an expression (``expression``, ``tpm``). A TSV's positions are
    0-based. Of a GFF the rows of genes are read (of transcripts or CAGE sites where there are none); its
    1-based start on the + strand, its end on the - strand, becomes a 0-based position.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.TSS`, in the file's order.

    Raises
    ------
    SchemaError
        A column is missing or a position is no number.
    AssemblyError
        A position lies beyond its chromosome, or none is on a known one.
    FileFormatError
        The file cannot be read.
    """
    import pandas as pd

    rows = read_rows(path, _TSS_KIND)
    columns = _tss_gff(rows, assembly) if _is_gff(rows) else _tss_table(rows, assembly)
    return TSS.check(TSS.order(pd.DataFrame(columns)), str(path))


def _on_assembly(rows: Rows, least: int, meaning: str, assembly: Assembly) -> Rows:
    rows.require_columns(least, meaning)
    return rows.take(rows.known([rows.text(0)], assembly))


def _canonical(names: np.ndarray, assembly: Assembly) -> np.ndarray:
    return np.array([assembly.require(name) for name in names], object)


def _interval(rows: Rows, assembly: Assembly) -> dict[str, np.ndarray]:
    chroms = _canonical(rows.text(0), assembly)
    starts, ends = rows.integers(1, "start"), rows.integers(2, "end")
    ends = rows.fit_inside(chroms, starts, ends, assembly)
    return {"chrom": chroms, "start": starts, "end": ends}


def _numbers(rows: Rows, index: int, name: str) -> np.ndarray:
    values = rows.numbers_of(index)
    if values is None or np.isnan(values).any():
        bad = next(row for row, text in enumerate(rows.text(index)) if not _is_number(text))
        raise SchemaError(f"{rows.where(bad)} has {rows.fields[bad][index]!r} as {name}, which is no number.")
    return values


def _is_number(text: str) -> bool:
    try:
        return text not in MISSING and float(text) == float(text)
    except ValueError:
        return False


def _position(rows: Rows, chroms: np.ndarray, tss: np.ndarray, assembly: Assembly) -> np.ndarray:
    lengths = chromosome_lengths(chroms, assembly)
    wrong = np.flatnonzero((tss < 0) | (tss >= lengths))
    if len(wrong):
        row = int(wrong[0])
        raise AssemblyError(
            f"{rows.where(row)} has position {tss[row]:,}, outside {chroms[row]}, which is {lengths[row]:,} "
            f"bp long in {assembly.name} ({len(wrong):,} such lines). Is the file of another assembly?"
        )
    return tss


def _tss_table(rows: Rows, assembly: Assembly) -> dict[str, np.ndarray]:
    lower = [name.lower() for name in rows.header]
    found = {
        column: lower.index(name)
        for column, names in _TSS_COLUMNS.items()
        for name in [next((name for name in names if name in lower), None)]
        if name is not None
    }
    missing = [column for column in TSS.required if column not in found]
    if missing:
        raise SchemaError(
            f"{rows.source}: {_TSS_KIND} needs the column {', '.join(missing)}; "
            f"its header has {summarise(rows.header, 12)}."
        )
    rows.require_columns(max(found[column] for column in TSS.required) + 1, ", ".join(found))
    rows = rows.take(rows.known([rows.text(found["chrom"])], assembly))
    chroms = _canonical(rows.text(found["chrom"]), assembly)
    tss = _position(rows, chroms, rows.integers(found["tss"], "tss"), assembly)
    columns = {"chrom": chroms, "tss": tss, "name": rows.text(found["name"])}
    if "strand" in found:
        columns["strand"] = rows.text(found["strand"])
    if "expression" in found and (values := rows.numbers_of(found["expression"])) is not None:
        columns["expression"] = values
    return columns


def _is_gff(rows: Rows) -> bool:
    first = rows.fields[0]
    return not rows.header and len(first) in (8, 9) and first[3].isdigit() and first[4].isdigit()


def _tss_gff(rows: Rows, assembly: Assembly) -> dict[str, np.ndarray]:
    rows = _on_assembly(rows, 9, "as GFF has", assembly)
    features = np.char.lower(rows.text(2).astype(str))
    chosen = next((feature for feature in _START_FEATURES if (features == feature).any()), None)
    if chosen is None:
        raise SchemaError(
            f"{rows.source}: has no feature {', '.join(_START_FEATURES)}; "
            f"it has {summarise(sorted(set(features)))}."
        )
    rows = rows.take(features == chosen)
    chroms, strands = _canonical(rows.text(0), assembly), rows.text(6)
    position = np.where(strands == "-", rows.integers(4, "end"), rows.integers(3, "start")) - 1
    return {
        "chrom": chroms,
        "tss": _position(rows, chroms, position, assembly),
        "name": np.array([_gene(rows, row) for row in range(len(rows))], object),
        "strand": strands,
    }


def _gene(rows: Rows, row: int) -> str:
    """Gene name, else its identifier, from the attributes of a GTF or GFF3 row."""
    for key in ("gene_name", "gene_id", "Name", "ID"):
        match = re.search(rf"(?:^|[;\s]){key}[ =]\"?([^\";\s]+)", rows.fields[row][8])
        if match:
            return match[1]
    raise SchemaError(f"{rows.where(row)} names no gene (gene_name, gene_id, Name or ID).")
