"""Predicted maps beside trivial ones: rows that say what is known of them have the scores that they must."""

import re

import numpy as np
import pytest

from chromweave.data.store import RegionStore
from chromweave.data.windows import read_windows, write_windows
from chromweave.evaluation.trivial import distance_grid
from chromweave.evaluation.windows import MapScoreConfig, WindowMapScores
from chromweave.progress import reporting
from chromweave.workflows.evaluate_contacts import SAME_PLACE, TRIVIAL_CONTACT_ROWS, evaluate_contacts
from chromweave.workflows.evaluation_rows import EvaluateConfig, EvaluationRequest
from tests.fakes_evaluation import (
    RESOLUTION,
    WINDOW_BINS,
    Recites,
    asked,
    changed,
    cut,
    everything,
    quick,
    score,
    stand_in,
    unreadable,
    untrained,
)
from tests.fakes_experiments import News

MEAN, VISIBLE, NEAREST = TRIVIAL_CONTACT_ROWS
pytestmark = pytest.mark.usefixtures("quick")
METRICS = ("pearson", "r2", "log_oe_pearson", "scc", "spearman")
BY_DISTANCE = "5 bins"


def evaluated(place, out, **more):
    return evaluate_contacts(out, EvaluationRequest(**asked(place, "contacts", **more)))


class Maps:
    """All windows of a split, as they are in a store."""

    def __init__(self, store, table):
        batch = cut(store, table)
        self.truth = batch.contact_map[:, 0].double().numpy()
        self.mask = batch.contact_mask[:, 0].numpy()
        self.distance = distance_grid(batch.x.numpy(), batch.y.numpy(), WINDOW_BINS)
        self.on_diagonal = (batch.x == batch.y).numpy()

    def scores(self, prediction):
        blocks = np.arange(len(self.truth))
        found = WindowMapScores(MapScoreConfig(insulation_width=None))
        found.add(self.truth, prediction, self.mask, self.distance)
        return {name: one.value for name, one in found.estimates(blocks, 0).items()}


def of_split(place, split, line="a", windows=None):
    table = everything(windows or place / f"maps_{line}.parquet")
    return Maps(place / f"{line}.store", changed(table, table["split"] == split))


def mean_by_distance(maps):
    """Of each distance, entry by entry."""
    return np.array(
        [maps.truth[maps.mask & (maps.distance == d)].mean() for d in range(maps.distance.max() + 1)]
    )


def log_over_expected(maps, expected):
    """What a model would have to say for its contacts to be those of `maps`."""
    return np.log((maps.truth + 1) / (expected[maps.distance] + 1))[:, None].astype(np.float32)


# --- what the model is given credit for


def test_the_truth_scores_one(place, tmp_path, monkeypatch):
    maps = of_split(place, "test")
    expected = np.linspace(50, 1, 40)
    untrained(tmp_path / "m", "contacts", expected=list(expected))
    stand_in(monkeypatch, Recites(log_over_expected(maps, expected)))
    table = evaluated(place, tmp_path / "out", model=tmp_path / "m")
    for metric in METRICS:
        ties = 1e-3 if metric == "spearman" else 1e-5  # rounding tears them apart
        assert score(table, "model", metric) == pytest.approx(1, abs=ties)
    assert score(table, "model", "pearson", BY_DISTANCE) == pytest.approx(1, abs=1e-5)
    for row in (VISIBLE, NEAREST):
        for metric in ("scc", "log_oe_pearson", "pearson", "r2"):
            difference = score(table, f"model - {row}", metric)
            assert difference == pytest.approx(1 - score(table, row, metric), abs=1e-5)
            assert difference > 1e-4
    assert not maps.on_diagonal.all()
    assert not maps.mask.all()


def test_no_enrichment_is_the_mean_of_each_distance(place, tmp_path, monkeypatch):
    """Whose value at a distance, over all training windows, is found entry by entry."""
    test, mean = of_split(place, "test"), mean_by_distance(of_split(place, "train"))
    untrained(tmp_path / "m", "contacts", expected=list(mean))
    stand_in(monkeypatch, Recites(np.zeros((len(test.truth), 1, WINDOW_BINS, WINDOW_BINS))))
    table = evaluated(place, tmp_path / "out", model=tmp_path / "m")
    by_hand = test.scores(mean[test.distance])
    for metric in METRICS:
        for method in ("model", MEAN):
            assert score(table, method, metric) == pytest.approx(by_hand[metric], abs=1e-9, nan_ok=True)
    assert score(table, f"model - {MEAN}", "pearson") == pytest.approx(0, abs=1e-9)
    assert by_hand["pearson"] > 0.9
    assert np.isnan(by_hand["log_oe_pearson"])  # of the same value everywhere


def test_windows_on_the_diagonal_are_read_both_ways(place, tmp_path, monkeypatch):
    """The contacts that a model says (i, j) and (j, i) have are averaged there, and nowhere else."""
    maps, expected = of_split(place, "test"), np.full(40, 10.0)
    skew = np.triu(np.random.default_rng(0).uniform(-0.9, 0.9, (WINDOW_BINS, WINDOW_BINS)), 1)
    skewed = maps.truth * (1 + skew - skew.T)
    said = np.log((skewed + 1) / (expected[maps.distance] + 1))[:, None].astype(np.float32)
    untrained(tmp_path / "m", "contacts", expected=list(expected))
    table = everything(place / "maps_a.parquet")
    diagonal = (table["x"] == table["y"]).to_numpy()
    for on_diagonal, perfect in ((True, True), (False, False)):
        kept = (diagonal == on_diagonal) | (table["split"] == "train").to_numpy()
        write_windows(tmp_path / "w.parquet", changed(table, kept))
        stand_in(monkeypatch, Recites(said[maps.on_diagonal == on_diagonal]))
        found = evaluated(
            place, tmp_path / f"{on_diagonal}", model=tmp_path / "m", windows=tmp_path / "w.parquet"
        )
        assert (score(found, "model", "log_oe_pearson") > 0.9999) is perfect


def test_contacts_are_not_shown_to_a_model_that_predicts_them(place, tmp_path, monkeypatch):
    class Looks(Recites):
        def forward(self, contact_map, tracks):
            assert contact_map is None
            assert tracks.shape[1:] == (1600, 2)
            return super().forward(contact_map, tracks)

    n = len(of_split(place, "test").truth)
    stand_in(monkeypatch, Looks(np.zeros((n, 1, WINDOW_BINS, WINDOW_BINS))))
    evaluated(place, tmp_path / "out")


# --- trivial rows


def test_the_nearest_training_window_of_a_training_window_is_itself(place, tmp_path):
    """Whose map is the truth, and the same place of another cell line is none of it: it is the same line."""
    table = everything(place / "maps_a.parquet")
    test = changed(table, table["split"] == "test", split="train")
    write_windows(tmp_path / "w.parquet", test)
    found = evaluated(
        place, tmp_path / "out", trivial_store="a.store", trivial_windows=tmp_path / "w.parquet"
    )
    for metric in ("pearson", "log_oe_pearson", "scc"):
        assert score(found, NEAREST, metric) == pytest.approx(1, abs=1e-5)
    assert SAME_PLACE not in set(found["method"])
    assert score(evaluated(place, tmp_path / "own"), NEAREST, "pearson") < 0.99


def test_visibility_is_told_by_tracks(place, tmp_path):
    """Anchors have peaks of both tracks, and more contacts; from distance alone no bin has more."""
    table = evaluated(place, tmp_path / "out")
    assert score(table, VISIBLE, "log_oe_pearson") > 0.02
    assert np.isnan(score(table, MEAN, "log_oe_pearson"))


@pytest.fixture(scope="module")
def learned_elsewhere(place, tmp_path_factory):
    """The evaluation of one line, with rows that learn from another."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        out = tmp_path_factory.mktemp("elsewhere")
        return evaluated(place, out, trivial_store="b.store", trivial_windows="maps_b.parquet")


def test_trivial_rows_learn_from_the_other_line(place, learned_elsewhere):
    table = learned_elsewhere
    test = of_split(place, "test")
    theirs, ours = (mean_by_distance(of_split(place, "train", line)) for line in "ba")
    np.testing.assert_allclose(theirs[:20] / ours[:20], 2, rtol=0.1)
    assert score(table, MEAN, "r2") == pytest.approx(test.scores(theirs[test.distance])["r2"], abs=1e-9)
    assert score(table, MEAN, "r2") < test.scores(ours[test.distance])["r2"] - 0.1


def test_the_same_place_in_the_other_line(place, learned_elsewhere):
    """Its map of the judged window, and where it has none, the mean of each distance."""
    table = learned_elsewhere
    windows = everything(place / "maps_a.parquet")
    test = of_split(place, "test")
    there = Maps(place / "b.store", changed(windows, windows["split"] == "test"))
    mean = mean_by_distance(of_split(place, "train", "b"))
    by_hand = test.scores(np.where(there.mask, there.truth, mean[test.distance]))
    for metric in ("pearson", "r2", "log_oe_pearson", "scc"):
        assert score(table, SAME_PLACE, metric) == pytest.approx(by_hand[metric], abs=1e-9)
    assert score(table, SAME_PLACE, "pearson", BY_DISTANCE) > 0
    assert f"model - {SAME_PLACE}" in set(table["method"])


def test_a_line_without_a_judged_chromosome_has_no_same_place(place, tmp_path, monkeypatch):
    """Its other rows learn from what it has."""
    found = RegionStore.chromosomes.fget

    def fewer(store):
        return found(store)[:2] if store.name == "b" else found(store)

    monkeypatch.setattr(RegionStore, "chromosomes", property(fewer))
    news = News()
    with reporting(news):
        table = evaluated(place, tmp_path / "out", trivial_store="b.store", trivial_windows="maps_b.parquet")
    assert {"model", *TRIVIAL_CONTACT_ROWS} <= set(table["method"])
    assert SAME_PLACE not in set(table["method"])
    (line,) = [line for line in news.lines if SAME_PLACE in line]
    assert re.search(r"b\.store: lacks chr3, .* the row 'same place, training line' is left out", line)


def test_rows_learn_from_a_part_of_many_windows(place, tmp_path):
    table = evaluated(place, tmp_path / "out", config=EvaluateConfig(most_training_windows=10))
    again = evaluated(place, tmp_path / "again", config=EvaluateConfig(most_training_windows=10))
    other = evaluated(place, tmp_path / "other", config=EvaluateConfig(most_training_windows=10), seed=1)
    found, same, drawn = (score(one, MEAN, "r2") for one in (table, again, other))
    assert found == same != drawn
    assert found != score(evaluated(place, tmp_path / "all"), MEAN, "r2")


# --- the table


@pytest.mark.parametrize(("split", "other"), [("test", "valid"), ("valid", "test")])
def test_windows_of_no_other_split_are_cut(place, tmp_path, split, other):
    table = everything(place / "maps_a.parquet")
    write_windows(tmp_path / "w.parquet", unreadable(table, other))
    config = EvaluateConfig(split, block=500_000)
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet", config=config)
    judged, mean = of_split(place, split), mean_by_distance(of_split(place, "train"))
    by_hand = judged.scores(mean[judged.distance])["pearson"]
    assert score(found, MEAN, "pearson") == pytest.approx(by_hand)


def test_what_is_in_the_table(place, tmp_path):
    table = evaluated(place, tmp_path / "out", seed=7)
    methods = ["model", *TRIVIAL_CONTACT_ROWS, *(f"model - {row}" for row in TRIVIAL_CONTACT_ROWS)]
    assert list(dict.fromkeys(table["method"])) == methods
    assert set(table["seed"]) == {7}
    n = len(read_windows(place / "maps_a.parquet", splits=["test"]))
    rows = table[(table["stratum"] == "all") & (table["metric"] == "pearson")]
    assert set(rows["n"]) == {n}
    assert (rows["low"] <= rows["high"]).all()
    strata = table[table["stratum"] != "all"]["stratum"].unique()
    reach = of_split(place, "test").distance.max()
    assert list(strata) == [f"{d} bins" for d in range(reach + 1)]
    assert RESOLUTION * reach < 600_000
