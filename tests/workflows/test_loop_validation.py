"""Called loops against known ones: what is counted, by score, by distance, by chance, and what is written."""

import json

import numpy as np
import pandas as pd
import pytest

from chromweave.data.store import RegionStore
from chromweave.errors import ChromosomeError, ConfigError, OutputError
from chromweave.evaluation.table import read_results
from chromweave.files import sha256
from chromweave.genome import Interval
from chromweave.schemas import RESULTS
from chromweave.workflows import loop_validation
from chromweave.workflows.loop_validation import validate_loops
from tests.fakes_loops import RESOLUTION, loop_store

CALLED = [
    ("chr1", 100_000, 300_000),
    ("chr1", 500_000, 700_000),
    ("chr2", 100_000, 300_000),
    ("chr3", 0, 200_000),
]
KNOWN = [
    ("chr1", 110_000, 295_000),  # two bins and one off
    ("chr1", 500_000, 715_000),  # three
    ("chr2", 100_000, 300_000),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Chromosomes of 4 Mb in bins of 5 kb."""
    with pytest.MonkeyPatch.context() as patch:
        return loop_store(patch, tmp_path_factory.mktemp("validation") / "a.store")


def bedpe(path, pairs, header=(), width=RESOLUTION):
    rows = [(chrom, x, x + width, chrom, y, y + width, *more) for chrom, x, y, *more in pairs]
    names = ["#chrom1", "start1", "end1", "chrom2", "start2", "end2", *header]
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in [names, *rows]))
    return path


@pytest.fixture
def lists(tmp_path):
    return bedpe(tmp_path / "c.bedpe", CALLED), bedpe(tmp_path / "t.bedpe", KNOWN)


def test_called_loops_are_matched_with_known_ones(store, lists):
    found = validate_loops(*lists, store=store).summary
    assert {key: found[key] for key in ("called", "known", "matched", "precision", "recall")} == {
        "called": 4, "known": 3, "matched": 2, "precision": 0.5, "recall": pytest.approx(2 / 3),
    }  # fmt: skip
    assert found["f1"] == pytest.approx(4 / 7)
    assert found["shifted_control"] == 0  # by 0.5 or 1 Mb, none comes to lie on a known one
    wider = validate_loops(*lists, store=store, tolerance_bins=3).summary
    assert wider["matched"] == 3


def test_where_is_a_matter_of_chromosomes_and_regions(store, lists):
    one = validate_loops(*lists, store=store.path, chroms=["2"]).summary
    assert (one["called"], one["known"], one["f1"]) == (1, 1, 1)
    for region in ("chr1:600000-800000", Interval("chr1", 600_000, 800_000)):
        left = validate_loops(*lists, store=store, exclude=[region]).summary
        assert (left["called"], left["known"], left["matched"]) == (3, 2, 2)
    none = validate_loops(*lists, store=store, chroms=["chr2"], exclude=["chr2:1-999999"])
    assert (none.summary["called"], none.summary["known"]) == (0, 0)
    assert np.isnan(none.summary["f1"])
    assert none.strata == {}
    with pytest.raises(ChromosomeError, match="chr9"):
        validate_loops(*lists, store=store, chroms=["chr9"])


def test_the_control_counts_only_where_loops_can_be(store, tmp_path):
    """By 0.5 and 1 Mb to the left both calls leave chr1; to the right one meets a loop, and one a gap."""
    calls = bedpe(tmp_path / "c.bedpe", [("chr1", 100_000, 200_000), ("chr1", 300_000, 400_000)])
    truth = bedpe(tmp_path / "t.bedpe", [("chr1", 600_000, 700_000)])
    assert validate_loops(calls, truth, store=store).summary["shifted_control"] == 1 / 4
    gap = ["chr1:1000000-4000000"]
    assert validate_loops(calls, truth, store=store, exclude=gap).summary["shifted_control"] == 1 / 2
    far = bedpe(tmp_path / "f.bedpe", [("chr1", 3_500_000, 3_600_000)])  # 0.5 Mb on, it would end beyond 4 Mb
    assert validate_loops(far, truth, store=store).summary["shifted_control"] == 0


def test_bins_are_those_of_the_calls(store, tmp_path):
    truth = bedpe(tmp_path / "t.bedpe", [("chr1", 25_000, 230_000)])
    wide = bedpe(tmp_path / "w.bedpe", [("chr1", 0, 200_000)], width=10_000)
    found = validate_loops(wide, truth, store=store).summary
    assert (found["resolution"], found["matched"]) == (10_000, 0)  # 2 and 3 bins of 10 kb off
    assert validate_loops(wide, truth, store=store, tolerance_bins=3).summary["matched"] == 1
    fine = validate_loops(wide, truth, store=store, resolution=5000, tolerance_bins=3).summary
    assert (fine["resolution"], fine["matched"]) == (5000, 0)
    mixed = tmp_path / "m.bedpe"
    mixed.write_text("chr1\t0\t5000\tchr1\t50000\t55000\nchr1\t0\t10000\tchr1\t50000\t60000\n")
    with pytest.raises(ConfigError, match=r"m\.bedpe: .* no bins of one size.*--resolution"):
        validate_loops(mixed, truth, store=store)
    assert validate_loops(mixed, truth, store=store, resolution=5000).summary["called"] == 2
    with pytest.raises(ConfigError, match="resolution > 0"):
        validate_loops(wide, truth, store=store, resolution=0)


SCORED = [(*call, score) for call, score in zip(CALLED, (2.0, 9.0, 5.0, 7.0), strict=True)]


def test_the_best_calls_come_first(store, lists, tmp_path):
    """In order of their scores: wrong, wrong, right, right."""
    found = validate_loops(bedpe(tmp_path / "s.bedpe", SCORED, ["score"]), lists[1], store=store)
    assert found.ranked_by == "score"
    assert found.curve["score"].tolist() == [9, 7, 5, 2]
    assert found.curve["matched"].tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(found.curve["precision"], [0, 0, 1 / 3, 1 / 2])
    np.testing.assert_allclose(found.curve["recall"], [0, 0, 1 / 3, 2 / 3])
    assert found.summary["average_precision"] == pytest.approx((1 / 3 + 1 / 2) / 3)


def test_the_lowest_qvalues_come_first(store, lists, tmp_path):
    rows = [(*call, q) for call, q in zip(CALLED, (0.01, 0.2, 0.05, 0.1), strict=True)]
    found = validate_loops(bedpe(tmp_path / "q.bedpe", rows, ["qvalue"]), lists[1], store=store)
    assert found.ranked_by == "qvalue"
    assert found.curve["qvalue"].tolist() == [0.01, 0.05, 0.1, 0.2]
    assert found.curve["matched"].tolist() == [1, 2, 2, 2]


def test_without_a_ranking_there_is_no_curve(store, lists):
    found = validate_loops(*lists, store=store)
    assert found.ranked_by is None
    assert len(found.curve) == 0
    assert "average_precision" not in found.summary
    assert "average_precision" not in set(found.table["metric"])


LONG = [
    ("chr1", 0, 50_000),
    ("chr1", 100_000, 200_000),
    ("chr1", 1_000_000, 1_240_000),
    ("chr2", 0, 3_000_000),
]


def test_by_distance(store, tmp_path):
    """A call of 240 kb is a known loop of 250 kb: each counts where it lies itself."""
    calls = bedpe(tmp_path / "c.bedpe", LONG)
    truth = bedpe(tmp_path / "t.bedpe", [*LONG[1:2], ("chr1", 1_000_000, 1_250_000), ("chr1", 0, 600_000)])
    found = validate_loops(calls, truth, store=store)
    nan = pytest.approx(np.nan, nan_ok=True)
    numbers = {name: tuple(row.values()) for name, row in found.strata.items()}
    assert numbers == {
        "below 100 kb": (1, 0, 0, 0, nan, 0),
        "100-250 kb": (2, 1, 2, 1, 1, 1),
        "250-500 kb": (0, 1, 0, nan, 1, 1),
        "500 kb-1 Mb": (0, 1, 0, nan, 0, 0),
        "from 1 Mb": (1, 0, 0, 0, nan, 0),
    }
    assert list(found.strata["100-250 kb"]) == ["called", "known", "matched", "precision", "recall", "f1"]
    table = found.table.set_index(["stratum", "metric"])
    assert table.loc[("100-250 kb", "f1"), ["value", "n"]].tolist() == [1, 3]
    assert table.loc[("250-500 kb", "recall"), ["value", "n"]].tolist() == [1, 1]
    assert np.isnan(table.loc[("250-500 kb", "precision"), "value"])


def test_intervals_come_from_blocks(tmp_path, store, monkeypatch):
    """Six blocks of which each holds a call, every other one of them right."""
    monkeypatch.setattr(loop_validation, "_BLOCK", 500_000)
    places = [("chr1", 500_000 * k, 500_000 * k + 100_000) for k in range(6)]
    calls, truth = bedpe(tmp_path / "c.bedpe", places), bedpe(tmp_path / "t.bedpe", places[::2])
    table = validate_loops(calls, truth, store=store, seed=3).table.set_index(["stratum", "metric"])
    low, value, high = table.loc[("all", "precision"), ["low", "value", "high"]]
    assert 0 <= low < value == 0.5 < high <= 1
    assert table.loc[("all", "recall"), ["value", "low", "high"]].isna().tolist() == [False, False, False]
    same = validate_loops(calls, truth, store=store, seed=3).table
    assert same.equals(table.reset_index()[same.columns])
    few = validate_loops(calls, truth, store=store, chroms=["chr1"], exclude=["chr1:1000000-4000000"]).table
    assert few["low"].isna().all()


def test_what_is_written(store, lists, tmp_path):
    calls = bedpe(tmp_path / "s.bedpe", SCORED, ["score"])
    out = tmp_path / "deep" / "out"
    found = validate_loops(
        calls, lists[1], store=store, tolerance_bins=1, exclude=["chr3:1-9"], out=out, seed=5
    )
    assert {path.name for path in out.iterdir()} == {
        "validation.tsv", "validation.json", "validation.png", "validation_curve.tsv",
    }  # fmt: skip
    written = pd.read_csv(out / "validation.tsv", sep="\t")
    RESULTS.check(found.table, "out")
    assert len(written) == len(found.table)
    assert set(written["method"]) == {"s.bedpe"}
    assert set(written["metric"]) == {"precision", "recall", "f1", "shifted_control", "average_precision"}
    assert read_results(out / "validation.json").equals(found.table)
    curve = pd.read_csv(out / "validation_curve.tsv", sep="\t")
    assert list(curve) == ["score", "called", "matched", "precision", "recall", "f1"]
    assert len(curve) == len(found.curve) == 3  # the loop of chr3 begins in what is left out
    assert (out / "validation.png").read_bytes()[:4] == b"\x89PNG"
    said = json.loads((out / "validation.json").read_text())
    assert said["config"] == {
        "resolution": 5000, "tolerance_bins": 1, "chromosomes": ["chr1", "chr2", "chr3"],
        "exclude": ["chr3:1-9"], "ranked_by": "score", "block": 5_000_000,
    }  # fmt: skip
    files = (calls, lists[1], store.path / "manifest.json")
    assert [one["sha256"] for one in said["inputs"]] == [sha256(file) for file in files]
    assert {"command", "chromweave", "packages", "time"} <= set(said)

    validate_loops(*lists, store=store, out=tmp_path / "plain")
    assert not (tmp_path / "plain" / "validation_curve.tsv").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        validate_loops(*lists, store=store, out=tmp_path / "file")


def test_a_store_may_be_open(store, lists):
    opened = validate_loops(*lists, store=RegionStore.open(store.path))
    assert opened.summary == validate_loops(*lists, store=str(store.path)).summary
