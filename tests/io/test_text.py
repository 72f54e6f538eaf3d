import gzip

import numpy as np
import pytest

from chromweave.errors import AssemblyError, FileFormatError, SchemaError
from chromweave.genome import Assembly
from chromweave.io.text import chromosome_lengths, read_rows

TOY = Assembly("toy", {"chr1": 950_000, "chr2": 500_000})


def rows(path, text, **options):
    path.write_text(text)
    return read_rows(path, "a BED file", **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.bed"


def test_rows_remember_their_lines(path):
    found = rows(path, "track name=x\n#a comment\n\nbrowser position\nchr1\t1\t2\n\n#more\nchr2\t3\t\n")
    assert found.fields == (["chr1", "1", "2"], ["chr2", "3", ""])
    assert found.numbers == (5, 8)
    assert found.where(1) == f"{path}: line 8"
    assert found.header == ()


@pytest.mark.parametrize(
    "line", ["#chrom\tstart\tend", "chrom\tstart\tend", "chr x1 x2", "# chr1\tx1\tx2", "CHR\tTSS\tNAME"]
)
def test_headers(path, line):
    found = rows(path, f"{line}\nchr1\t1\t2\n")
    assert found.header == tuple(line.lstrip("# ").split())
    assert found.numbers == (2,)


def test_a_bad_first_line_is_no_header(path):
    assert rows(path, "chr1\tabc\t100\n").header == ()
    assert len(rows(path, "chrom\tstart\nchr1\t1\n", headed=False)) == 2


def test_spaces_and_windows_line_ends(path):
    assert rows(path, "chr1 10  20\r\nchr2 5 6\r\n").fields == (["chr1", "10", "20"], ["chr2", "5", "6"])


def test_gzip_under_any_name(path):
    path.write_bytes(gzip.compress(b"chr1\t1\t2\n"))
    assert read_rows(path, "a BED file").fields == (["chr1", "1", "2"],)


def test_what_is_no_text(path):
    whole = gzip.compress(b"chr1\t1\t2\n" * 1000)
    for content, said in (
        (whole[: len(whole) // 2], "truncated"),
        (whole[:20] + b"\xff" * 5 + whole[25:], "damaged"),
        (b"chr1\0\t1", "is no text"),
        (b"chr1\t\xff\xfe", "is no text"),
        (b"", "is empty"),
        (b"# only a comment\n", "holds no row"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=said):
            read_rows(path, "a BED file")
    for wrong, said in ((path.parent, "is a directory"), (path.parent / "none", "no such file")):
        with pytest.raises(FileFormatError, match=said):
            read_rows(wrong, "a BED file")


def test_too_few_columns(path):
    with pytest.raises(SchemaError, match="line 2 has 2 columns; a BED file needs at least 3"):
        rows(path, "chr1\t1\t2\nchr1\t1\n").require_columns(3, "chrom, start, end")


def test_whole_numbers(path):
    found = rows(path, "chr1\t1000.0\nchr1\t2e3\nchr1\t7\n")
    assert found.integers(1, "start").tolist() == [1000, 2000, 7]
    for bad in ("x", "1.5", "1,000", "", "nan", "9" * 30):
        with pytest.raises(SchemaError, match=r"line 2 has .* as start"):
            rows(path, f"chr1\t7\nchr1\t{bad}\t\n").integers(1, "start")


def test_numbers(path):
    found = rows(path, "a\t1.5\tx\na\t.\t1\na\tNA\n")
    assert np.array_equal(found.numbers_of(1), [1.5, np.nan, np.nan], equal_nan=True)
    assert found.numbers_of(2) is None


def test_unknown_chromosomes_are_announced(path, heard):
    found = rows(path, "1\t1\nchrUn_1\t1\nchr2\t1\nchrUn_2\t1\n")
    assert found.known([found.text(0)], TOY).tolist() == [True, False, True, False]
    assert len(heard) == 1
    assert "2 of 4 lines left out" in heard[0]
    assert "chrUn_1, chrUn_2" in heard[0]
    assert str(path) in heard[0]


def test_all_chromosomes_unknown(path, heard):
    found = rows(path, "chrV\t1\nchrIV\t1\n")
    with pytest.raises(AssemblyError, match="no line is on a chromosome of toy; the file has chrIV, chrV"):
        found.known([found.text(0)], TOY)
    assert heard == []


def fit(path, *intervals):
    found = rows(path, "".join("\t".join(map(str, i)) + "\n" for i in intervals))
    return found.fit_inside(found.text(0), found.integers(1, "start"), found.integers(2, "end"), TOY)


def test_intervals_inside(path, heard):
    assert fit(path, ("chr1", 0, 950_000), ("chr2", 499_999, 500_000)).tolist() == [950_000, 500_000]
    assert heard == []


@pytest.mark.parametrize("interval", [("chr1", 5, 5), ("chr1", 9, 3), ("chr1", -1, 3)])
def test_intervals_that_run_backwards(path, interval):
    with pytest.raises(SchemaError, match=r"line 2 has start .* 0 <= start < end must hold \(1 such"):
        fit(path, ("chr1", 1, 2), interval)


@pytest.mark.parametrize(
    "intervals",
    [
        [("chr1", 1, 2), ("chr1", 949_999, 950_001)],  # one base too far, and on no grid
        [("chr1", 0, 100_000), ("chr1", 900_000, 1_100_000)],  # on a grid of 100 kb, but two steps too far
        [("chr1", 0, 100_000), ("chr1", 1_000_000, 1_100_000)],  # begins beyond the end
        [("chr1", 0, 2_000_000)],  # one interval alone makes no grid of 1 Mb or less
    ],
)
def test_intervals_beyond_the_end(path, intervals):
    with pytest.raises(AssemblyError, match=r"beyond chr1, which is 950,000 bp long in toy"):
        fit(path, *intervals)


def test_a_last_bin_that_stands_out_is_cut(path, heard):
    assert fit(path, ("chr1", 0, 100_000), ("chr1", 900_000, 1_000_000)).tolist() == [100_000, 950_000]
    assert "1 intervals cut" in heard[0]
    assert "100,000 bp" in heard[0]


def test_lengths():
    assert chromosome_lengths(np.array(["chr2", "chr1"], object), TOY).tolist() == [500_000, 950_000]
