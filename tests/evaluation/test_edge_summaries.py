import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError
from chromweave.evaluation.edge_summaries import paired_differences, summarise_scores


def test_summary_over_seeds():
    scores = pd.DataFrame(
        {
            "method": ["b", "b", "a"],
            "sampling": "uniform",
            "metric": "auc",
            "value": [0.5, 0.7, 0.9],
            "seed": [0, 1, 0],
            "pairs": 4,
        }
    )
    table = summarise_scores(scores)
    assert table["method"].tolist() == ["b", "a"]
    assert table["mean"].tolist() == [pytest.approx(0.6), 0.9]
    assert table["sd"][0] == pytest.approx(0.02**0.5)
    assert np.isnan(table["sd"][1])
    assert table["seeds"].tolist() == [2, 1]


def three_seeds():
    values = {"model": (0.8, 0.9, 0.7), "row": (0.7, 0.75, 0.65), "late": (np.nan, 0.5, 0.5)}
    return pd.DataFrame(
        [
            (method, "matched", "auc", value, seed, 10)
            for method, scores in values.items()
            for seed, value in enumerate(scores)
            if value == value
        ],
        columns=["method", "sampling", "metric", "value", "seed", "pairs"],
    )


def test_interval_is_students():
    from scipy.stats import t

    table = summarise_scores(three_seeds()).set_index("method")
    low, high = t.interval(0.95, 2, loc=0.8, scale=0.1 / 3**0.5)
    assert table.loc["model", ["mean", "low", "high"]].tolist() == pytest.approx([0.8, low, high])
    assert table["seeds"].tolist() == [3, 3, 2]


def test_differences_are_of_one_seed_each():
    table = paired_differences(three_seeds(), "model")
    assert table.columns.tolist() == three_seeds().columns.tolist()
    assert table["method"].tolist() == ["model - row"] * 3 + ["model - late"] * 2
    # 0.8 - 0.7, 0.9 - 0.75, 0.7 - 0.65; "late" has no seed 0: 0.9 - 0.5, 0.7 - 0.5.
    assert table["value"].tolist() == pytest.approx([0.1, 0.15, 0.05, 0.4, 0.2])
    assert table["seed"].tolist() == [0, 1, 2, 1, 2]


def test_differences_have_an_interval_of_their_own():
    from scipy.stats import t

    table = summarise_scores(three_seeds(), "model").set_index("method")
    assert list(table.index) == ["model", "row", "late", "model - row", "model - late"]
    # Differences 0.1, 0.15, 0.05: mean 0.1, standard deviation 0.05.
    reach = t.ppf(0.975, 2) * 0.05 / 3**0.5
    assert table.loc["model - row", ["mean", "low", "high"]].tolist() == pytest.approx(
        [0.1, 0.1 - reach, 0.1 + reach]
    )


def test_a_model_alone_has_no_differences():
    alone = three_seeds().query("method == 'model'")
    assert paired_differences(alone, "model").empty
    assert summarise_scores(alone, "model")["method"].tolist() == ["model"]


def test_no_such_model():
    with pytest.raises(DataError, match="no method 'gcn'; they have model, row, late"):
        paired_differences(three_seeds(), "gcn")


def test_two_scores_for_one_seed():
    twice = pd.concat([three_seeds(), three_seeds().iloc[:1]])
    with pytest.raises(DataError, match="two scores for one seed"):
        paired_differences(twice, "model")
