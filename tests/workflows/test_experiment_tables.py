"""Means, intervals and paired differences by hand; what could not be run stays in the table."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from chromweave.errors import ConfigError
from chromweave.evaluation.table import Result, results_table
from chromweave.files import read_json
from chromweave.schemas import RESULTS, Column
from chromweave.workflows.experiment_tables import (
    arm_rows,
    difference_rows,
    experiment_schema,
    mean_rows,
    shown_metrics,
    with_intervals,
    write_experiment,
)
from chromweave.workflows.experiments import Arm, Outcome

SCHEMA = experiment_schema(
    "toy",
    Column("start", "text", "either"),
    Column("ratio", "number", "a share"),
    Column("draw", "integer", "which", nullable=True),
)


def outcome(start, value, *, ratio=0.1, draw=0, seed=0, missing="", low=math.nan, high=math.nan):
    arm = Arm(
        name=f"{start}.{draw}.{seed}",
        conditions={"start": start, "ratio": ratio, "draw": draw},
        model=None,
        store=None,
        windows=None,
        seed=seed,
        trivial={"start": "none", "ratio": ratio, "draw": draw},
        missing=missing,
    )
    scores = [
        Result("loops", "model", "auroc", value, low=low, high=high, n=40, seed=9),
        Result("loops", "model", "auroc", value / 2, stratum="near", n=20, seed=9),
        Result("loops", "distance alone", "auroc", 0.7, n=40, seed=9),
        Result("loops", "model - distance alone", "auroc", value - 0.7, n=40, seed=9),
    ]
    return Outcome(arm, None if missing else results_table(scores))


def pooled(rows, **conditions):
    chosen = rows[rows["stratum"] == "all"]
    for name, value in conditions.items():
        chosen = chosen[chosen[name] == value]
    return chosen


def test_arms_keep_their_own_seed_and_share_trivial_rows():
    rows = arm_rows([outcome("a", 0.8, seed=3), outcome("b", 0.6, seed=3), outcome("a", 0.9, draw=1)], SCHEMA)
    assert list(rows.columns) == [column.name for column in SCHEMA.columns]
    SCHEMA.check(rows, "toy")
    own = pooled(rows, method="model")
    assert own[["start", "draw", "seed", "value"]].values.tolist() == [
        ["a", 0, 3, 0.8],
        ["b", 0, 3, 0.6],
        ["a", 1, 0, 0.9],
    ]
    trivial = pooled(rows, method="distance alone")
    assert trivial[["start", "draw", "seed", "runs"]].values.tolist() == [
        ["none", 0, 9, 0],
        ["none", 1, 9, 0],
    ]
    assert pooled(rows, method="model - distance alone")["start"].tolist() == ["a", "b", "a"]
    assert set(rows["row"]) == {"arm"}


def test_what_could_not_be_run_is_listed_without_value():
    rows = arm_rows([outcome("a", 0.8), outcome("b", 0, missing="less than one window")], SCHEMA)
    (absent,) = pooled(rows, start="b").to_dict("records")
    assert (absent["metric"], absent["note"]) == ("auroc", "less than one window")
    assert (absent["n"], absent["runs"]) == (0, 0)
    assert math.isnan(absent["value"])
    mean = mean_rows(rows, SCHEMA, ["start", "ratio"])
    (absent,) = pooled(mean, start="b").to_dict("records")
    assert (absent["runs"], absent["note"]) == (0, "1 of 1 without a value: less than one window")


def test_a_mean_is_over_draws_each_the_mean_of_its_seeds():
    """Draws 0.7 (0.6, 0.8), 0.8 and 0.9; seeds within a draw are no independent draws."""
    outcomes = [
        outcome("a", 0.6, seed=0),
        outcome("a", 0.8, seed=1),
        outcome("a", 0.8, draw=1),
        outcome("a", 0.9, draw=2),
    ]
    mean = mean_rows(arm_rows(outcomes, SCHEMA), SCHEMA, ["start", "ratio"])
    assert len(mean) == 2
    (row,) = pooled(mean).to_dict("records")
    expected = stats.ttest_1samp([0.7, 0.8, 0.9], 0).confidence_interval(0.95)
    assert row["value"] == pytest.approx(0.8)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert (row["runs"], row["n"], row["row"], row["method"]) == (4, 40, "mean", "model")
    assert mean[["draw", "seed"]].isna().all(axis=None)


def test_of_one_draw_the_interval_is_over_seeds():
    outcomes = [outcome("a", value, seed=seed) for seed, value in enumerate((0.7, 0.8, 0.9))]
    (row,) = pooled(mean_rows(arm_rows(outcomes, SCHEMA), SCHEMA, ["start", "ratio"])).to_dict("records")
    expected = stats.ttest_1samp([0.7, 0.8, 0.9], 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_differences_are_paired_by_draw_and_seed():
    """The draws differ by far more than the starts, which differ by 0.05, 0.06 and 0.07."""
    draws = [(0.2, 0.25), (0.5, 0.56), (0.8, 0.87)]
    outcomes = [
        outcome(start, value, draw=draw)
        for draw, pair in enumerate(draws)
        for start, value in zip("ba", pair, strict=True)
    ]
    rows = difference_rows(arm_rows(outcomes, SCHEMA), SCHEMA, "start", "a", "b", ["ratio"])
    (row,) = pooled(rows).to_dict("records")
    expected = stats.ttest_rel([b for _, b in draws], [a for a, _ in draws]).confidence_interval(0.95)
    assert (row["start"], row["note"], row["ratio"]) == (
        "a - b",
        "differs from 0 over draws, on these test windows",
        0.1,
    )
    assert row["value"] == pytest.approx(0.06)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("pairs", "note"),
    [
        ([(0.5, 0.6), (0.6, 0.5)], "no difference seen"),
        ([(0.5, 0.6)], "one pair has no interval: nothing can be said"),
        ([(math.nan, 0.6)], "no pair has both values"),
        ([(0.5, 0.6), (0.5, 0.6)], "differs from 0 over draws, on these test windows"),
    ],
)
def test_what_a_difference_says(pairs, note):
    outcomes = [
        outcome(start, value, draw=draw)
        for draw, pair in enumerate(pairs)
        for start, value in zip("ab", pair, strict=True)
    ]
    rows = difference_rows(arm_rows(outcomes, SCHEMA), SCHEMA, "start", "a", "b")
    assert pooled(rows)["note"].tolist() == [note]


def test_a_pair_that_lacks_one_side_does_not_count():
    outcomes = [
        *(outcome("a", 0.8 + draw / 10, draw=draw) for draw in range(2)),
        outcome("b", 0.6),
        outcome("b", 0, draw=1, missing="no window"),
    ]
    (row,) = pooled(difference_rows(arm_rows(outcomes, SCHEMA), SCHEMA, "start", "a", "b")).to_dict("records")
    assert row["value"] == pytest.approx(0.2)
    assert row["runs"] == 1


def test_one_run_is_drawn_with_its_own_interval_and_several_with_theirs():
    outcomes = [outcome("a", 0.8, low=0.7, high=0.85)]
    outcomes += [outcome("b", value, draw=draw, low=0.0, high=1.0) for draw, value in enumerate((0.5, 0.6))]
    rows = arm_rows(outcomes, SCHEMA)
    rows = pd.concat([rows, mean_rows(rows, SCHEMA, ["start"])], ignore_index=True)
    alone, several = pooled(with_intervals(rows, ["start"])).to_dict("records")
    assert (alone["low"], alone["high"]) == (0.7, 0.85)
    assert 0 < several["high"] - several["value"] != pytest.approx(1 - 0.55)


def test_metrics_of_the_figure():
    rows = arm_rows([outcome("a", 0.8)], SCHEMA)
    assert shown_metrics(rows, None, 3) == ["auroc"] == shown_metrics(rows, "auroc", 1)
    with pytest.raises(ConfigError, match="no metric 'f1' was measured; there are auroc"):
        shown_metrics(rows, "f1", 1)


def test_table_figure_and_provenance_are_written(tmp_path):
    source = tmp_path / "w.parquet"
    source.write_text("x")
    rows = arm_rows([outcome("a", 0.8), outcome("b", 0, missing="none left")], SCHEMA)
    rows = pd.concat([rows, mean_rows(rows, SCHEMA, ["start", "ratio"])], ignore_index=True)
    written = write_experiment(
        tmp_path, "toy", rows, SCHEMA, Figure(), inputs=[source], extra={"validation": "whole"}
    )
    assert {path.name for path in tmp_path.iterdir()} == {"w.parquet", "toy.tsv", "toy.json", "toy.png"}
    tsv = pd.read_csv(tmp_path / "toy.tsv", sep="\t")
    assert list(tsv.columns)[-len(RESULTS.columns) - 2 : -2] == [column.name for column in RESULTS.columns]
    assert tsv["value"].iloc[0] == 0.8
    assert np.isnan(tsv["value"][tsv["start"] == "b"]).all()
    record = read_json(tmp_path / "toy.json")
    assert len(record["results"]) == len(written)
    known = [row["value"] for row in record["results"] if row["start"] == "a" and row["stratum"] == "all"]
    assert known == pytest.approx([0.8, 0.1, 0.8])  # the arm, its difference to the trivial row, and the mean
    assert {row["value"] for row in record["results"] if row["start"] == "b"} == {None}
    assert record["inputs"][0]["bytes"] == 1
    assert (record["validation"], record["experiment"]) == ("whole", "toy")
    assert {"chromweave", "command", "machine", "time"} <= set(record)
