"""A list of pairs of anchors as its file has it, line by line, whatever assembly or map it is laid on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SchemaError
from ..genome import Assembly
from ..io.export import write_table
from ..io.text import Rows, read_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PairList", "write_pairs"]

_COORDINATES = ("chrom1", "start1", "end1", "chrom2", "start2", "end2")
_FURTHER = ("name", "score", "strand1", "strand2")  # of BEDPE, where the file has no header


@dataclass(frozen=True)
class PairList:
    """Pairs of anchors in their file's order, none left out; arrays have one value for each pair.

    Parameters
    ----------
    rows
        The lines.
    chrom1, chrom2
        Names in the assembly, object; a chromosome that it does not have keeps its own.
    start1, end1, start2, end2
        bp, int64.
    """

    rows: Rows
    chrom1: np.ndarray
    chrom2: np.ndarray
    start1: np.ndarray
    end1: np.ndarray
    start2: np.ndarray
    end2: np.ndarray

    @classmethod
    def read(cls, path: str | Path, assembly: Assembly) -> PairList:
        """Read BEDPE, or Juicebox' and HiCCUPS' lists, plain or gzipped.

        Raises
        ------
        SchemaError
            A line has too few columns, a coordinate that is no number, or start >= end.
        FileFormatError
            The file cannot be read.
        """
        rows = read_rows(path, "a list of pairs (BEDPE or Juicebox)")
        rows.require_columns(6, "two chromosomes, starts and ends")
        found: dict[str, np.ndarray] = {}
        for side, first in (("1", 0), ("2", 3)):
            found[f"chrom{side}"] = _names(rows.text(first), assembly)
            start, end = (rows.integers(first + k, f"{name}{side}") for k, name in ((1, "start"), (2, "end")))
            _require_forward(rows, start, end)
            found |= {f"start{side}": start, f"end{side}": end}
        return cls(rows, **found)

    def __len__(self) -> int:
        return len(self.rows)

    def middles(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Midpoints of the anchors of some pairs, bp, the smaller one first, int64 (2, rows).

        Ends beyond a chromosome of `length` bp are cut there; a midpoint lies beyond it only if the anchor
        begins there.
        """
        starts = np.stack([self.start1[rows], self.start2[rows]])
        ends = np.stack([self.end1[rows], self.end2[rows]])
        return np.sort((starts + np.maximum(np.minimum(ends, length), starts)) // 2, axis=0)

    def known(self, assembly: Assembly) -> pd.DataFrame:
        """Columns chrom1 to end2 of `schemas.BEDPE`, of the pairs on chromosomes that the assembly has."""
        import pandas as pd

        table = pd.DataFrame({name: getattr(self, name) for name in _COORDINATES})
        return table[table["chrom1"].isin(assembly.chromosomes) & table["chrom2"].isin(assembly.chromosomes)]

    def table(self, without: Collection[str] = ()) -> pd.DataFrame:
        """All columns as text, as the file has them, but for those named in `without`."""
        import pandas as pd

        widest = max(map(len, self.rows.fields))
        further = self.rows.header[6:] if self.rows.header else _FURTHER
        if not self.rows.header and widest == 7 and self.rows.numbers_of(6) is not None:
            further = ("score",)
        names = [*_COORDINATES, *further[: widest - 6]]
        names += [f"column{i + 1}" for i in range(len(names), widest)]
        return pd.DataFrame({name: self.rows.text(i) for i, name in enumerate(names) if name not in without})


def _names(given: np.ndarray, assembly: Assembly) -> np.ndarray:
    known = {name: assembly.canonical(name) or name for name in set(given.tolist())}
    return np.array([known[name] for name in given], object)


def _require_forward(rows: Rows, start: np.ndarray, end: np.ndarray) -> None:
    wrong = np.flatnonzero((start < 0) | (start >= end))
    if len(wrong):
        row = int(wrong[0])
        raise SchemaError(
            f"{rows.where(row)} has start {start[row]:,} and end {end[row]:,}; 0 <= start < end must hold "
            f"({len(wrong):,} such lines). Correct or drop them."
        )


def write_pairs(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table of pairs as BEDPE with a header, in its order; numbers with six digits, "." for missing.

    Parameters
    ----------
    path
        The file, written whole or not at all.
    table
        Columns as of :meth:`PairList.table`, and any of numbers or text.
    """
    shown = table.copy()
    for name in shown.columns:
        shown[name] = [_cell(value) for value in shown[name]]
    write_table(path, shown.rename(columns={"chrom1": "#chrom1"}))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "." if np.isnan(value) else f"{value:.6g}"
    return str(value) or "."
