import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from chromweave import schemas
from chromweave.analysis.clustering import ClusterConfig
from chromweave.analysis.loops import CandidateConfig, Candidates, candidates, cluster
from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError
from tests.fakes_maps import MapInMemory, power_law_map, symmetric

NEAR = CandidateConfig(min_distance=10, max_distance=20)


def two_distances():
    """Five bins of 10 bp. Distance 1 holds 2 2 2 2, distance 2 holds 0 9 0, 3 what nobody asks for."""
    upper = np.zeros((5, 5), int)
    upper[np.arange(4), np.arange(1, 5)] = 2
    upper[1, 3] = 9
    upper[0, 3] = 50
    return symmetric(upper)


def test_by_hand_with_raw_counts():
    """Distance 2 has mean 3 > 2, so isotonic regression pools both: 17 contacts over 7 positions."""
    found = candidates(MapInMemory(two_distances(), resolution=10), weight=None, config=NEAR)
    assert (found.x_bins.tolist(), found.y_bins.tolist()) == ([1], [3])
    np.testing.assert_allclose(found.expected, [17 / 7])
    np.testing.assert_allclose(found.pvalue, poisson.sf(9, 17 / 7))
    assert found.count.tolist() == [9.0]


def test_survival_is_strict_and_the_threshold_exclusive():
    layer = MapInMemory(two_distances(), resolution=10)
    pvalue = poisson.sf(9, 17 / 7)  # P(X > 9): the 9 itself is not in it
    for threshold, kept in ((pvalue, 0), (pvalue * 1.001, 1)):
        config = CandidateConfig(min_distance=10, max_distance=20, pvalue=threshold)
        assert len(candidates(layer, weight=None, config=config)) == kept


def test_by_hand_with_weights():
    """Bin 1 is seen half as well: weight 2. Balanced, distance 1 holds 4 4 2 2, distance 2 holds 0 18 0."""
    weights = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    layer = MapInMemory(two_distances(), resolution=10, weights=weights)
    found = candidates(layer, weight="weight", config=NEAR)
    assert (found.x_bins.tolist(), found.y_bins.tolist()) == ([1], [3])
    np.testing.assert_allclose(found.expected, [30 / 7 / 2])  # 30 / 7 balanced, over w_1 w_3 = 2
    np.testing.assert_allclose(found.pvalue, poisson.sf(9, 30 / 14))


def test_masked_bins_have_no_candidates():
    weights = np.array([1.0, np.nan, 1.0, 1.0, 1.0])
    layer = MapInMemory(two_distances(), resolution=10, weights=weights)
    assert len(candidates(layer, weight="weight", config=NEAR)) == 0
    nothing = MapInMemory(two_distances(), resolution=10, weights=np.full(5, np.nan))
    assert len(candidates(nothing, weight="weight", config=NEAR)) == 0


@pytest.mark.parametrize("matrix", [np.zeros((40, 40), int), np.ones((1, 1), int), np.zeros((4, 4), int)])
def test_empty_and_tiny_maps(matrix):
    found = candidates(MapInMemory(matrix), weight=None)
    assert len(found) == 0
    assert len(cluster(found, np.zeros(0), chrom="chr1", resolution=5000)) == 0


def test_distances_are_inclusive_and_limited_to_the_band():
    upper = np.zeros((40, 40), int)
    for distance in (3, 4, 10, 11):
        upper[5, 5 + distance] = 200
    upper += np.triu(np.ones_like(upper))
    layer = MapInMemory(symmetric(upper), resolution=5000)
    config = CandidateConfig(min_distance=20_000, max_distance=50_000)
    found = candidates(layer, weight=None, config=config)
    assert (found.y_bins - found.x_bins).tolist() == [4, 10]
    band = MapInMemory(symmetric(upper), resolution=5000, n_diagonals=10)
    with pytest.raises(ConfigError, match="holds distances below 50,000 bp"):
        candidates(band, weight=None, config=config)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_a_direct_reading(seed):
    generator = np.random.default_rng(seed)
    matrix = power_law_map(40, 20.0, generator, [(5, 20), (12, 30)])
    weights = np.where(generator.random(40) < 0.1, np.nan, generator.uniform(0.5, 2, 40))
    found = candidates(MapInMemory(matrix, weights=weights), weight="weight")
    assert (found.pvalue < 0.01).all()
    np.testing.assert_allclose(found.pvalue, poisson.sf(found.count, found.expected))
    np.testing.assert_array_equal(found.count, matrix[found.x_bins, found.y_bins])
    assert np.isfinite(weights[found.x_bins]).all()
    balanced = found.expected * weights[found.x_bins] * weights[found.y_bins]
    order = np.argsort(found.y_bins - found.x_bins)
    assert (np.diff(balanced[order]) <= 1e-9).all()  # the further, the less


def test_config_is_checked():
    with pytest.raises(ConfigError, match="min_distance <= max_distance"):
        CandidateConfig(min_distance=10, max_distance=5)
    with pytest.raises(ConfigError, match="pvalue"):
        CandidateConfig(pvalue=0.0)


def scored(*rows):
    x, y, probability = (np.array(column) for column in zip(*rows, strict=True))
    n = len(x)
    found = Candidates(
        x.astype(np.int32), y.astype(np.int32), np.full(n, 6.0), np.full(n, 2.0), np.full(n, 0.001)
    )
    return found, probability.astype(float)


def test_loop_table():
    block = [(x, y, 0.9) for x in (50, 51, 52) for y in (80, 81, 82)]
    found, probability = scored(*block, (10, 30, 0.95))
    score = 2 * probability
    table = cluster(found, score, chrom="chr7", resolution=5000, length=412_500, probability=probability)
    schemas.LOOPS.check(table, "test")
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["chrom1"], row["start1"], row["end1"]) == ("chr7", 255_000, 260_000)
    assert (row["start2"], row["end2"]) == (405_000, 410_000)
    assert (row["observed"], row["expected"], row["oe"], row["distance"]) == (6.0, 2.0, 3.0, 150_000)
    assert (row["cluster_size"], row["name"]) == (9, "chr7_loop1")
    assert (row["score"], row["probability"]) == (1.8, 0.9)
    assert np.isnan(row["qvalue"])


def test_loops_without_a_model_have_no_probability_and_the_density_of_their_centre():
    """Two pixels side by side: the first is denser, the second has the better score and stands for both."""
    found, score = scored((50, 80, 3.0), (50, 81, 4.0), (50, 79, 3.5))
    config = ClusterConfig(
        threshold=2.0, min_neighbours=0, kernel_radius=1, separation=3, representative="highest-score"
    )
    table = cluster(found, score, chrom="chr1", resolution=5000, config=config)
    assert (table["start2"].tolist(), table["score"].tolist()) == ([405_000], [4.0])
    assert table["probability"].isna().all()
    np.testing.assert_allclose(table["density"], 3.0 + (4.0 + 3.5) * np.exp(-1))


def test_the_last_bin_ends_with_the_chromosome():
    found, probability = scored((0, 20, 0.9))
    config = ClusterConfig(min_neighbours=0)
    table = cluster(found, probability, chrom="chr1", resolution=5000, length=102_300, config=config)
    assert table["end2"].tolist() == [102_300]
    whole = cluster(found, probability, chrom="chr1", resolution=5000, config=config)
    assert whole["end2"].tolist() == [105_000]


def test_unscored_candidates_are_left_out_and_each_needs_its_score():
    found, probability = scored((0, 20, 0.9), (0, 60, np.nan))
    table = cluster(found, probability, chrom="chr1", resolution=5000, config=ClusterConfig(min_neighbours=0))
    assert table["start2"].tolist() == [100_000]
    with pytest.raises(DataError, match=r"2 candidates, but scores of shape \(1,\)"):
        cluster(found, probability[:1], chrom="chr1", resolution=5000)


@pytest.mark.real_data
def test_real_map_gives_the_known_number_of_candidates(real_data, tmp_path):
    """693,377 pixels in 20 kb to 2 Mb; mixhic.md 4.2 counted 137,945 candidates with bin weights."""
    contacts = real_data / "k562_chr22_hg38" / "K562.chr22.mcool"
    layer = build(tmp_path / "K562.store", contacts=contacts, resolutions=[5000]).layer("chr22", 5000)
    pixels = layer.pixels(2_005_000)
    assert (pixels.bin2 - pixels.bin1 >= 4).sum() == 693_377
    found = candidates(layer, weight="weight")
    assert len(found) == pytest.approx(137_945, rel=0.002)
    started = time.process_time()
    table = cluster(found, 1 - 50 * found.pvalue, chrom="chr22", resolution=5000)
    assert time.process_time() - started < 20
    assert 0 < len(table) < len(found) / 10
