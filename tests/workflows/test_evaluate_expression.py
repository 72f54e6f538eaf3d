"""Predicted expression beside trivial rows: what they see, where they learn, and which bins count."""

import json

import numpy as np
import pytest

from chromweave.data.windows import grid_windows, read_windows, write_windows
from chromweave.errors import DataError, ModelError
from chromweave.progress import reporting
from chromweave.workflows.evaluate_expression import TRIVIAL_EXPRESSION_ROWS, evaluate_expression
from chromweave.workflows.evaluation_rows import EvaluateConfig, EvaluationRequest
from tests.fakes_evaluation import (
    READ,
    RESOLUTION,
    SIGNAL,
    SPLIT,
    STEP,
    WINDOW_BINS,
    Recites,
    asked,
    cell_line,
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

ACCESSIBILITY, WINDOW, BOOSTED = TRIVIAL_EXPRESSION_ROWS
pytestmark = pytest.mark.usefixtures("quick")
DARK = {100, 101, 102, 103}  # bins without signal


def evaluated(place, out, **more):
    return evaluate_expression(out, EvaluationRequest(**asked(place, "expression", **more)))


@pytest.fixture(scope="module")
def table(place, tmp_path_factory):
    """The evaluation of a model that learned nothing and reads both tracks and the map."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        return evaluated(place, tmp_path_factory.mktemp("expression") / "out")


class Bins:
    """Bins of the windows of a split: log2 signals, (n, bins, tracks), the target and whether it is known."""

    def __init__(self, place, split, store="a.store", tracks=READ):
        windows = read_windows(place / "diagonal_a.parquet", splits=[split])
        batch = cut(place / store, windows, tracks=tracks, target=SIGNAL, contacts="clip")
        steps = np.where(batch.track_mask, batch.tracks.double(), np.nan)
        known = batch.target_mask[:, :WINDOW_BINS].numpy()
        steps = steps.reshape(len(windows), 2, WINDOW_BINS, -1, len(tracks))[:, 0]
        self.features = np.full(steps.shape[:2] + steps.shape[3:], np.nan)
        self.features[known] = np.nanmean(steps[known], axis=1)  # dark alike
        self.target = batch.target[:, :WINDOW_BINS].double().numpy()
        self.known = known


def of_line(train, test, signal_of):
    """Pearson and R2 of a least-squares line of some signal."""
    slope, intercept = np.polyfit(signal_of(train)[train.known], train.target[train.known], 1)
    said = intercept + slope * signal_of(test)[test.known]
    truth = test.target[test.known]
    return {
        "pearson": np.corrcoef(truth, said)[0, 1],
        "r2": 1 - ((truth - said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum(),
    }


# --- values


def test_the_truth_scores_one(place, tmp_path, monkeypatch):
    """What a model says of a bin is the mean of what it says of both segments."""
    test = Bins(place, "test")
    off = np.random.default_rng(0).normal(0, 3, test.target.shape)
    said = np.concatenate([test.target + off, test.target - off], axis=1).astype(np.float32)
    stand_in(monkeypatch, Recites(said))
    found = evaluated(place, tmp_path / "out")
    for metric in ("pearson", "r2", "spearman", "pearson_genes", "r2_genes", "pearson_flat", "r2_flat"):
        loose = 1e-3 if metric == "spearman" else 1e-5  # rounding tears ties apart
        assert score(found, "model", metric) == pytest.approx(1, abs=loose)
    for row in TRIVIAL_EXPRESSION_ROWS:
        for metric in ("pearson", "r2", "pearson_genes"):
            difference = score(found, f"model - {row}", metric)
            assert difference == pytest.approx(1 - score(found, row, metric), abs=1e-5)
            assert difference > 1e-4


def test_lines_are_fitted_by_least_squares_on_training_bins(place, table):
    train, test = Bins(place, "train"), Bins(place, "test")
    by_hand = {
        ACCESSIBILITY: of_line(train, test, lambda bins: bins.features.mean(-1)),
        WINDOW: of_line(
            train,
            test,
            lambda bins: np.repeat(np.nanmean(bins.features.mean(-1), 1)[:, None], WINDOW_BINS, 1),
        ),
    }
    for row, scores in by_hand.items():
        for metric, value in scores.items():
            assert score(table, row, metric) == pytest.approx(value, abs=1e-6)
    assert score(table, ACCESSIBILITY, "pearson") > 0.9 > 0.6 > score(table, WINDOW, "pearson")
    assert score(table, BOOSTED, "pearson") > 0.9


def test_only_bins_with_a_signal_count_and_each_once(place, tmp_path, table):
    """Windows that overlap: their bins have one truth, or the evaluation would not go through."""
    from chromweave.data.store import RegionStore

    step, half = STEP // 2, WINDOW_BINS // 2
    store = RegionStore.open(place / "a.store")
    shape = {"window_bins": WINDOW_BINS, "resolution": RESOLUTION, "step": step}
    windows = grid_windows(store, SPLIT, **shape).table
    write_windows(tmp_path / "w.parquet", windows)
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet")
    anchors = windows.loc[windows["split"] == "test", "x"].to_numpy() // RESOLUTION
    bins = [b for x in anchors for b in range(x - half, x + half) if b not in DARK]
    n = {metric: set(rows["n"]) for metric, rows in found.groupby("metric")}
    assert n["pearson_flat"] == {len(bins)}
    assert n["pearson"] == {len(set(bins))}
    assert len(set(bins)) < len(bins)
    assert n["pearson_genes"] == {len(set(anchors) - DARK)}
    side_by_side = score(table, ACCESSIBILITY, "pearson"), score(table, ACCESSIBILITY, "pearson_flat")
    assert side_by_side[0] == pytest.approx(side_by_side[1])


# --- what rows see, and where they learn


@pytest.mark.parametrize("mode", ["bimodal", "map", "tracks", "infer_map", "infer_tracks"])
def test_rows_stand_beside_a_model_of_every_mode(place, tmp_path, table, mode):
    """Those beside a model that reads no tracks see what the store has but the signal itself."""
    tracks = () if mode in ("map", "infer_tracks") else READ
    untrained(tmp_path / "m", "expression", mode=mode, tracks=tracks)
    found = evaluated(place, tmp_path / "out", model=tmp_path / "m")
    assert np.isfinite(score(found, "model", "r2"))
    for row in TRIVIAL_EXPRESSION_ROWS:
        assert score(found, row, "pearson") == score(table, row, "pearson")
        assert f"model - {row}" in set(found["method"])


def test_rows_see_no_more_tracks_than_the_model(place, tmp_path, table):
    untrained(tmp_path / "m", "expression", tracks=("ATAC",))
    found = evaluated(place, tmp_path / "out", model=tmp_path / "m")
    train, test = (Bins(place, split, tracks=("ATAC",)) for split in ("train", "test"))
    by_hand = of_line(train, test, lambda bins: bins.features[..., 0])
    assert score(found, ACCESSIBILITY, "r2") == pytest.approx(by_hand["r2"], abs=1e-6)
    assert score(found, ACCESSIBILITY, "r2") < score(table, ACCESSIBILITY, "r2")


def test_there_are_no_rows_where_there_is_nothing_to_see(place, tmp_path):
    untrained(tmp_path / "m", "expression", mode="map", tracks=())
    with pytest.MonkeyPatch.context() as patch:
        cell_line(patch, tmp_path / "bare.store", tracks=(SIGNAL,))
    given = {"model": tmp_path / "m", "store": tmp_path / "bare.store"}
    table = everything(place / "diagonal_a.parquet")
    write_windows(tmp_path / "w.parquet", changed(table))
    news = News()
    with reporting(news):
        found = evaluated(place, tmp_path / "out", **given, windows=tmp_path / "w.parquet")
    assert set(found["method"]) == {"model"}
    assert any("no trivial rows" in line and "no track but CAGE" in line for line in news.lines)


def test_rows_learn_from_the_other_line(place, tmp_path):
    """There the signal is low where tracks peak, and so the rows think it is here."""
    with pytest.MonkeyPatch.context() as patch:
        cell_line(patch, tmp_path / "turned.store", turned=(SIGNAL,), seed=0)
    found = evaluated(
        place,
        tmp_path / "out",
        trivial_store=tmp_path / "turned.store",
        trivial_windows="diagonal_a.parquet",
    )
    train, test = Bins(place, "train", store=tmp_path / "turned.store"), Bins(place, "test")
    by_hand = of_line(train, test, lambda bins: bins.features.mean(-1))
    assert score(found, ACCESSIBILITY, "pearson") == pytest.approx(by_hand["pearson"], abs=1e-6)
    assert by_hand["pearson"] < -0.9
    assert score(found, BOOSTED, "pearson") < -0.8


def test_a_model_of_tracks_needs_no_map(place, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        cell_line(patch, tmp_path / "a.store", contacts=False)
    for mode in ("tracks", "infer_map"):
        untrained(tmp_path / mode, "expression", mode=mode)
        found = evaluated(place, tmp_path / "o", model=tmp_path / mode, store=tmp_path / "a.store")
        assert {"model", *TRIVIAL_EXPRESSION_ROWS} <= set(found["method"])
    with pytest.raises(ModelError, match=r"a\.store: has no layer of 5,000 bp"):
        evaluated(place, tmp_path / "out", store=tmp_path / "a.store")


@pytest.mark.parametrize(("split", "other"), [("test", "valid"), ("valid", "test")])
def test_windows_of_no_other_split_are_cut(place, tmp_path, split, other):
    write_windows(tmp_path / "w.parquet", unreadable(everything(place / "diagonal_a.parquet"), other))
    config = EvaluateConfig(split, block=500_000)
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet", config=config)
    test = Bins(place, split)
    by_hand = of_line(Bins(place, "train"), test, lambda bins: bins.features.mean(-1))
    assert score(found, ACCESSIBILITY, "pearson") == pytest.approx(by_hand["pearson"], abs=1e-6)


def test_models_stand_beside_one_another(place, tmp_path):
    untrained(tmp_path / "m", "expression", mode="map")
    found = evaluated(place, tmp_path / "out", beside={"map alone": tmp_path / "m"})
    alone = evaluated(place, tmp_path / "alone", model=tmp_path / "m")
    for metric in ("pearson", "r2", "pearson_genes"):
        both = score(found, "model", metric), score(found, "map alone", metric)
        assert both[1] == score(alone, "model", metric) != both[0]
        assert score(found, "model - map alone", metric) == pytest.approx(both[0] - both[1])


# --- what is refused


def test_windows_off_the_diagonal(place, tmp_path):
    with pytest.raises(DataError, match=r"maps_a\.parquet: has windows off the diagonal; .*start sites"):
        evaluated(place, tmp_path / "out", windows="maps_a.parquet")
    with pytest.raises(DataError, match=r"maps_b\.parquet: has windows off the diagonal"):
        evaluated(place, tmp_path / "out", trivial_store="b.store", trivial_windows="maps_b.parquet")
    assert not (tmp_path / "out").exists()


def test_a_store_without_the_signal(place, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        cell_line(patch, tmp_path / "a.store", tracks=READ, contacts=False)
    untrained(tmp_path / "m", "expression", mode="tracks")
    with pytest.raises(DataError, match=r"a\.store: has no track 'CAGE'; it has ATAC, DNase"):
        evaluated(place, tmp_path / "out", model=tmp_path / "m", store=tmp_path / "a.store")


def test_models_of_two_signals(place, tmp_path):
    untrained(tmp_path / "m", "expression", mode="map", tracks=(), signal="ATAC")
    with pytest.raises(
        ModelError, match=r"/m: predicts ATAC, and .*expression_model CAGE; evaluate them one"
    ):
        evaluated(place, tmp_path / "out", beside={"other": tmp_path / "m"})


def test_a_model_that_does_not_say_what_it_predicts(place, tmp_path):
    untrained(tmp_path / "m", "expression")
    config = tmp_path / "m" / "config.json"
    described = json.loads(config.read_text())
    for name in ("least_known", "signal"):
        del described["model"][name]
        config.write_text(json.dumps(described))
        if name == "least_known":  # as before there was such a setting
            evaluated(place, tmp_path / "out", model=tmp_path / "m")
    with pytest.raises(ModelError, match=r"/m: its config\.json does not say which signal it predicts"):
        evaluated(place, tmp_path / "out", model=tmp_path / "m")
