import numpy as np
import pandas as pd
import pytest

from chromweave.data.build import build
from chromweave.errors import DataError
from chromweave.evaluation.classification import auroc
from chromweave.evaluation.metrics import log_oe_pearson, pearson, r2, r2_swapped
from chromweave.evaluation.patches import patches
from chromweave.evaluation.strata import stratified_auroc
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


@pytest.fixture(scope="module")
def chr22(real_data, tmp_path_factory):
    """K562 chr22 at 5 kb, through a store."""
    contacts = real_data / "k562_chr22_hg38" / "K562.chr22.mcool"
    store = build(tmp_path_factory.mktemp("trivial") / "K562.store", contacts=contacts, resolutions=[5000])
    return store.layer("chr22", 5000)


@pytest.mark.real_data
def test_a_constant_beats_the_papers_networks_on_real_maps(chr22, real_data):
    """mixhic.md 5.3: PCC .9650, R2 .9308 (exchanged .9228) for the mean at each distance, no input at all.

    The paper's recipe: 50 x 50 bins around each TSS, values clipped at 255, a tenth of them not zero.
    """
    tss = pd.read_csv(real_data / "k562_chr22_hg38" / "tss_K562.tsv", sep="\t", header=None)
    bins = np.unique(tss.loc[tss[0].astype(str).isin(["22", "chr22"]), 1].to_numpy(np.int64) // 5000)
    bins = bins[(bins >= 25) & (bins + 25 <= chr22.n_bins)]
    squares = patches(chr22.pixels(255_000), bins, bins, 25, weight=chr22.weight("weight"))[:, :50, :50]
    windows = np.nan_to_num(squares * chr22.scale("weight")).clip(max=255) / 255
    kept = (windows > 0).mean(axis=(1, 2)) >= 0.1
    windows, distance = windows[kept], distance_grid(bins[kept], bins[kept], 50)
    assert len(windows) == pytest.approx(413, abs=5)
    cut = int(0.6 * len(windows))
    truth = windows[cut:]
    prediction = distance_mean_prediction(distance_mean(windows[:cut], distance[:cut]), distance[cut:])
    assert pearson(truth, prediction) == pytest.approx(0.9650, abs=0.002)
    assert r2(truth, prediction) == pytest.approx(0.9308, abs=0.003)
    assert r2_swapped(truth, prediction) == pytest.approx(0.9228, abs=0.003)
    assert np.isnan(log_oe_pearson(truth, prediction, distance[cut:]))


@pytest.mark.real_data
def test_distance_alone_is_worth_nothing_against_matched_negatives(chr22, real_data):
    """CTCF ChIA-PET loops against as many other contacts at each distance, more than 3 bins from them."""
    table = pd.read_csv(real_data / "k562_chr22_hg38" / "K562.CTCF_ChIA-PET.bedpe", sep="\t", header=None)
    table = table[(table[0] == "chr22") & (table[3] == "chr22")]
    loops = np.unique(table[[1, 4]].to_numpy(np.int64) // 5000, axis=0)
    distance = loops[:, 1] - loops[:, 0]
    loops = loops[(distance >= 4) & (distance <= 400)]
    pixels = chr22.pixels(2_005_000)
    generator = np.random.default_rng(0)
    negatives = [negative(pixels, y - x, loops, generator) for x, y in loops]
    both = np.concatenate([loops, negatives])
    label = np.repeat([1.0, 0.0], len(loops))
    scores = trivial_loop_scores(chr22, pairs(both[:, 0], both[:, 1]), "weight")
    bins = both[:, 1] - both[:, 0]
    assert stratified_auroc(label, scores["distance"].to_numpy(), bins) == 0.5
    usable = scores.notna().all(axis=1).to_numpy()
    assert usable.mean() > 0.9
    for column in ("centre", "centre_oe", "oe_5x5"):
        assert stratified_auroc(label, scores[column].to_numpy(), bins, usable) > 0.8


def negative(pixels, distance, loops, generator):
    """A contact at `distance` with no loop within 3 bins."""
    for x in generator.permutation(pixels.bin1[pixels.bin2 - pixels.bin1 == distance]):
        if np.abs(np.array([x, x + distance]) - loops).max(axis=1).min() > 3:
            return [x, x + distance]
    raise AssertionError("no contact at this distance is free of loops")
