"""Tab-separated text with genomic coordinates: rows that remember their line, numbers, and places checked."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import AssemblyError, FileFormatError, SchemaError
from ..genome import Assembly, summarise
from ..progress import notify
from .formats import reading, require_file

__all__ = ["MISSING", "Rows", "chromosome_lengths", "read_rows"]

MISSING = frozenset({"", ".", "NA", "NaN", "nan", "None"})

_WIDEST_GRID = 1_000_000
# The first two column names: chrom start, chr tss, chr1 x1, chrom1 start1, ...
_HEADER = re.compile(
    r"(?:chr|chrom|chromosome|seqnames?)(_?1)? "
    r"(?:x|s|start|chromstart|begin|end|tss|pos|position|strand|name|gene)(?(1)_?1|1?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rows:
    """The data lines of a text file, split into fields.

    Parameters
    ----------
    source
        The file, for messages.
    kind
        What the file should be, for messages ("a BED file").
    header
        Column names, where the file gives them.
    numbers
        Line number of each row, from 1.
    fields
        Fields of each row.
    """

    source: str
    kind: str
    header: tuple[str, ...]
    numbers: tuple[int, ...]
    fields: tuple[list[str], ...]

    def __len__(self) -> int:
        return len(self.fields)

    def where(self, row: int) -> str:
        """File and line of a row, for a message."""
        return f"{self.source}: line {self.numbers[row]}"

    def take(self, keep: np.ndarray) -> Rows:
        """The rows where `keep` (boolean) holds."""
        chosen = np.flatnonzero(keep)
        return Rows(
            self.source,
            self.kind,
            self.header,
            tuple(self.numbers[i] for i in chosen),
            tuple(self.fields[i] for i in chosen),
        )

    def require_columns(self, least: int, meaning: str) -> None:
        """Raise a SchemaError naming the first line with fewer than `least` fields."""
        for row, fields in enumerate(self.fields):
            if len(fields) < least:
                raise SchemaError(
                    f"{self.where(row)} has {len(fields)} columns; {self.kind} needs at least {least} "
                    f"({meaning}), separated by tabs."
                )

    def text(self, column: int) -> np.ndarray:
        """One column as text (object array); a row too short has an empty string."""
        return np.array([fields[column] if column < len(fields) else "" for fields in self.fields], object)

    def integers(self, column: int, name: str) -> np.ndarray:
        """One column of coordinates, int64; a SchemaError names the first line that holds none."""
        values = np.empty(len(self), np.int64)
        for row, fields in enumerate(self.fields):
            try:
                values[row] = int(fields[column])
            except (ValueError, OverflowError):
                values[row] = _whole(fields[column], self, row, name)
        return values

    def numbers_of(self, column: int) -> np.ndarray | None:
        """One column as float64 with NaN where it is missing; None where some field is no number."""
        values = np.full(len(self), np.nan)
        for row, field in enumerate(self.text(column)):
            if field not in MISSING:
                try:
                    values[row] = float(field)
                except ValueError:
                    return None
        return values

    def fit_inside(
        self, chroms: np.ndarray, starts: np.ndarray, ends: np.ndarray, assembly: Assembly
    ) -> np.ndarray:
        """The ends, once every interval is known to lie inside its chromosome.

        Where all coordinates of the file stand on a grid of at most 1 Mb (domains, sub-compartments, loops
        made of bins), the last bin may stand out by less than one step: it is cut at the chromosome's end,
        which is announced.

        Raises
        ------
        SchemaError
            An interval runs backwards.
        AssemblyError
            An interval leaves its chromosome.
        """
        wrong = np.flatnonzero((starts < 0) | (starts >= ends))
        if len(wrong):
            row = int(wrong[0])
            raise SchemaError(
                f"{self.where(row)} has start {starts[row]:,} and end {ends[row]:,}; 0 <= start < end must "
                f"hold ({len(wrong):,} such lines). Correct or drop them."
            )
        lengths = chromosome_lengths(chroms, assembly)
        over = ends > lengths
        if not over.any():
            return ends
        step = int(np.gcd.reduce(np.concatenate([starts, ends])))
        wrong = np.flatnonzero(
            over & ((ends - lengths >= step) | (starts >= lengths) | (step > _WIDEST_GRID))
        )
        if len(wrong):
            row = int(wrong[0])
            raise AssemblyError(
                f"{self.where(row)} ends at {ends[row]:,}, beyond {chroms[row]}, which is {lengths[row]:,} "
                f"bp long in {assembly.name} ({len(wrong):,} such lines). Is the file of another assembly?"
            )
        notify(
            f"{self.source}: {np.count_nonzero(over):,} intervals cut at the end of their chromosome, beyond "
            f"which their last bin of {step:,} bp stands."
        )
        return np.minimum(ends, lengths)

    def known(self, columns: Iterable[np.ndarray], assembly: Assembly) -> np.ndarray:
        """Rows (boolean) whose chromosomes, in all `columns`, the assembly knows; the rest is announced.

        Raises
        ------
        AssemblyError
            The assembly knows the chromosomes of no row.
        """
        keep = np.ones(len(self), bool)
        strange: set[str] = set()
        for names in columns:
            unknown = {name for name in set(names) if assembly.canonical(name) is None}
            keep &= ~np.isin(names, list(unknown))
            strange |= unknown
        shown = summarise(sorted(strange), 5)
        if not keep.any():
            raise AssemblyError(
                f"{self.source}: no line is on a chromosome of {assembly.name}; the file has {shown}. "
                f"Give the file's assembly, or {self.kind}."
            )
        if strange:
            notify(
                f"{self.source}: {np.count_nonzero(~keep):,} of {len(self):,} lines left out, on chromosomes "
                f"that {assembly.name} does not have ({shown})."
            )
        return keep


def chromosome_lengths(chroms: np.ndarray, assembly: Assembly) -> np.ndarray:
    """Length in bp of each chromosome named, int64."""
    return np.array([assembly.chromosomes[chrom] for chrom in chroms], np.int64)


def _whole(text: str, rows: Rows, row: int, name: str) -> int:
    """A number that tools have written as 1000.0 or 1e3."""
    try:
        value = float(text)
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
    except ValueError:
        pass
    raise SchemaError(f"{rows.where(row)} has {text!r} as {name}, where a position in bp is needed.")


def read_rows(path: str | Path, kind: str, *, headed: bool = True) -> Rows:
    """Read a text file, plain or gzipped: comments, ``track`` and ``browser`` lines are passed over.

    Parameters
    ----------
    path
        The file.
    kind
        What it should be, with its article ("a BED file").
    headed
        Whether a line of column names may stand before the data (commented or not).

    Raises
    ------
    FileFormatError
        No such file, a directory, no text, truncated, or without any row.
    """
    require_file(path, kind)
    header: tuple[str, ...] = ()
    numbers: list[int] = []
    fields: list[list[str]] = []
    for number, line in enumerate(_lines(path, kind), 1):
        bare = line.lstrip("#").lstrip(" ")
        if not bare.strip() or line.startswith(("track ", "browser ", "track\t", "browser\t")):
            continue
        split = [part.strip() for part in bare.split("\t")] if "\t" in bare else bare.split()
        if line.startswith("#") or not fields:
            if headed and not header and _is_header(split):
                header = tuple(split)
                continue
            if line.startswith("#"):
                continue
        numbers.append(number)
        fields.append(split)
    if not fields:
        raise FileFormatError(f"{path}: holds no row; {kind} with at least one is needed.")
    return Rows(str(path), kind, header, tuple(numbers), tuple(fields))


def _lines(path: str | Path, kind: str) -> list[str]:
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with reading(str(path), kind):
            raw = gzip.decompress(Path(path).read_bytes()) if packed else Path(path).read_bytes()
    except zlib.error as error:
        raise FileFormatError(f"{path}: is a damaged gzip file ({error}); download it again.") from error
    if b"\0" in raw[:4096]:
        raise FileFormatError(f"{path}: is no text; {kind} is needed.")
    try:
        return raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: is no text ({error.reason}); {kind} is needed.") from error


def _is_header(split: list[str]) -> bool:
    return _HEADER.fullmatch(" ".join(split[:2])) is not None
