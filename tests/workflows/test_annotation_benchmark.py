"""Every caller has its rows: those that find, those that fail, those that hang; nothing is done twice."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from chromweave.errors import ConfigError, DataError
from chromweave.workflows import annotation_benchmark
from chromweave.workflows.annotation_benchmark import COLUMNS, benchmark_annotation
from chromweave.workflows.annotation_callers import External, Ours
from tests.fakes_callers import Fails, Finds, Sleeps
from tests.fakes_loops import RESOLUTION, loop_store
from tests.fakes_programs import fake_program, writes

# Of four published loops one lies in the region left out, and one is too short.
PUBLISHED = [("chr1", 20, 60), ("chr1", 100, 130), ("chr1", 300, 340), ("chr1", 400, 402)]
FOUND = (("chr1", 20, 61), ("chr1", 102, 130), ("chr1", 200, 240), ("chr1", 300, 340), ("chr1", 405, 406))


def bedpe(path, pairs):
    rows = [
        (c, x * RESOLUTION, (x + 1) * RESOLUTION, c, y * RESOLUTION, (y + 1) * RESOLUTION)
        for c, x, y in pairs
    ]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A finished benchmark of six callers."""
    folder = tmp_path_factory.mktemp("annotation")
    with pytest.MonkeyPatch.context() as patch:
        loop_store(patch, folder / "a.store", tracks=())
    bedpe(folder / "published.bedpe", PUBLISHED)
    (folder / "bin").mkdir()
    return folder


def arguments(place):
    return {
        "store": place / "a.store", "truth": place / "published.bedpe", "chroms": ["chr1"],
        "exclude": ["chr1:1,450,000-1,600,000"], "min_distance": 20 * RESOLUTION, "jobs": 2,
    }  # fmt: skip


def callers(place):
    return {
        "finds": Finds(FOUND, str(place / "log")),
        "finds nothing": Finds(()),
        "our error": Fails(ours=True),
        "other error": Fails(ours=False),
        "missing": External("chromosight", str(place / "bin")),
        "no model": Ours(str(place / "no-model")),
    }


@pytest.fixture(scope="module")
def table(place):
    return benchmark_annotation(place / "out", callers=callers(place), **arguments(place))


def test_every_caller_has_a_row_for_each_tolerance(table, place):
    assert list(table.columns) == list(COLUMNS)
    assert table["method"].tolist() == [name for name in callers(place) for _ in (1, 2)]
    assert table["tolerance_bins"].tolist() == [1, 2] * 6
    assert (table["known"] == 2).all()  # the third is left out, the fourth too short


def test_a_list_is_judged_where_it_can_be_compared(table):
    one, two = (row for _, row in table[table["method"] == "finds"].iterrows())
    # Of five, one lies where loops are left out and one is too short: of three, one is within one bin, two
    # within two.
    assert (one["called"], one["matched"], two["matched"]) == (3, 1, 2)
    assert one["precision"] == pytest.approx(1 / 3)
    assert two["recall"] == 1
    assert two["f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert two["average_precision"] == pytest.approx(1.0)  # the two best are the two known
    assert two["shifted_control"] == 0
    assert two["seconds"] > 0
    assert two["megabytes"] > 20
    assert (two["version"], two["reason"]) == ("1.2", "")


def test_who_finds_nothing_has_a_recall_of_nothing(table):
    row = table[table["method"] == "finds nothing"].iloc[0]
    assert (row["called"], row["matched"], row["recall"], row["f1"]) == (0, 0, 0, 0)
    assert np.isnan(row["precision"])
    assert row["reason"] == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("our error", "the map is too thin."),
        ("other error", "ZeroDivisionError: by nothing"),
        ("missing", "pip install chromosight==1.6.3"),
        ("no model", "no-model"),
    ],
)
def test_who_fails_has_a_reason_and_the_others_go_on(table, name, reason):
    rows = table[table["method"] == name]
    assert rows["reason"].str.contains(reason, regex=False).all()
    assert rows[["called", "precision", "recall", "f1", "seconds", "megabytes"]].isna().all(axis=None)
    assert (table["reason"] == "").sum() == 4


def test_what_was_done_is_not_done_again_and_the_table_is_the_same(table, place):
    assert (place / "log").read_text() == "asked\n"
    again = benchmark_annotation(place / "out", callers=callers(place), **arguments(place))
    pd.testing.assert_frame_equal(again, table)
    assert (place / "log").read_text() == "asked\n"


def test_the_folder_says_what_it_holds(table, place):
    written = pd.read_csv(place / "out" / "annotation.tsv", sep="\t")
    assert written["method"].tolist() == table["method"].tolist()
    said = json.loads((place / "out" / "annotation.json").read_text())
    assert said["config"]["chroms"] == ["chr1"]
    assert said["config"]["callers"]["our error"] == {"caller": "Fails", "ours": True}
    assert "no-model" in said["config"]["callers"]["no model"]
    assert [entry["path"] for entry in said["inputs"]] == [
        str(place / "a.store"),
        str(place / "published.bedpe"),
    ]


def test_who_failed_can_be_asked_again(table, place, tmp_path):
    """Programs get installed: the same command with `retry` fills the row."""
    shutil.copytree(place / "out", tmp_path / "out")
    header = "\t".join(("chrom1", "start1", "end1", "chrom2", "start2", "end2", "score", "qvalue"))
    loop = "\t".join(("chr1", "100000", "105000", "chr1", "300000", "305000", "0.5", "0.1"))
    fake_program(place / "bin", "chromosight", writes("arguments[-1] + '.tsv'", f"{header}\n{loop}\n"))
    asked = {"missing": callers(place)["missing"]}
    assert (benchmark_annotation(tmp_path / "out", callers=asked, **arguments(place))["reason"] != "").all()
    filled = benchmark_annotation(tmp_path / "out", callers=asked, retry=True, **arguments(place))
    assert (filled["reason"] == "").all()
    assert filled["matched"].tolist() == [1, 1]
    assert filled["version"].tolist() == ["9.8.7"] * 2


def test_who_takes_too_long_is_ended(place, tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_benchmark, "_GRACE", 0.0)
    found = benchmark_annotation(tmp_path / "o", callers={"sleeps": Sleeps()}, timeout=3, **arguments(place))
    assert found["reason"].str.contains("longer than 3 s").all()


def test_lists_made_otherwise_are_refused(table, place):
    changed = {"finds": Finds(FOUND[:2], str(place / "log"))}
    with pytest.raises(ConfigError, match="other settings"):
        benchmark_annotation(place / "out", callers=changed, **arguments(place))


def test_requests_that_make_no_sense_are_refused(place, tmp_path):
    with pytest.raises(ConfigError, match="at least one caller"):
        benchmark_annotation(tmp_path, callers={}, **arguments(place))
    with pytest.raises(ConfigError, match="would write one file"):
        benchmark_annotation(tmp_path, callers={"a b": Finds(()), "a_b": Finds(())}, **arguments(place))
    with pytest.raises(DataError, match="has no loop"):
        benchmark_annotation(tmp_path, callers={"a": Finds(())}, **(arguments(place) | {"chroms": ["chr2"]}))
