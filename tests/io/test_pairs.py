import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import AssemblyError, ConfigError, DataError, FileFormatError, OutputError, SchemaError
from chromweave.genome import Assembly
from chromweave.io.pairs import read_bedpe, write_bedpe
from chromweave.schemas import BEDPE

HG19, HG38 = Assembly.named("hg19"), Assembly.named("hg38")
COORDINATES = ["chrom1", "start1", "end1", "chrom2", "start2", "end2"]


@pytest.fixture
def read(tmp_path):
    def read(text, assembly=HG38):
        path = tmp_path / "a.bedpe"
        path.write_text(text)
        return read_bedpe(path, assembly)

    return read


def coordinates(table):
    return [tuple(row) for row in table[COORDINATES].itertuples(index=False)]


FIRST = ("chr1", 1000, 2000, "chr1", 5000, 6000)
SECOND = ("chr22", 20_000_000, 20_005_000, "chr22", 20_100_000, 20_105_000)

DIALECTS = {
    "six columns": "chr1\t1000\t2000\tchr1\t5000\t6000\n"
    "chr22\t20000000\t20005000\tchr22\t20100000\t20105000\n",
    "seven columns": "chr1\t1000\t2000\tchr1\t5000\t6000\t9\n"
    "chr22\t20000000\t20005000\tchr22\t20100000\t20105000\t12\n",
    "BEDPE": "#chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tname\tscore\tstrand1\tstrand2\n"
    "chr1\t1000\t2000\tchr1\t5000\t6000\ta\t9\t.\t.\n"
    "chr22\t20000000\t20005000\tchr22\t20100000\t20105000\tb\t12\t.\t.\n",
    "HiCCUPS, old": "chr1\tx1\tx2\tchr2\ty1\ty2\tcolor\to\n"
    "1\t1000\t2000\t1\t5000\t6000\t0,255,255\t95\n"
    "22\t20000000\t20005000\t22\t20100000\t20105000\t0,255,255\t56\n",
    "HiCCUPS, new": "#chr1\tx1\tx2\tchr2\ty1\ty2\tname\tscore\tstrand1\tstrand2\tcolor\tobserved\n"
    "# juicer_tools version 1.22.01\n"
    "1\t1000\t2000\t1\t5000\t6000\t.\t.\t.\t.\t0,255,255\t95.0\n"
    "22\t20000000\t20005000\t22\t20100000\t20105000\t.\t.\t.\t.\t0,255,255\t56.0\n",
    "washU": "chr1:1000-2000\tchr1:5000-6000\t9\nchr22:20000000-20005000\tchr22:20100000-20105000\t12\n",
    "washU longrange": "chr1\t1000\t2000\tchr1:5000-6000,9\n"
    "chr22\t20000000\t20005000\tchr22:20100000-20105000,12\n",
    "anchors exchanged": "chr1\t5000\t6000\tchr1\t1000\t2000\n"
    "22\t20100000\t20105000\tchr22\t20000000\t20005000\n",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(read, dialect):
    table = read(DIALECTS[dialect])
    assert coordinates(table) == [FIRST, SECOND]
    assert list(table.columns[:6]) == COORDINATES
    assert table["start1"].dtype == np.int64
    if dialect in ("seven columns", "BEDPE", "washU", "washU longrange"):
        assert table["score"].tolist() == [9, 12]
    if dialect == "HiCCUPS, new":
        assert table["observed"].tolist() == [95, 56]
        assert table["score"].isna().all()
    if dialect == "HiCCUPS, old":
        assert table["o"].tolist() == [95, 56]
        assert "score" not in table


def test_seventh_column_that_is_no_number_is_a_name(read):
    assert read("chr1\t1\t2\tchr1\t5\t6\tloop1\n")["name"].tolist() == ["loop1"]


def test_what_belongs_to_an_anchor_changes_place_with_it(read):
    table = read("chr1\t5000\t6000\tchr1\t1000\t2000\tx\t3\t+\t-\nchr1\t10\t20\tchr1\t30\t40\ty\t4\t+\t-\n")
    assert table["strand1"].tolist() == ["-", "+"]
    assert table["strand2"].tolist() == ["+", "-"]


def test_equal_starts_are_ordered_by_end(read):
    assert coordinates(read("chr1\t10\t90\tchr1\t10\t20\n")) == [("chr1", 10, 20, "chr1", 10, 90)]


def test_trans_pairs_are_left_out_and_counted(read, heard):
    table = read("chr1\t1\t2\tchr2\t5\t6\nchr1\t1\t2\t1\t5\t6\nchr3\t1\t2\tchr4\t5\t6\n")
    assert len(table) == 1
    assert "2 of 3 pairs left out, which lie between two chromosomes" in heard[0]


def test_only_trans_pairs(read):
    with pytest.raises(DataError, match="every pair lies between two chromosomes"):
        read("chr1\t1\t2\tchr2\t5\t6\n")


def test_unknown_chromosomes(read, heard):
    assert len(read("chr1\t1\t2\tchr1\t5\t6\nchrUn\t1\t2\tchrUn\t5\t6\nchr1\t1\t2\tchrUn\t5\t6\n")) == 1
    assert "2 of 3 lines left out" in heard[0]
    with pytest.raises(AssemblyError, match="no line is on a chromosome of hg38"):
        read("chrUn\t1\t2\tchrUn\t5\t6\n")


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("chr1\t20\t10\tchr1\t50\t60", SchemaError, "line 2 has start 20 and end 10"),
        ("chr1\t10\t20\tchr1\t60\t60", SchemaError, "line 2 has start 60 and end 60"),
        ("chr1\t10\t20\tchr1\tx\t60", SchemaError, "line 2 has 'x' as start2"),
        ("chr1\t10\t20\tchr1\t50", SchemaError, "line 2 has 5 columns; .* at least 6"),
        ("chr1\t10\t20\tchr1\t50\t248956423", AssemblyError, "line 2 ends at 248,956,423, beyond chr1"),
    ],
)
def test_bad_lines_are_named(read, line, kind, said):
    with pytest.raises(kind, match=said):
        read(f"chr1\t1\t2\tchr1\t5\t6\n{line}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chr1:1-2\tchr1:5-6\t1\nchr1:1-2\tchr1-5-6\t1\n", "line 2 is not two regions"),
        ("chr1\t1\t2\tchr1:5-6,1\nchr1\t1\t2\tchr1\n", "line 2 is no region followed by"),
    ],
)
def test_bad_washu_lines(read, text, said):
    with pytest.raises(SchemaError, match=said):
        read(text)


def test_no_rows(read):
    with pytest.raises(FileFormatError, match="holds no row"):
        read("#chr1\tx1\tx2\tchr2\ty1\ty2\n")


# -- out ------------------------------------------------------------------------------------------------


@pytest.fixture
def loops():
    return pd.DataFrame(
        {
            "chrom1": ["chr10", "chr2", "chr2", "chrX"],
            "start1": [100, 5000, 900, 7],
            "end1": [200, 6000, 1000, 8],
            "chrom2": ["chr10", "chr2", "chr2", "chrX"],
            "start2": [300, 1000, 2000, 70],
            "end2": [400, 2000, 3000, 80],
            "name": ["a", "b", "c", "d"],
            "score": [1.5, np.nan, 0.125, 3.0],
            "probability": [0.5, 0.25, 0.75, 1 / 3],
        }
    )


def test_bedpe_by_hand(tmp_path, loops):
    write_bedpe(tmp_path / "a.bedpe", loops)
    assert (tmp_path / "a.bedpe").read_text().splitlines() == [
        "#chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tname\tscore\tstrand1\tstrand2\tprobability",
        "chr2\t900\t1000\tchr2\t2000\t3000\tc\t0.125\t.\t.\t0.75",
        "chr2\t1000\t2000\tchr2\t5000\t6000\tb\t.\t.\t.\t0.25",
        "chr10\t100\t200\tchr10\t300\t400\ta\t1.5\t.\t.\t0.5",
        "chrX\t7\t8\tchrX\t70\t80\td\t3\t.\t.\t0.33333333",
    ]


def test_juicebox_by_hand(tmp_path, loops):
    write_bedpe(tmp_path / "a.bedpe", loops.iloc[:1], style="juicebox")
    assert (tmp_path / "a.bedpe").read_text().splitlines() == [
        "#chr1\tx1\tx2\tchr2\ty1\ty2\tname\tscore\tstrand1\tstrand2\tcolor\tprobability",
        "chr10\t100\t200\tchr10\t300\t400\ta\t1.5\t.\t.\t0,255,255\t0.5",
    ]


def test_a_color_of_its_own(tmp_path, loops):
    write_bedpe(tmp_path / "a.bedpe", loops.assign(color="255,0,0"), style="juicebox")
    lines = (tmp_path / "a.bedpe").read_text().splitlines()
    assert [line.split("\t")[10] for line in lines] == ["color", *["255,0,0"] * 4]


@pytest.mark.parametrize("style", ["bedpe", "juicebox"])
@pytest.mark.parametrize("suffix", ["bedpe", "bedpe.gz"])
def test_round_trip(tmp_path, loops, style, suffix):
    path = tmp_path / f"a.{suffix}"
    write_bedpe(path, loops, style)
    again = read_bedpe(path, HG38)
    assert again["name"].tolist() == ["c", "b", "a", "d"]
    assert coordinates(again)[1] == ("chr2", 1000, 2000, "chr2", 5000, 6000)  # anchors put in order
    assert np.allclose(again["score"], [0.125, np.nan, 1.5, 3], equal_nan=True)
    assert np.allclose(again["probability"], [0.75, 0.25, 0.5, 1 / 3])
    before = path.read_bytes()
    write_bedpe(path, again, style)
    assert path.read_bytes() == before


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chr1", "chr2", "chrX"]),
            *[st.integers(0, 10**6)] * 2,
            *[st.integers(1, 10**4)] * 2,
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_pairs_survive_a_round_trip(tmp_path_factory, pairs):
    table = pd.DataFrame([(c, a, a + la, c, b, b + lb) for c, a, b, la, lb in pairs], columns=COORDINATES)
    path = tmp_path_factory.mktemp("pairs") / "a.bedpe"
    write_bedpe(path, table)
    expected = sorted(
        (c, *min((a, a + la), (b, b + lb)), c, *max((a, a + la), (b, b + lb))) for c, a, b, la, lb in pairs
    )
    assert sorted(coordinates(read_bedpe(path, HG38))) == expected


def test_bioframe_reads_it(tmp_path, loops):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bioframe's own imports
        import bioframe

    path = str(tmp_path / "a.bedpe")
    write_bedpe(path, loops.drop(columns="probability"))
    table = bioframe.read_table(path, schema="bedpe", comment="#")
    assert bioframe.is_bedframe(table, cols=("chrom1", "start1", "end1"))
    assert coordinates(table) == coordinates(read_bedpe(path, HG38))
    write_bedpe(path, loops)  # further columns: by the header
    table = bioframe.read_table(path, header=0).rename(columns={"#chrom1": "chrom1"})
    assert coordinates(table) == coordinates(read_bedpe(path, HG38))
    assert table["probability"].tolist() == pytest.approx([0.75, 0.25, 0.5, 1 / 3])


def test_refusals(tmp_path, loops):
    with pytest.raises(ConfigError, match="bedpe or juicebox"):
        write_bedpe(tmp_path / "a.bedpe", loops, style="hiccups")
    with pytest.raises(SchemaError, match="needs the column end2"):
        write_bedpe(tmp_path / "a.bedpe", loops.drop(columns="end2"))
    with pytest.raises(OutputError, match="is a directory"):
        write_bedpe(tmp_path, loops)
    assert list(tmp_path.iterdir()) == []


# -- real lists -----------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "assembly", "rows", "first"),
    [
        (
            "k562_chr22_hg38/K562.RAD21_ChIA-PET.washu.txt",
            HG38,
            27_002,
            ("chr2", 26959367, 26964875, "chr2", 27014062, 27017233),
        ),
        (
            "k562_chr22_hg38/K562.CTCF_ChIA-PET.bedpe",
            HG38,
            7962,
            ("chr10", 509969, 512328, "chr10", 788206, 790343),
        ),
        (
            "truth_hg19/GM12878/GSE63525_GM12878_primary+replicate_HiCCUPS_looplist_with_motifs.txt.gz",
            HG19,
            9448,
            ("chr10", 100225000, 100230000, "chr10", 100420000, 100425000),
        ),
        (
            "truth_hg19/IMR90/GSE63525_IMR90_HiCCUPS_looplist.txt.gz",
            HG19,
            8040,
            ("chr10", 100000000, 100010000, "chr10", 100060000, 100070000),
        ),
    ],
)
def test_published_lists(real_data, name, assembly, rows, first):
    table = read_bedpe(real_data / name, assembly)
    assert len(table) == rows
    assert coordinates(table)[0] == first
    BEDPE.check(table, name)
    assert (table["start1"] <= table["start2"]).all()


def test_gzip_out_is_the_same_each_time(tmp_path, loops):
    for name in ("a.bedpe.gz", "b.bedpe.gz"):
        write_bedpe(tmp_path / name, loops)
    assert (tmp_path / "a.bedpe.gz").read_bytes() == (tmp_path / "b.bedpe.gz").read_bytes()
    with gzip.open(tmp_path / "a.bedpe.gz", "rt") as file:
        assert file.readline().startswith("#chrom1")
