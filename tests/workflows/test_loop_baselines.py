"""Baselines score loop windows: planted loops are told apart, tables and their origin are written."""

import json

import numpy as np
import pytest

from chromweave.baselines.peakachu import PeakachuConfig
from chromweave.data.windows import loop_windows, read_windows, write_windows
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.classification import auroc
from chromweave.training.engine import FitConfig
from chromweave.workflows.loop_baselines import score_peakachu, score_refhic
from chromweave.workflows.refhic_training import RefHicConfig
from chromweave.workflows.window_scores import read_scores, scores_of
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

FOREST = PeakachuConfig(trees=15, depths=(6, 10), balanced=(False,), criteria=("gini",), folds=3)
NETWORK = RefHicConfig("tiny", FitConfig(epochs=5, batch_size=24, learning_rate=3e-3, accelerator="cpu"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two lines with the same loops, and a window table of each."""
    folder = tmp_path_factory.mktemp("baselines")
    for name, seed in (("a", 0), ("b", 1)):
        with pytest.MonkeyPatch.context() as patch:
            store = loop_store(patch, folder / f"{name}.store", tracks=(), seed=seed)
        report = loop_windows(
            store, planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION, seed=seed
        )
        write_windows(folder / f"{name}.parquet", report.table)
    return folder


def line(place, name):
    return place / f"{name}.store", place / f"{name}.parquet"


def judged(place, name, out, split="test"):
    table = read_windows(place / f"{name}.parquet", splits=(split,))
    return auroc(table["label"].to_numpy(), scores_of(out, table))


def test_peakachu_tells_planted_loops_apart_on_both_lines(place, tmp_path):
    own, other = tmp_path / "own.tsv", tmp_path / "other.tsv"
    values = score_peakachu(own, train=line(place, "a"), config=FOREST, seed=2)
    score_peakachu(other, train=line(place, "a"), judged=line(place, "b"), config=FOREST, seed=2)
    assert judged(place, "a", own) > 0.95
    assert judged(place, "b", other) > 0.95
    assert values["windows"] == len(read_scores(own))
    assert values["training_windows"] == len(read_windows(place / "a.parquet", splits=("train",)))
    assert values["mcc"] > 0.7
    said = json.loads((tmp_path / "own.tsv.json").read_text())
    assert (said["method"], said["seed"], said["settings"]) == ("Peakachu", 2, values["settings"])
    assert [entry["path"] for entry in said["inputs"]] == [str(path) for path in line(place, "a")]


def test_the_same_seed_scores_the_same(place, tmp_path):
    for name in ("one", "two"):
        score_peakachu(tmp_path / f"{name}.tsv", train=line(place, "a"), config=FOREST, seed=2)
    assert (tmp_path / "one.tsv").read_text() == (tmp_path / "two.tsv").read_text()


def test_another_split_can_be_asked_for(place, tmp_path):
    out = tmp_path / "valid.tsv"
    score_peakachu(out, train=line(place, "a"), split="valid", config=FOREST)
    assert set(read_scores(out)["chrom"]) == {"chr2"}
    assert judged(place, "a", out, "valid") > 0.95


def test_refhic_tells_planted_loops_apart_and_counts_its_parameters(place, tmp_path):
    out = tmp_path / "refhic.tsv"
    values = score_refhic(
        out, train=line(place, "a"), train_panel=[place / "b.store"], judged=line(place, "b"),
        judged_panel=[place / "a.store"], config=NETWORK, seed=1,
    )  # fmt: skip
    assert judged(place, "b", out) > 0.9
    assert values["parameters"] > 1000
    assert 1 <= values["best_epoch"] <= values["epochs"] <= 5
    assert (tmp_path / "refhic.tsv.run" / "metrics.csv").is_file()
    said = json.loads((tmp_path / "refhic.tsv.json").read_text())
    assert {entry["path"] for entry in said["inputs"]} == {
        str(path) for name in "ab" for path in line(place, name)
    }


def test_the_panel_of_the_training_serves_for_the_judged_line_too(place, tmp_path):
    out = tmp_path / "refhic.tsv"
    quick = RefHicConfig("tiny", FitConfig(epochs=1, batch_size=24, accelerator="cpu"))
    score_refhic(out, train=line(place, "a"), train_panel=[place / "b.store"], config=quick)
    assert np.isfinite(read_scores(out)["score"]).all()


def test_refhic_needs_references(place, tmp_path):
    with pytest.raises(ConfigError, match="at least one store"):
        score_refhic(tmp_path / "r.tsv", train=line(place, "a"), train_panel=[], config=NETWORK)


def test_tables_without_the_split_or_of_another_resolution_are_refused(place, tmp_path):
    store, windows = line(place, "a")
    table = read_windows(windows, splits=("train", "valid"))
    write_windows(tmp_path / "no_test.parquet", table)
    with pytest.raises(DataError, match=r"no_test.*no window of the split test"):
        score_peakachu(tmp_path / "p.tsv", train=(store, tmp_path / "no_test.parquet"), config=FOREST)
    one_class = table[table["label"] == 1]
    one_class.attrs = dict(table.attrs)
    write_windows(tmp_path / "loops.parquet", one_class)
    with pytest.raises(DataError, match="one class"):
        score_peakachu(
            tmp_path / "p.tsv",
            train=(store, tmp_path / "loops.parquet"),
            judged=line(place, "a"),
            config=FOREST,
        )
    assert not (tmp_path / "p.tsv").exists()
