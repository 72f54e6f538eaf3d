"""Means of draws: by hand, and against a t test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chromweave.evaluation.means import mean_interval

NAN = float("nan")


def test_the_interval_of_a_mean_by_hand():
    # Deviations -1, 0, 1: standard deviation 1, error of the mean 1 / sqrt(3), t(2) at 97.5 % 4.3027.
    found = mean_interval(np.array([1.0, 2.0, 3.0, NAN]))
    assert found == pytest.approx((2, 2 - 4.30265 / np.sqrt(3), 2 + 4.30265 / np.sqrt(3)), rel=1e-5)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20).filter(lambda values: np.ptp(values) > 1e-3))
def test_the_interval_of_a_mean_is_that_of_a_t_test(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(np.array(values))[1:] == pytest.approx((expected.low, expected.high))


def test_one_draw_has_no_interval():
    assert mean_interval(np.array([3.0])).value == 3
    assert np.isnan(mean_interval(np.array([3.0]))[1:]).all()
    assert np.isnan(mean_interval(np.array([]))).all()
