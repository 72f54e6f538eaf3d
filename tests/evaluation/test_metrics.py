import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score

from chromweave.errors import DataError
from chromweave.evaluation.metrics import (
    diamond_insulation,
    insulation_correlation,
    log_oe_pearson,
    observed_over_expected,
    pearson,
    pearson_by_distance,
    r2,
    r2_swapped,
    spearman,
)

seeds = st.integers(0, 2**32 - 1)


def sample(seed, n=40):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=n).round(1)  # rounded: ties matter to ranks
    return truth, (0.5 * truth + generator.normal(size=n)).round(1), generator.random(n) < 0.8


@settings(deadline=None)
@given(seeds)
def test_agree_with_scipy_and_scikit_learn(seed):
    truth, prediction, mask = sample(seed)
    t, p = truth[mask], prediction[mask]
    assert np.isclose(pearson(truth, prediction, mask), stats.pearsonr(t, p).statistic)
    assert np.isclose(spearman(truth, prediction, mask), stats.spearmanr(t, p).statistic)
    assert np.isclose(r2(truth, prediction, mask), r2_score(t, p))
    assert np.isclose(r2_swapped(truth, prediction, mask), r2_score(p, t))


def test_r2_has_truth_first():
    """Truth 0 1 2, all predicted 1 but the last 2: residual 1, truth varies by 2, predictions by 2/3."""
    truth, prediction = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    assert r2(truth, prediction) == pytest.approx(1 - 1 / 2)
    assert r2_swapped(truth, prediction) == pytest.approx(1 - 1 / (2 / 3))


def test_the_papers_r2_follows_from_its_correlation():
    """A calibrated predictor of r = 0.9569 gets .916, exchanged .908 (mixhic.md 4.1)."""
    generator = np.random.default_rng(0)
    signal, noise = generator.normal(size=(2, 400_000))
    correlation = 0.9569
    truth = correlation * signal + np.sqrt(1 - correlation**2) * noise
    prediction = correlation * signal
    assert r2(truth, prediction) == pytest.approx(0.916, abs=2e-3)
    assert r2_swapped(truth, prediction) == pytest.approx(0.908, abs=2e-3)


def test_constants_have_no_correlation():
    flat = np.ones(5)
    assert np.isnan(pearson(flat, np.arange(5.0)))
    assert np.isnan(spearman(np.arange(5.0), flat))
    assert np.isnan(r2(flat, np.arange(5.0)))
    assert np.isnan(pearson(np.array([1.0]), np.array([2.0])))
    assert np.isnan(pearson(np.zeros(0), np.zeros(0)))


def test_rounding_is_no_variance():
    """The mean at each distance, taken in another order, differs in its last digit only."""
    flat = 0.1 + np.array([0.0, 1e-17, 2e-17, 3e-17] * 5) + np.tile([0.0, 1.4e-17], 10)
    rising = np.arange(20.0)
    assert np.isnan(pearson(rising, flat))
    assert np.isnan(pearson_by_distance(rising, flat, np.zeros(20, int)).value).all()
    assert np.isnan(log_oe_pearson(rising + 1, flat, np.zeros(20, int)))
    assert pearson(rising, 1e6 + 1e-3 * rising) == pytest.approx(1.0)


def test_pearson_by_distance():
    distance = np.array([0, 0, 0, 2, 2, 2, 5])
    truth = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 9.0])
    prediction = np.array([2.0, 4.0, 6.0, 3.0, 2.0, 1.0, 9.0])
    curve = pearson_by_distance(truth, prediction, distance)
    assert curve.distance.tolist() == [0, 2, 5]
    np.testing.assert_allclose(curve.value, [1.0, -1.0, np.nan])
    assert curve.n.tolist() == [3, 3, 1]


def test_pearson_by_distance_leaves_masked_entries_out():
    truth = np.array([[1.0, 2.0], [3.0, 100.0]])
    curve = pearson_by_distance(
        truth, truth * 2, np.zeros((2, 2), int), np.array([[True, True], [True, False]])
    )
    assert curve.n.tolist() == [3]
    np.testing.assert_allclose(curve.value, [1.0])


def test_observed_over_expected():
    values = np.array([2.0, 4.0, np.nan, 10.0, 0.0])
    ratio = observed_over_expected(values, np.array([1, 1, 1, 3, 4]))
    np.testing.assert_allclose(ratio, [2 / 3, 4 / 3, np.nan, 1.0, np.nan])


@settings(deadline=None)
@given(seeds)
def test_distance_alone_wins_nothing_in_log_oe(seed):
    """Any prediction's O/E is untouched when each distance is scaled by its own factor."""
    generator = np.random.default_rng(seed)
    distance = generator.integers(0, 5, 60)
    truth, prediction = generator.uniform(0.5, 2.0, (2, 60))
    plain = log_oe_pearson(truth, prediction, distance)
    scaled = log_oe_pearson(truth * 0.5**distance, prediction * 0.1**distance, distance)
    assert np.isclose(plain, scaled)


def test_the_per_distance_mean_has_no_log_oe_correlation():
    distance = np.repeat([0, 1], 4)
    truth = np.array([8.0, 10.0, 9.0, 13.0, 1.0, 3.0, 2.0, 2.0])
    prediction = np.where(distance == 0, 10.0, 2.0)
    assert pearson(truth, prediction) > 0.9
    assert np.isnan(log_oe_pearson(truth, prediction, distance))


def test_log_oe_leaves_zeros_out_unless_given_a_pseudocount():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    prediction = np.array([9.0, 1.0, 2.0, 3.0])
    distance = np.zeros(4, int)
    assert log_oe_pearson(truth, prediction, distance) == pytest.approx(1.0)
    assert log_oe_pearson(truth, prediction, distance, pseudocount=0.1) < 0


def test_insulation_by_hand():
    matrix = np.full((5, 5), 4.0)
    matrix[:2, 3:] = 1.0  # contacts across bin 2
    matrix[3:, :2] = 1.0
    # Width 1: bin 1 sees entry (0, 2) = 4, bin 2 entry (1, 3) = 1, bin 3 entry (2, 4) = 4; their mean is 3.
    scores = diamond_insulation(matrix, 1)
    np.testing.assert_allclose(scores, [np.nan, np.log2(4 / 3), np.log2(1 / 3), np.log2(4 / 3), np.nan])


def test_insulation_correlation_ignores_what_is_masked():
    generator = np.random.default_rng(3)
    truth = generator.uniform(1, 2, (4, 12, 12))
    prediction = truth.copy()
    mask = np.ones(truth.shape, bool)
    mask[:, 5, :] = mask[:, :, 5] = False
    prediction[~mask] = 1e6
    assert insulation_correlation(truth, prediction, 2, mask) == pytest.approx(1.0)
    assert insulation_correlation(truth, prediction, 2) < 0.9


def test_insulation_needs_room():
    with pytest.raises(DataError, match="needs square maps of 7 bins"):
        diamond_insulation(np.ones((5, 5)), 3)
