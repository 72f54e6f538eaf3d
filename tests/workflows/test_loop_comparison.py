"""Two lists of loops: what both have, whether they agree on the best, and what is written."""

import gzip
import json

import pandas as pd
import pytest
from scipy.stats import spearmanr

from chromweave.errors import AssemblyError, ConfigError, FileFormatError
from chromweave.files import sha256
from chromweave.genome import Assembly
from chromweave.io.pairs import read_bedpe
from chromweave.workflows.loop_comparison import compare_loops
from tests.fakes_loops import loop_store

PLACES = Assembly("places", {"chr1": 4_000_000, "chr2": 4_000_000})
FIRST = [
    ("chr1", 0, 100_000, "a", 9.0),
    ("chr1", 200_000, 300_000, "b", 8.0),
    ("chr1", 500_000, 700_000, "c", 2.0),
    ("chr1", 900_000, 990_000, "d", 5.0),
    ("chr2", 0, 100_000, "e", 7.0),
]
SECOND = [
    ("chr1", 505_000, 690_000, 0.30),  # c
    ("chr1", 5000, 100_000, 0.01),  # a
    ("chr1", 200_000, 310_000, 0.02),  # b
    ("chr1", 200_000, 320_000, 0.02),  # four bins from b
    ("chr1", 885_000, 990_000, 0.04),  # three bins from d
]
SCORED, WITH_Q = ("name", "score"), ("qvalue",)


def bedpe(path, rows, header=(), width=5000):
    rows = [(chrom, x, x + width, chrom, y, y + width, *more[: len(header)]) for chrom, x, y, *more in rows]
    names = ["#chrom1", "start1", "end1", "chrom2", "start2", "end2", *header]
    text = "".join("\t".join(map(str, row)) + "\n" for row in [names, *rows])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def lists(tmp_path):
    return bedpe(tmp_path / "A.v1.bedpe", FIRST, SCORED), bedpe(tmp_path / "B.bedpe.gz", SECOND, WITH_Q)


def test_what_both_have_and_what_one_has(lists):
    found = compare_loops(*lists, assembly=PLACES)
    assert found.names == ("A.v1", "B")
    assert (found.resolution, found.both) == (5000, 3)
    assert found.loops == {"A.v1": 5, "B": 5}
    assert found.only_in == {"A.v1": 2, "B": 2}
    assert found.jaccard == 3 / 7
    assert found.ranked_by == {"A.v1": "score", "B": "qvalue"}
    # a, b and c: 9, 8, 2 and, lower is better, 0.01, 0.02, 0.30
    assert found.spearman == pytest.approx(-spearmanr([9, 8, 2], [0.01, 0.02, 0.3]).statistic)
    assert found.spearman == pytest.approx(1)
    wider = compare_loops(*lists, assembly=PLACES, tolerance_bins=3)
    assert wider.both == 4
    assert wider.spearman == pytest.approx(-spearmanr([9, 8, 2, 5], [0.01, 0.02, 0.3, 0.04]).statistic)


def test_every_loop_stands_once_with_where_it_was_found(lists, tmp_path):
    out = tmp_path / "out" / "all.bedpe"
    found = compare_loops(*lists, assembly=PLACES, out=out)
    table = read_bedpe(out, PLACES)
    assert list(table)[6:] == ["name", "score", "strand1", "strand2", "found_in", "score_A.v1", "qvalue_B"]
    table = table.set_index(["chrom1", "start1", "start2"])
    assert table["found_in"].to_dict() == {
        ("chr1", 0, 100_000): "both",
        ("chr1", 200_000, 300_000): "both",
        ("chr1", 500_000, 700_000): "both",
        ("chr1", 900_000, 990_000): "A.v1",
        ("chr2", 0, 100_000): "A.v1",
        ("chr1", 200_000, 320_000): "B",
        ("chr1", 885_000, 990_000): "B",
    }
    both, alone, other = (
        table.loc[("chr1", *place)] for place in ((0, 100_000), (900_000, 990_000), (885_000, 990_000))
    )
    assert both[["name", "score", "score_A.v1", "qvalue_B"]].tolist() == ["a", 9, 9, 0.01]
    assert alone["score_A.v1"] == 5
    assert pd.isna(alone["qvalue_B"])
    assert other["qvalue_B"] == 0.04
    assert other[["score", "score_A.v1"]].isna().all()
    assert len(found.table) == len(table)

    said = json.loads((tmp_path / "out" / "all.bedpe.json").read_text())
    assert (said["kind"], said["both"], said["only_in"]) == ("compared loops", 3, {"A.v1": 2, "B": 2})
    assert (said["assembly"], said["resolution"], said["tolerance_bins"]) == ("places", 5000, 2)
    assert [one["sha256"] for one in said["inputs"]] == [sha256(path) for path in lists]


def test_a_list_beside_itself(lists, tmp_path):
    """The same stem, told apart by a number; nothing is ranked where there is no score."""
    plain = bedpe(tmp_path / "B.bedpe", SECOND)
    found = compare_loops(lists[1], plain, assembly=PLACES, out=tmp_path / "o.bedpe")
    assert (found.jaccard, found.only_in) == (1, {"1:B": 0, "2:B": 0})
    assert (found.ranked_by, found.spearman) == ({"1:B": "qvalue"}, None)
    assert set(found.table["found_in"]) == {"both"}
    assert json.loads((tmp_path / "o.bedpe.json").read_text())["spearman"] is None
    apart = compare_loops(bedpe(tmp_path / "both.bedpe", FIRST[4:]), plain, assembly=PLACES)
    assert apart.table["found_in"].tolist() == ["1:both", *["2:B"] * 5]
    assert (apart.jaccard, apart.spearman) == (0, None)


def test_bins_are_the_wider_of_the_two_lists(lists, tmp_path):
    wide = bedpe(tmp_path / "wide.bedpe", [("chr1", 0, 120_000)], width=10_000)
    assert compare_loops(lists[0], wide, assembly=PLACES).resolution == 10_000
    assert compare_loops(lists[0], wide, assembly=PLACES).both == 1
    assert compare_loops(lists[0], wide, assembly=PLACES, resolution=5000).both == 0
    mixed = tmp_path / "mixed.bedpe"
    mixed.write_text("chr1\t0\t5001\tchr1\t50000\t57000\n")
    assert compare_loops(mixed, lists[0], assembly=PLACES).resolution == 5000
    with pytest.raises(ConfigError, match=r"mixed\.bedpe, .*mixed\.bedpe: .*give --resolution"):
        compare_loops(mixed, mixed, assembly=PLACES)
    assert compare_loops(mixed, mixed, assembly=PLACES, resolution=5000).both == 1


def test_whose_chromosomes_they_are(lists, tmp_path, monkeypatch):
    sizes = tmp_path / "own.chrom.sizes"
    sizes.write_text("chr1\t4000000\nchr2\t4000000\n")
    store = loop_store(monkeypatch, tmp_path / "a.store")
    for given in ({"assembly": str(sizes)}, {"assembly": "hg38"}, {"store": store}, {"store": store.path}):
        assert compare_loops(*lists, **given).both == 3
    for given in ({}, {"store": store, "assembly": "hg38"}):
        with pytest.raises(ConfigError, match=r"--store.*--assembly hg38.*not both"):
            compare_loops(*lists, **given)
    with pytest.raises(AssemblyError, match="hg99"):
        compare_loops(*lists, assembly="hg99")
    with pytest.raises(FileFormatError, match=r"none\.bedpe"):
        compare_loops(lists[0], tmp_path / "none.bedpe", assembly=PLACES)
