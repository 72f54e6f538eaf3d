import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.bin_annotations import on_bins, widest_label
from chromweave.errors import DataError


def bins(n=4, chrom="chr1", width=10):
    start = np.arange(n) * width
    return pd.DataFrame({"chrom": chrom, "start": start, "end": start + width})


def intervals(*rows):
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])


def test_rows_come_in_the_order_of_the_bins():
    table = bins().assign(E1=[0.0, 1.0, 2.0, 3.0]).iloc[[3, 1, 0]]
    assert on_bins(bins(), table, "t")["E1"].tolist()[:2] == [0.0, 1.0]
    assert np.isnan(on_bins(bins(), table, "t")["E1"][2])


def test_another_resolution():
    with pytest.raises(DataError, match=r"t\.tsv: has none of the embedding's bins"):
        on_bins(bins(), bins(width=20), "t.tsv")


def test_a_bin_twice():
    with pytest.raises(DataError, match=r"t\.tsv: has a bin twice"):
        on_bins(bins(), pd.concat([bins(), bins()]), "t.tsv")


def test_the_widest_name_wins_if_it_is_half():
    # Bin 0: A1 6, B1 4. Bin 1: B1 3 and 3 in two pieces, A1 4. Bin 2: 4 of 10 only. Bin 3: exactly 5.
    found = widest_label(
        bins(),
        intervals(
            ("chr1", 0, 6, "A1"), ("chr1", 6, 13, "B1"), ("chr1", 13, 17, "A1"), ("chr1", 17, 20, "B1"),
            ("chr1", 20, 24, "A1"), ("chr1", 35, 40, "A2"), ("chr2", 0, 40, "B4"),
        ),
    )  # fmt: skip
    assert found.tolist() == ["A1", "B1", "N", "A2"]


def test_intervals_that_span_many_bins_and_names_that_are_none():
    found = widest_label(bins(5), intervals(("chr1", 5, 45, "NA"), ("chr1", 12, 38, "A1")))
    assert found.tolist() == ["N", "A1", "A1", "A1", "N"]


def test_levels_of_dotted_names():
    names = intervals(("chr1", 0, 10, "A.1.2.2"), ("chr1", 10, 20, "A.1.1"), ("chr1", 20, 30, "B.2"))
    assert widest_label(bins(), names, levels=2).tolist() == ["A.1", "A.1", "B.2", "N"]
    assert widest_label(bins(), names, levels=1).tolist() == ["A", "A", "B", "N"]
    assert widest_label(bins(), names).tolist() == ["A.1.2.2", "A.1.1", "B.2", "N"]


def test_two_chromosomes():
    both = pd.concat([bins(2), bins(2, "chr2")], ignore_index=True)
    found = widest_label(both, intervals(("chr2", 0, 10, "A1"), ("chr1", 10, 20, "B1")))
    assert found.tolist() == ["N", "B1", "A1", "N"]


def test_nothing_is_named():
    assert widest_label(bins(), intervals(("chr1", 0, 40, "."))).tolist() == ["N"] * 4
    with pytest.raises(DataError, match="have no names"):
        widest_label(bins(), intervals().drop(columns="name"))


def test_too_many_names():
    many = intervals(*(("chr1", k, k + 1, f"A.{k}") for k in range(21)))
    with pytest.raises(DataError, match="have 21 names; keep fewer parts"):
        widest_label(bins(), many)
    assert widest_label(bins(), many, levels=1).tolist() == ["A", "A", "N", "N"]
