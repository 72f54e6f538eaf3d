"""Loop models beside trivial rows: their scores are what they are called, and what is missing comes last."""

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.data.store import RegionStore
from chromweave.data.windows import read_windows, write_windows
from chromweave.errors import DataError, ModelError
from chromweave.evaluation.classification import (
    at_fdr,
    at_threshold,
    auroc,
    average_precision,
    brier,
)
from chromweave.evaluation.strata import stratified_auroc
from chromweave.evaluation.trivial import fit_boosting, trivial_loop_scores
from chromweave.progress import reporting
from chromweave.workflows.evaluate_loops import TRIVIAL_LOOP_ROWS, evaluate_loops, headline_scores
from chromweave.workflows.evaluation_rows import EvaluateConfig, EvaluationRequest
from chromweave.workflows.loop_scores import score_windows
from chromweave.workflows.window_scores import write_scores
from tests.fakes_evaluation import (
    MASKED,
    RESOLUTION,
    WINDOW_BINS,
    Recites,
    asked,
    cell_line,
    changed,
    everything,
    quick,
    score,
    stand_in,
    unreadable,
    untrained,
)
from tests.fakes_experiments import News

DISTANCE, CENTRE, CENTRE_OE, AROUND, BOOSTED = TRIVIAL_LOOP_ROWS
pytestmark = pytest.mark.usefixtures("quick")


def evaluated(place, out, **more):
    return evaluate_loops(out, EvaluationRequest(**asked(place, "loops", **more)))


@pytest.fixture(scope="module")
def table(place, tmp_path_factory):
    """The evaluation of a model that learned nothing."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        return evaluated(place, tmp_path_factory.mktemp("loops") / "out")


@pytest.fixture(scope="module")
def judged(place):
    return read_windows(place / "loops.parquet", splits=["test"])


def trivial(place, table, store="a.store"):
    """All rows lie on one chromosome."""
    (chrom,) = table["chrom"].unique()
    return trivial_loop_scores(RegionStore.open(place / store).layer(chrom, RESOLUTION), table, "weight")


# --- scores


def test_the_models_scores_are_those_of_calling(place, table, judged):
    label = judged["label"].to_numpy()
    said = score_windows(place / "loop_model", place / "a.store", judged).astype(float)
    assert np.ptp(said) > 0
    by_hand = {
        "auroc": auroc(label, said),
        "auroc_distance_matched": stratified_auroc(label, said, judged["y"] - judged["x"]),
        "average_precision": average_precision(label, said),
        "recall_at_fdr_0.05": at_fdr(label, said, fdr=0.05).recall,
        "f1_at_0.5": at_threshold(label, said).f1,
        "precision_at_0.5": at_threshold(label, said).precision,
        "recall_at_0.5": at_threshold(label, said).recall,
        "brier": brier(label, said),
    }
    for metric, value in by_hand.items():
        assert score(table, "model", metric) == pytest.approx(value, nan_ok=True), metric


def test_probabilities_are_calibrated_by_the_temperature(place, tmp_path, monkeypatch, judged):
    """sigmoid(logit / T): with T = 4, logits of 4 log 3 and -4 log 3 are probabilities of 3/4 and 1/4."""
    label = judged["label"].to_numpy()
    logit = np.where(label == 1, 1, -1) * 4 * np.log(3)
    untrained(tmp_path / "m", "loops", temperature=4.0)
    stand_in(monkeypatch, Recites(torch.zeros(len(label)), logit.astype(np.float32)))
    found = evaluated(place, tmp_path / "out", model=tmp_path / "m")
    assert score(found, "model", "brier") == pytest.approx(1 / 16)
    assert score(found, "model", "calibration_error") == pytest.approx(1 / 4)
    for metric in ("auroc", "average_precision", "f1_at_0.5", "recall_at_fdr_0.05"):
        assert score(found, "model", metric) == 1


def test_differences_are_the_model_less_the_row(place, tmp_path, monkeypatch, judged):
    """Of an oracle they are positive, of one that is always wrong negative."""
    label = torch.tensor(judged["label"].to_numpy(np.float32))
    for sign in (1, -1):
        stand_in(monkeypatch, Recites(label, sign * (label - 0.5)))
        found = evaluated(place, tmp_path / f"{sign}")
        for row in TRIVIAL_LOOP_ROWS:
            for metric in ("auroc", "auroc_distance_matched", "average_precision"):
                difference = score(found, f"model - {row}", metric)
                both = score(found, "model", metric), score(found, row, metric)
                assert difference == pytest.approx(both[0] - both[1])
                assert sign * difference >= 0
        assert sign * score(found, f"model - {DISTANCE}", "auroc") > 0.4


def test_trivial_rows_are_computed_by_hand(place, table, judged):
    label, found = judged["label"].to_numpy(), trivial(place, judged)
    assert found["centre"].notna().all()
    for row, column in (
        (DISTANCE, "distance"),
        (CENTRE, "centre"),
        (CENTRE_OE, "centre_oe"),
        (AROUND, "oe_5x5"),
    ):
        assert score(table, row, "auroc") == pytest.approx(auroc(label, found[column].to_numpy()))
        assert "brier" not in set(table.loc[table["method"] == row, "metric"])  # they are no probabilities
    assert score(table, DISTANCE, "auroc_distance_matched") == 0.5
    train = read_windows(place / "loops.parquet", splits=["train"])
    boosted = fit_boosting(trivial(place, train), train["label"].to_numpy(), seed=0).predict(found)
    assert score(table, BOOSTED, "auroc") == pytest.approx(auroc(label, boosted))
    assert score(table, BOOSTED, "brier") == pytest.approx(brier(label, boosted))
    assert score(table, BOOSTED, "auroc") > 0.9


def test_what_is_missing_comes_last(place, tmp_path, judged):
    """Of loops whose anchors no read covers, nothing is known; they count as the least loop-like."""
    moved = changed(everything(place / "loops.parquet"))
    loops = np.flatnonzero((moved["split"] == "test") & (moved["label"] == 1))[:5]
    moved.loc[loops, "x"] = MASKED[2] * RESOLUTION
    moved.loc[loops, "y"] = (MASKED[2] + 30) * RESOLUTION
    write_windows(tmp_path / "w.parquet", moved)
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet")
    rows = read_windows(tmp_path / "w.parquet", splits=["test"])
    centre = trivial(place, rows)["centre"]
    assert centre.isna().sum() == 5
    by_hand = auroc(rows["label"].to_numpy(), centre.fillna(centre.min()).to_numpy())
    assert score(found, CENTRE, "auroc") == pytest.approx(by_hand)
    known = centre.notna()
    assert by_hand < auroc(rows["label"][known].to_numpy(), centre[known].to_numpy()) - 0.01


# --- strata


def test_windows_without_a_masked_bin(place, table, judged):
    half, kept = WINDOW_BINS // 2, []
    for x, y in zip(judged["x"] // RESOLUTION, judged["y"] // RESOLUTION, strict=True):
        bins = {*range(x - half, x + half), *range(y - half, y + half)}
        kept.append(not bins & set(MASKED))
    kept = np.array(kept)
    assert 10 <= kept.sum() < len(kept)
    rows = table[(table["method"] == DISTANCE) & (table["stratum"] == "no masked bin")]
    assert rows["n"].tolist() == [kept.sum()]
    distance = -(judged["y"] - judged["x"])[kept].to_numpy(float)
    label = judged["label"][kept].to_numpy()
    assert rows["value"].tolist() == pytest.approx([auroc(label, distance)])


def test_strata_of_distance(table, judged):
    distance = (judged["y"] - judged["x"]).to_numpy()
    sizes = {
        name: int(n)
        for name, n in zip(*table.loc[table["method"] == "model", ["stratum", "n"]].values.T, strict=True)
    }
    assert sizes.pop("all") == len(judged)
    del sizes["no masked bin"]
    assert sizes == {
        "100 to 200 kb": ((distance >= 100_000) & (distance < 200_000)).sum(),
        "200 to 500 kb": (distance >= 200_000).sum(),
    }


# --- where rows learn, and what is read


def test_boosting_learns_from_the_other_table(place, tmp_path, table):
    """Where labels are the other way round, what it says is, too."""
    turned = everything(place / "loops.parquet")
    write_windows(tmp_path / "w.parquet", changed(turned, label=1 - turned["label"]))
    found = evaluated(
        place, tmp_path / "out", trivial_store="a.store", trivial_windows=tmp_path / "w.parquet"
    )
    assert score(table, BOOSTED, "auroc") > 0.9
    assert score(found, BOOSTED, "auroc") < 0.1
    for row in (DISTANCE, CENTRE, CENTRE_OE, AROUND):
        assert score(found, row, "auroc") == score(table, row, "auroc")


def test_boosting_learns_from_the_other_store(place, tmp_path, judged):
    """From the values of its map, at its own windows."""
    with pytest.MonkeyPatch.context() as patch:
        other = cell_line(patch, tmp_path / "other.store", seed=9)
    theirs = everything(place / "loops.parquet")
    theirs.attrs["layer_sha256"] = other.layer_sha256(RESOLUTION)
    write_windows(tmp_path / "w.parquet", theirs)
    found = evaluated(
        place, tmp_path / "out", trivial_store=other.path, trivial_windows=tmp_path / "w.parquet"
    )
    train = changed(theirs, theirs["split"] == "train")
    boosted = fit_boosting(trivial(place, train, other.path), train["label"].to_numpy(), seed=0)
    by_hand = brier(judged["label"].to_numpy(), boosted.predict(trivial(place, judged)))
    assert score(found, BOOSTED, "brier") == pytest.approx(by_hand)


def test_without_training_loops_there_is_no_boosting(place, tmp_path):
    table = everything(place / "loops.parquet")
    write_windows(
        tmp_path / "w.parquet", changed(table, label=table["label"].where(table["split"] != "train", 0.0))
    )
    news = News()
    with reporting(news):
        found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet")
    assert "no row 'boosting on distance + O/E': no training windows of both loops and others." in news.lines
    assert {"model", *TRIVIAL_LOOP_ROWS[:-1]} == {m for m in found["method"] if not m.startswith("model -")}


@pytest.mark.parametrize(("split", "other"), [("test", "valid"), ("valid", "test")])
def test_windows_of_no_other_split_are_cut(place, tmp_path, split, other):
    write_windows(tmp_path / "w.parquet", unreadable(everything(place / "loops.parquet"), other))
    config = EvaluateConfig(split, block=500_000)
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet", config=config)
    n = len(read_windows(place / "loops.parquet", splits=[split]))
    assert set(found.loc[found["stratum"] == "all", "n"]) == {n}


def test_windows_without_a_label_are_left_out(place, tmp_path, table, judged):
    bare = everything(place / "loops.parquet")
    unlabelled = np.flatnonzero(bare["split"] == "test")[::4]
    label = bare["label"].copy()
    label[unlabelled] = np.nan
    write_windows(tmp_path / "w.parquet", changed(bare, label=label))
    found = evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet")
    kept = judged[~np.isin(np.arange(len(judged)), np.arange(len(judged))[::4])]
    assert set(found.loc[found["stratum"] == "all", "n"]) == {len(kept)}
    by_hand = auroc(kept["label"].to_numpy(), -(kept["y"] - kept["x"]).to_numpy(float))
    assert score(found, DISTANCE, "auroc") == pytest.approx(by_hand)


@pytest.mark.parametrize("label", [np.nan, 1.0])
def test_loops_cannot_be_told_from_nothing(place, tmp_path, label):
    write_windows(tmp_path / "w.parquet", changed(everything(place / "loops.parquet"), label=label))
    with pytest.raises(
        DataError, match=r"w\.parquet: of the split 'test' \d+ windows are labelled; loops and"
    ):
        evaluated(place, tmp_path / "out", windows=tmp_path / "w.parquet")
    assert not (tmp_path / "out").exists()


def test_a_model_of_tracks_alone_is_judged_beside_rows_of_the_map(place, tmp_path):
    untrained(tmp_path / "m", "loops", mode="tracks")
    found = evaluated(place, tmp_path / "out", beside={"tracks alone": tmp_path / "m"})
    assert {"model - tracks alone", f"model - {CENTRE}"} <= set(found["method"])
    assert score(found, "tracks alone", "brier") < 1
    with pytest.MonkeyPatch.context() as patch:
        bare = cell_line(patch, tmp_path / "bare.store", contacts=False)
    with pytest.raises(ModelError, match=r"bare\.store: has no layer of 5,000 bp"):
        evaluated(place, tmp_path / "bare", model=tmp_path / "m", store=bare.path)


def test_a_summary_shows_ranking_over_all_windows_and_no_differences():
    rows = [
        ("model", "auroc", "all"),
        ("model", "auroc", "no masked bin"),
        ("model", "brier", "all"),
        ("model - distance alone", "auroc", "all"),
        ("distance alone", "average_precision", "all"),
    ]
    table = pd.DataFrame(rows, columns=["method", "metric", "stratum"])
    assert headline_scores(table).index.tolist() == [0, 4]


# --- scores of other programs


def test_given_scores_have_rows_beside_the_model(place, tmp_path, judged):
    labelled = judged[judged["label"].notna()]
    label = labelled["label"].to_numpy()
    rng = np.random.default_rng(0)
    given = {"sure": 0.2 + 0.6 * label, "noise": rng.random(len(label)), "far": -labelled["y"] / 1e6}
    for name, values in given.items():
        write_scores(tmp_path / f"{name}.tsv", labelled, values)
    found = evaluated(place, tmp_path / "out", scores={name: tmp_path / f"{name}.tsv" for name in given})
    assert score(found, "sure", "auroc") == 1
    assert score(found, "sure", "brier") == pytest.approx(0.04)
    assert score(found, "noise", "auroc") == pytest.approx(auroc(label, given["noise"]), abs=1e-4)
    gain = score(found, "model", "auroc") - score(found, "noise", "auroc")
    assert score(found, "model - noise", "auroc") == pytest.approx(gain)
    assert "brier" not in set(found.loc[found["method"] == "far", "metric"])  # no probability


def test_scores_of_other_windows_are_refused(place, tmp_path, judged):
    write_scores(tmp_path / "few.tsv", judged.iloc[:3], np.zeros(3))
    with pytest.raises(DataError, match=r"few.tsv: has no score for"):
        evaluated(place, tmp_path / "out", scores={"few": tmp_path / "few.tsv"})
    assert not (tmp_path / "out").exists()
