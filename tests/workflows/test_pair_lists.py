import gzip

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import FileFormatError, SchemaError
from chromweave.genome import Assembly
from chromweave.workflows.pair_lists import PairList, write_pairs

PLACES = Assembly("places", {"chr1": 1_000_000, "chr2": 500_000})
LINES = (
    "1\t100\t300\tchr1\t5000\t6000\ta\t3\n"
    "chr1\t9000\t9001\tchr1\t100\t300\tb\t4\textra\n"
    "chrUn\t5\t9\tchr2\t5\t2000000\tc\n"
)


def read(path, text):
    path.write_text(text)
    return PairList.read(path, PLACES)


def test_no_line_is_left_out(tmp_path):
    found = read(tmp_path / "a.bedpe", LINES)
    assert len(found) == 3
    assert found.chrom1.tolist() == ["chr1", "chr1", "chrUn"]
    assert found.chrom2.tolist() == ["chr1", "chr1", "chr2"]
    assert found.start2.tolist() == [5000, 100, 5]
    assert found.middles(np.array([0, 1]), 1_000_000).tolist() == [[200, 200], [5500, 9000]]
    assert found.middles(np.array([1, 2]), 5800).tolist() == [[200, 7], [9000, 2902]]  # both ends cut
    known = found.known(PLACES)
    assert known[["chrom1", "start1", "end1", "chrom2", "start2", "end2"]].to_numpy().tolist() == [
        ["chr1", 100, 300, "chr1", 5000, 6000],
        ["chr1", 9000, 9001, "chr1", 100, 300],
    ]


def test_the_table_is_the_files_own_text(tmp_path):
    table = read(tmp_path / "a.bedpe", LINES).table(without=["score"])
    assert list(table)[6:] == ["name", "strand1"]
    assert table["chrom1"].tolist() == ["1", "chr1", "chrUn"]
    assert table["strand1"].tolist() == ["", "extra", ""]
    header = "#chr1\tx1\tx2\tchr2\ty1\ty2\tcolor\n"
    named = read(tmp_path / "b.bedpe", header + "1\t1\t2\t1\t7\t9\tred\tmore\n").table()
    assert list(named) == ["chrom1", "start1", "end1", "chrom2", "start2", "end2", "color", "column8"]


@pytest.mark.parametrize(("value", "name"), [("7", "score"), (".", "score"), ("x", "name")])
def test_a_seventh_column_is_a_score_if_it_is_a_number(tmp_path, value, name):
    table = read(tmp_path / "a.bedpe", f"chr1\t1\t2\tchr1\t7\t9\t{value}\n").table()
    assert (list(table)[6:], table[name].item()) == ([name], value)


def test_what_is_written_is_read_again(tmp_path):
    pairs = read(tmp_path / "a.bedpe", LINES)
    values = np.array([1 / 3, np.nan, 1_000_000.0])
    table = pairs.table().assign(value=values, n=[1, 2, 3], why=["", "because", ""])
    write_pairs(tmp_path / "out.bedpe", table)
    lines = (tmp_path / "out.bedpe").read_text().splitlines()
    assert lines[0].startswith("#chrom1\tstart1\tend1\tchrom2")
    assert lines[1].split("\t")[-3:] == ["0.333333", "1", "."]
    assert lines[2].split("\t")[-3:] == [".", "2", "because"]
    again = PairList.read(tmp_path / "out.bedpe", PLACES)
    pd.testing.assert_frame_equal(again.table(without=["value", "n", "why"]), pairs.table().replace("", "."))


def test_gzipped(tmp_path):
    (tmp_path / "a.bedpe.gz").write_bytes(gzip.compress(LINES.encode()))
    assert len(PairList.read(tmp_path / "a.bedpe.gz", PLACES)) == 3


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("chr1\t1\t2\n", SchemaError, "line 1 has 3 columns"),
        ("chr1\t9\t9\tchr1\t1\t2\n", SchemaError, "line 1 has start 9 and end 9"),
        ("chr1\t1\t2\tchr1\t-4\t2\n", SchemaError, "line 1 has start -4 and end 2"),
        ("chr1\t1\t2\tchr1\tx\t2\n", SchemaError, "'x' as start2"),
        ("", FileFormatError, "is empty"),
    ],
)
def test_what_is_no_pair(tmp_path, line, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path / "a.bedpe", line)
