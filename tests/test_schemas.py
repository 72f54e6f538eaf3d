"""Guards that raise."""

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import SchemaError
from chromweave.schemas import BED, WINDOWS


def bed(**columns):
    return pd.DataFrame({"chrom": ["chr1", "chr1"], "start": [0, 10], "end": [10, 20]} | columns)


def test_a_fitting_table_comes_back_itself():
    table = bed(extra=[1, 2])
    assert BED.check(table, "x.bed") is table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (bed().drop(columns="end"), r"x\.bed: a BED table needs the column end; it has chrom, start"),
        (bed(start=["a", "b"]), "start .* must be integer"),
        (bed(start=[0.0, 10.0]), "start .* must be integer"),
        (bed(chrom=["chr1", None]), "row 2 has no value for chrom"),
        (bed(start=[0, 25]), "row 2 has start = 25 and end = 20"),
        (bed(start=[-1, 10]), "row 1 has start = -1"),
        (bed(end=[0, 20]), "row 1 has start = 0 and end = 0"),
    ],
)
def test_failing_tables(table, message):
    with pytest.raises(SchemaError, match=message):
        BED.check(table, "x.bed")


def test_nullable_and_optional_columns():
    table = pd.DataFrame(
        {"chrom": ["chr1"], "x": [0], "y": [5000], "label": [np.nan], "split": ["train"], "kind": ["grid"]}
    )
    WINDOWS.check(table, "w")
    with pytest.raises(SchemaError, match="needs the column label"):
        WINDOWS.check(table.drop(columns="label"), "w")


def test_order_puts_the_schema_first():
    assert list(BED.order(bed(extra=[1, 2])[["extra", "end", "chrom", "start"]]).columns) == [
        "chrom",
        "start",
        "end",
        "extra",
    ]


def test_empty_table_fits():
    BED.check(bed().iloc[:0], "x.bed")
