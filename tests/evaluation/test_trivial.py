import numpy as np
import pandas as pd
import pytest

from chromweave.errors import DataError
from chromweave.evaluation.classification import auroc
from chromweave.evaluation.trivial import (
    distance_grid,
    distance_mean,
    distance_mean_prediction,
    fit_boosting,
    trivial_loop_scores,
)
from tests.fakes_maps import MapInMemory, power_law_map, symmetric


def pairs(x, y, resolution=5000, **columns):
    return pd.DataFrame(
        {"chrom": "chr1", "x": np.array(x) * resolution, "y": np.array(y) * resolution, **columns}
    )


def test_scores_by_hand():
    matrix = np.full((30, 30), 2)
    matrix[5, 15] = matrix[15, 5] = 12
    layer = MapInMemory(matrix)
    scores = trivial_loop_scores(layer, pairs([5, 15], [15, 25]), None)
    # At distance 10 there are 20 positions: 19 hold 2, one 12; the mean is 2.5.
    assert scores["distance"].tolist() == [-50_000.0, -50_000.0]
    assert scores["centre"].tolist() == [12.0, 2.0]
    np.testing.assert_allclose(scores["centre_oe"], [12 / 2.5, 2 / 2.5])
    # Of 25 pixels, 5 lie at distance 10 and 20 at others, where observed equals expected.
    np.testing.assert_allclose(scores["oe_5x5"], [(20 + (12 + 4 * 2) / 2.5) / 25, (20 + 5 * 0.8) / 25])


def test_masked_bins_are_unknown_and_the_band_ends():
    weights = np.ones(30)
    weights[5] = np.nan
    matrix = symmetric(np.full((30, 30), 2))
    layer = MapInMemory(matrix, weights=weights, n_diagonals=20)
    scores = trivial_loop_scores(layer, pairs([5, 6, 1], [15, 16, 25]), "weight")
    assert scores["centre"].isna().tolist() == [True, False, True]
    assert scores["centre_oe"].isna().tolist() == [True, False, True]
    np.testing.assert_allclose(scores["oe_5x5"], [1.0, 1.0, np.nan])
    assert scores["distance"].notna().all()


def test_rows_keep_their_index_and_anchor_order_does_not_matter():
    layer = MapInMemory(power_law_map(40, 30.0, np.random.default_rng(0)))
    table = pairs([3, 20], [9, 12])
    table.index = [7, 3]
    scores = trivial_loop_scores(layer, table, None)
    assert scores.index.tolist() == [7, 3]
    turned = trivial_loop_scores(layer, table.rename(columns={"x": "y", "y": "x"}), None)
    pd.testing.assert_frame_equal(scores, turned)


def test_one_chromosome_at_a_time():
    table = pairs([1, 2], [3, 4])
    table.loc[1, "chrom"] = "chr2"
    with pytest.raises(DataError, match="not of chr1, chr2"):
        trivial_loop_scores(MapInMemory(np.ones((9, 9), int)), table, None)


def planted(seed):
    """Loops and non-loops of the same distances on a map with strong planted loops."""
    generator = np.random.default_rng(seed)
    x = np.arange(10, 280, 9)
    y = x + generator.integers(8, 15, len(x))
    label = np.arange(len(x)) % 2
    chosen = [(a, b) for a, b, positive in zip(x, y, label, strict=True) if positive]
    return MapInMemory(power_law_map(300, 80.0, generator, chosen)), pairs(x, y), label.astype(float)


def test_boosting_learns_from_pixels_and_obeys_its_seed():
    layer, table, label = planted(0)
    train = trivial_loop_scores(layer, table, None)
    fitted = fit_boosting(pd.concat([train] * 4), np.tile(label, 4), seed=1)
    again = fit_boosting(pd.concat([train] * 4), np.tile(label, 4), seed=1)
    other, table, label = planted(1)
    test = trivial_loop_scores(other, table, None)
    probability = fitted.predict(test)
    assert auroc(label, probability) > 0.9
    assert abs(auroc(label, test["distance"].to_numpy()) - 0.5) < 0.3
    np.testing.assert_array_equal(probability, again.predict(test))


def test_boosting_takes_missing_values_but_not_missing_labels():
    layer, table, label = planted(0)
    scores = trivial_loop_scores(layer, table, None)
    scores.loc[0, "centre_oe"] = np.nan
    assert np.isfinite(fit_boosting(scores, label, seed=0).predict(scores)).all()
    with pytest.raises(DataError, match=r"found \[1.0\]"):
        fit_boosting(scores, np.ones(len(scores)), seed=0)
    label[0] = np.nan
    with pytest.raises(DataError, match="1 unlabelled"):
        fit_boosting(scores, label, seed=0)


def test_distance_grid():
    grid = distance_grid(np.array([5, 5]), np.array([5, 8]), 4)
    assert grid.shape == (2, 4, 4)
    assert np.diagonal(grid[0]).tolist() == [0, 0, 0, 0]
    assert grid[1, 2, 2] == 3  # the anchor pixel stands at half of the side
    assert grid[1, 3].tolist() == [0, 1, 2, 3]  # row 6 with columns 6 to 9


def test_distance_mean_is_fitted_and_predicted():
    distance = distance_grid(np.array([10]), np.array([10]), 4)
    windows = np.array([[[8, 4, 2, 1], [4, 6, 2, 4], [2, 2, 9, np.nan], [1, 4, np.nan, 9]]])
    mean = distance_mean(windows, distance)
    np.testing.assert_allclose(mean, [8.0, 3.0, 3.0, 1.0])
    prediction = distance_mean_prediction(mean[:3], distance)
    assert prediction[0, 0].tolist() == [8.0, 3.0, 3.0, 3.0]  # distance 3 was not seen
    rows, columns = np.array([[1.0, 2.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 0.5, 1.0]])
    seen = distance_mean_prediction(mean, distance, visibility_rows=rows, visibility_columns=columns)
    assert seen[0, 1].tolist() == [6.0, 16.0, 3.0, 6.0]


def test_distance_mean_of_nothing():
    with pytest.raises(DataError, match="no training entry"):
        distance_mean_prediction(
            distance_mean(np.full((2, 2), np.nan), np.zeros((2, 2), int)), np.zeros((2, 2), int)
        )
