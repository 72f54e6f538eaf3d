"""The columns of every table chromweave reads or writes, and the guard that checks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from .errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BED",
    "BEDPE",
    "COMPARTMENTS",
    "INSULATION",
    "LOOPS",
    "NARROWPEAK",
    "RESULTS",
    "SWITCHES",
    "TSS",
    "WINDOWS",
    "WINDOW_SCORES",
    "Column",
    "Schema",
]

Kind = Literal["text", "integer", "number", "boolean"]


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, and whether a value may be missing."""

    name: str
    kind: Kind
    meaning: str
    optional: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Schema:
    """The columns of one kind of table.

    Parameters
    ----------
    name
        What the table is called in a message.
    columns
        Its columns, in order.
    intervals
        (start, end) column pairs that must satisfy 0 <= start < end.
    """

    name: str
    columns: tuple[Column, ...]
    intervals: tuple[tuple[str, str], ...] = field(default=())

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns every table of this kind has."""
        return tuple(column.name for column in self.columns if not column.optional)

    def check(self, table: pd.DataFrame, source: str) -> pd.DataFrame:
        """Return `table` if it fits; columns beyond the schema are allowed.

        Raises
        ------
        SchemaError
            A column is missing or of another kind, a value is missing, or an interval runs backwards;
            the message names `source` and the first offending row (counted from 1, header not counted).
        """
        missing = [name for name in self.required if name not in table.columns]
        if missing:
            raise SchemaError(
                f"{source}: a {self.name} table needs the column {', '.join(missing)}; "
                f"it has {', '.join(map(str, table.columns)) or 'none'}."
            )
        for column in self.columns:
            if column.name in table.columns:
                self._check_column(table[column.name], column, source)
        for start, end in self.intervals:
            self._check_interval(table, start, end, source)
        return table

    def _check_column(self, values: pd.Series, column: Column, source: str) -> None:
        kinds = {"text": "OUS", "integer": "iu", "number": "iuf", "boolean": "b"}[column.kind]
        dtype = values.dtype
        kind = dtype.kind if isinstance(dtype, np.dtype) else getattr(dtype, "kind", "O")
        if kind not in kinds and len(values):
            raise SchemaError(
                f"{source}: column {column.name} of a {self.name} table must be {column.kind} "
                f"({column.meaning}), not {dtype}."
            )
        if not column.nullable and values.isna().any():
            row = int(np.flatnonzero(values.isna().to_numpy())[0]) + 1
            raise SchemaError(f"{source}: row {row} has no value for {column.name} ({column.meaning}).")

    def _check_interval(self, table: pd.DataFrame, start: str, end: str, source: str) -> None:
        if start not in table.columns or end not in table.columns:
            return
        wrong = np.flatnonzero(((table[start] < 0) | (table[start] >= table[end])).to_numpy())
        if len(wrong):
            row = table.iloc[wrong[0]]
            raise SchemaError(
                f"{source}: row {wrong[0] + 1} has {start} = {row[start]:,} and {end} = {row[end]:,}; "
                f"0 <= {start} < {end} must hold ({len(wrong):,} such rows). Correct or drop them."
            )

    def order(self, table: pd.DataFrame) -> pd.DataFrame:
        """`table` with this schema's columns first, in its order."""
        known = [column.name for column in self.columns if column.name in table.columns]
        return table[[*known, *(name for name in table.columns if name not in known)]]


def _bp(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(Column(name, "integer", "bp, 0-based, half-open") for name in names)


BED = Schema("BED", (Column("chrom", "text", "chromosome"), *_bp(("start", "end"))), (("start", "end"),))

NARROWPEAK = Schema(
    "narrowPeak",
    (
        *BED.columns,
        Column("name", "text", "peak"),
        Column("score", "number", "0 to 1000"),
        Column("strand", "text", "+, - or ."),
        Column("signal", "number", "enrichment"),
        Column("pvalue", "number", "-log10 p, -1 where there is none"),
        Column("qvalue", "number", "-log10 q, -1 where there is none"),
        Column("peak", "integer", "summit, bp from start, -1 where there is none"),
    ),
    (("start", "end"),),
)

_PAIR = (
    Column("chrom1", "text", "chromosome of the first anchor"),
    *_bp(("start1", "end1")),
    Column("chrom2", "text", "chromosome of the second anchor"),
    *_bp(("start2", "end2")),
)

BEDPE = Schema(
    "BEDPE",
    (
        *_PAIR,
        Column("name", "text", "loop", optional=True),
        Column("score", "number", "as the file has it", optional=True, nullable=True),
    ),
    (("start1", "end1"), ("start2", "end2")),
)

LOOPS = Schema(
    "loop",
    (
        *_PAIR,
        Column("name", "text", "loop"),
        Column("score", "number", "the caller's score"),
        Column("strand1", "text", "."),
        Column("strand2", "text", "."),
        Column("probability", "number", "the model's, 0 to 1; missing without a model", nullable=True),
        Column("qvalue", "number", "least false discovery rate that takes it, if estimated", nullable=True),
        Column("observed", "number", "raw contacts of the centre pixel"),
        Column("expected", "number", "contacts expected at this distance and visibility"),
        Column("oe", "number", "observed / expected", nullable=True),
        Column("distance", "integer", "bp between the anchors' starts"),
        Column("cluster_size", "integer", "candidates merged into this loop"),
        Column("density", "number", "score density at the cluster's centre"),
    ),
    (("start1", "end1"), ("start2", "end2")),
)

TSS = Schema(
    "TSS",
    (
        Column("chrom", "text", "chromosome"),
        Column("tss", "integer", "bp, 0-based"),
        Column("name", "text", "gene"),
        Column("strand", "text", "+ or -", optional=True, nullable=True),
        Column("expression", "number", "as the file has it", optional=True, nullable=True),
    ),
)

WINDOWS = Schema(
    "window",
    (
        Column("chrom", "text", "chromosome"),
        Column("x", "integer", "start of the row anchor's bin, bp; x <= y"),
        Column("y", "integer", "start of the column anchor's bin, bp"),
        Column("label", "number", "1 loop, 0 no loop; missing where there is none", nullable=True),
        Column("split", "text", "train, valid or test"),
        Column("kind", "text", "loop, negative, tss or grid"),
        Column("name", "text", "gene or loop it was made for", optional=True, nullable=True),
    ),
)

WINDOW_SCORES = Schema(
    "window score",
    (
        *WINDOWS.columns[:3],
        Column("score", "number", "any order of windows, or a probability; missing for none", nullable=True),
    ),
)

COMPARTMENTS = Schema(
    "compartment",
    (
        *BED.columns,
        Column("E1", "number", "first eigenvector, phased; missing where masked", nullable=True),
        Column("compartment", "text", "A, B, or N where masked"),
        Column("confidence", "number", "probability of E1's sign, 0.5 to 1", optional=True, nullable=True),
    ),
    (("start", "end"),),
)

INSULATION = Schema(
    "insulation",
    (
        *BED.columns,
        Column("is_bad_bin", "boolean", "masked"),
        Column("log2_insulation_score", "number", "log2, relative to the chromosome's median", nullable=True),
        Column("boundary_strength", "number", "prominence of a minimum", nullable=True),
        Column("is_boundary", "boolean", "a minimum above the strength threshold"),
        Column("window", "integer", "side of the diamond, bp", optional=True),
    ),
    (("start", "end"),),
)

SWITCHES = Schema(
    "compartment switch",
    (
        Column("first", "text", "compartment in the first condition"),
        Column("second", "text", "compartment in the second condition"),
        Column("bins", "integer", "number of bins"),
        Column("expected", "number", "bins under circular shifts of the second condition"),
        Column("pvalue", "number", "of more bins than under the shifts"),
    ),
)

RESULTS = Schema(
    "result",
    (
        Column("task", "text", "what was to be predicted"),
        Column("method", "text", "what predicted it"),
        Column("metric", "text", "which number"),
        Column("stratum", "text", "which samples"),
        Column("value", "number", "the metric; missing where it is not defined", nullable=True),
        Column("low", "number", "lower end of the interval", nullable=True),
        Column("high", "number", "upper end of the interval", nullable=True),
        Column("n", "integer", "samples"),
        Column("seed", "integer", "of the run; missing for a method without one", nullable=True),
    ),
)
