import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import log_loss

from chromweave.errors import DataError
from chromweave.evaluation.calibration import TEMPERATURES, expected_calibration_error, fit_temperature
from chromweave.evaluation.classification import auroc

seeds = st.integers(0, 2**32 - 1)


def overconfident(seed, n=400, factor=3.0):
    """Labels drawn with the probability their logit says, and that logit made `factor` times too sure."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(0, 2, n)
    return (generator.random(n) < expit(logit)).astype(float), factor * logit


def test_temperature_by_hand():
    """Logits of 2 that are right 3 times of 4: sigmoid(2 / T) must be 3/4, so that 2 / T is log 3."""
    label = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    logit = np.array([2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0])
    assert fit_temperature(label, logit) == pytest.approx(2 / np.log(3))


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_temperature_minimises_the_log_loss(seed):
    label, logit = overconfident(seed)
    found = fit_temperature(label, logit)
    assert found == pytest.approx(3.0, rel=0.5)
    best = minimize_scalar(
        lambda log_t: log_loss(label, expit(logit / np.exp(log_t)), labels=[0, 1]),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(np.exp(best.x), rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(seeds, st.floats(0.5, 4.0))
def test_temperature_follows_the_scale_of_logits(seed, factor):
    label, logit = overconfident(seed)
    assert fit_temperature(label, factor * logit) == pytest.approx(factor * fit_temperature(label, logit))


def test_temperature_mends_calibration_and_keeps_the_order():
    label, logit = overconfident(0, 20_000)
    cooled = logit / fit_temperature(label, logit)
    assert expected_calibration_error(label, expit(logit)) > 0.08
    assert expected_calibration_error(label, expit(cooled)) < 0.02
    assert auroc(label, cooled) == auroc(label, logit)


def test_temperature_ends_at_a_bound_where_nothing_inside_is_best():
    low, high = TEMPERATURES
    logit = np.array([-3.0, -1.0, 1.0, 2.0])
    separated = np.array([0.0, 0.0, 1.0, 1.0])
    assert fit_temperature(separated, logit) == low
    assert fit_temperature(1 - separated, logit) == high
    assert fit_temperature(np.ones(2), np.array([1.0, 2.0])) == low
    assert fit_temperature(np.zeros(2), np.array([1.0, 2.0])) == high
    assert fit_temperature(separated, np.zeros(4)) == 1.0
    huge = fit_temperature(separated, 1e5 * np.array([-1.0, 1.0, -1.0, 1.0]))  # right as often as wrong
    assert huge == high


def test_temperature_leaves_out_what_does_not_count():
    label, logit = overconfident(1)
    mask = np.arange(400) % 3 > 0
    label[7] = np.nan
    used = mask & np.isfinite(label)
    assert fit_temperature(label, logit, mask) == fit_temperature(label[used], logit[used])


def test_expected_calibration_error_by_hand():
    # Two bins: (0.2, 0.4) hold one loop of 2 where 0.3 was said; (0.6, 0.8, 1.0) three of 3 where 0.8 was.
    label = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    probability = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    assert expected_calibration_error(label, probability, bins=2) == pytest.approx((2 * 0.2 + 3 * 0.2) / 5)
    assert expected_calibration_error(label, probability, label == 1, bins=1) == pytest.approx(0.3)


def test_wrong_use():
    with pytest.raises(DataError, match="no labelled pair"):
        fit_temperature(np.array([np.nan]), np.array([1.0]))
    with pytest.raises(DataError, match="labels must be 0 or 1, not 2"):
        fit_temperature(np.array([2.0]), np.array([1.0]))
    with pytest.raises(DataError, match="missing or infinite"):
        fit_temperature(np.array([1.0]), np.array([np.inf]))
    assert np.isnan(expected_calibration_error(np.array([np.nan]), np.array([0.5])))
