import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score

from chromweave.errors import DataError
from chromweave.evaluation import metrics
from chromweave.evaluation.moments import Moments

seeds = st.integers(0, 2**32 - 1)


def sample(seed, shape=(3, 40)):
    generator = np.random.default_rng(seed)
    truth = generator.normal(2.0, 3.0, shape)
    prediction = 0.5 * truth + generator.normal(size=shape)
    mask = generator.random(shape) < 0.8
    truth[generator.random(shape) < 0.1] = np.nan
    return truth, prediction, mask


def test_by_hand():
    found = Moments.of(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0]))
    assert found.sums.tolist() == [3, 6, 9, 14, 33, 21]
    assert found.mean.tolist() == [2, 3]
    assert found.spread.tolist() == [2, 6, 3]
    assert found.pearson() == pytest.approx(3 / np.sqrt(12))
    # Residuals 1 0 2: 5, against a spread of 2 (truth) or 6 (prediction).
    assert found.r2() == pytest.approx(1 - 5 / 2)
    assert found.r2_swapped() == pytest.approx(1 - 5 / 6)


@settings(deadline=None)
@given(seeds)
def test_agree_with_metrics_scipy_and_scikit_learn(seed):
    truth, prediction, mask = sample(seed)
    rows = Moments.of(truth, prediction, mask, axis=-1)
    for k in range(3):
        used = mask[k] & np.isfinite(truth[k])
        t, p = truth[k][used], prediction[k][used]
        assert np.isclose(rows.pearson()[k], stats.pearsonr(t, p).statistic)
        assert np.isclose(rows.r2()[k], r2_score(t, p))
        assert np.isclose(rows.r2_swapped()[k], r2_score(p, t))
    pooled = rows.sum()
    assert np.isclose(pooled.pearson(), metrics.pearson(truth, prediction, mask))
    assert np.isclose(pooled.r2(), metrics.r2(truth, prediction, mask))
    assert np.isclose(pooled.r2_swapped(), metrics.r2_swapped(truth, prediction, mask))


@settings(deadline=None)
@given(seeds)
def test_parts_add_up(seed):
    truth, prediction, mask = sample(seed, (2, 3, 5))
    whole = Moments.of(truth, prediction, mask)
    assert whole.sums.shape == (6,)
    apart = Moments.of(truth, prediction, mask, axis=-1)
    np.testing.assert_allclose(apart.sum((0, 1)).sums, whole.sums)
    np.testing.assert_allclose(apart.sum(-1).sum(0).sums, whole.sums)
    np.testing.assert_allclose(apart.sum(1).sums, Moments.of(truth, prediction, mask, axis=(1, 2)).sums)


@settings(deadline=None)
@given(seeds)
def test_moving_the_origin(seed):
    truth, prediction, mask = sample(seed)
    shift = np.random.default_rng(seed).normal(size=(2, 3))
    moved = Moments.of(truth, prediction, mask, axis=-1).about(*shift)
    direct = Moments.of(truth - shift[0][:, None], prediction - shift[1][:, None], mask, axis=-1)
    np.testing.assert_allclose(moved.sums, direct.sums, atol=1e-9)
    np.testing.assert_allclose(moved.pearson(), direct.pearson())


def test_the_precision_that_is_promised():
    """Values round 10,000 with a standard deviation of 1 keep 6 digits."""
    generator = np.random.default_rng(0)
    signal, noise = generator.normal(size=(2, 1_000_000))
    truth, prediction = 1e4 + signal, 1e4 + signal + noise
    found = Moments.of(truth, prediction)
    assert found.pearson() == pytest.approx(metrics.pearson(truth, prediction), rel=1e-6)
    assert found.r2() == pytest.approx(metrics.r2(truth, prediction), abs=1e-6)
    pooled = Moments(np.repeat(found.sums[None], 100, axis=0)).sum()  # as for 1e8 entries
    assert pooled.pearson() == pytest.approx(float(found.pearson()), rel=1e-6)


def test_what_does_not_vary_has_no_correlation():
    flat, rising = np.full(9, 0.1) * 3, np.arange(9.0)
    assert np.isnan(Moments.of(flat, rising).pearson())
    assert np.isnan(Moments.of(rising, flat).pearson())
    assert np.isnan(Moments.of(flat, rising).r2())
    assert np.isfinite(Moments.of(rising, flat).r2())
    assert np.isnan(Moments.of(rising, flat).r2_swapped())
    assert np.isnan(Moments.of(np.array([1.0]), np.array([2.0])).pearson())
    empty = Moments.of(rising, rising, np.zeros(9, bool))
    assert np.isnan(empty.pearson())
    assert np.isnan(empty.mean).all()
    assert np.array_equal(empty.about(np.array(np.nan), np.array(np.nan)).sums, np.zeros(6))


def test_rounding_left_by_a_subtraction_is_no_variance():
    """Values constant but for their last digit, brought to 0: only what was before tells their size."""
    rising = np.arange(20.0)
    before = Moments.of(rising, 7.3 + 1e-9 * np.sin(rising))
    after = before.about(np.array(0.0), np.array(7.3))
    assert np.isnan(after.pearson(before))


def test_wrong_use():
    with pytest.raises(DataError, match="missing or infinite at 1 of 2"):
        Moments.of(np.array([1.0, 2.0, np.nan]), np.array([1.0, np.nan, np.nan]))
    with pytest.raises(DataError, match="six sums along the last axis"):
        Moments(np.zeros((6, 5)))
    with pytest.raises(DataError, match="no axis 1 to pool along"):
        Moments(np.zeros((2, 6))).sum(1)
