import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import DataError
from chromweave.evaluation.patches import patches
from tests.fakes_maps import pixels_of, symmetric

MAP = symmetric(np.arange(36).reshape(6, 6))


def test_a_square_is_the_slice():
    cut = patches(pixels_of(MAP), np.array([2]), np.array([3]), 1)
    np.testing.assert_array_equal(cut[0], MAP[1:4, 2:5])


def test_outside_of_the_chromosome_is_unknown():
    cut = patches(pixels_of(MAP), np.array([0]), np.array([5]), 1)[0]
    assert np.isnan(cut[0]).all()
    assert np.isnan(cut[:, 2]).all()
    np.testing.assert_array_equal(cut[1:, :2], MAP[0:2, 4:6])


def test_beyond_the_band_is_unknown_not_zero():
    cut = patches(pixels_of(MAP), np.array([1]), np.array([3]), 1, n_diagonals=3)[0]
    np.testing.assert_array_equal(np.isnan(cut), [[False, True, True], [False, False, True], [False] * 3])


def test_expected_divides_by_distance():
    expected = np.array([0.0, 2.0, 4.0])
    cut = patches(pixels_of(MAP), np.array([1]), np.array([2]), 1, expected=expected)[0]
    assert cut[1, 1] == MAP[1, 2] / 2
    assert cut[1, 2] == MAP[1, 3] / 4
    assert np.isnan(cut[1, 0])  # nothing is expected on the main diagonal
    assert np.isnan(cut[0, 2])  # distance 3 is beyond what is known


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_equals_dense_slicing(seed, half):
    generator = np.random.default_rng(seed)
    n_bins = 12
    matrix = symmetric(generator.poisson(0.7, (n_bins, n_bins)))
    weight = np.where(generator.random(n_bins) < 0.2, np.nan, generator.uniform(0.5, 2.0, n_bins))
    balanced = np.pad(matrix * weight * weight[:, None], half, constant_values=np.nan)
    x, y = generator.integers(0, n_bins, (2, 8))
    cut = patches(pixels_of(matrix), x, y, half, weight=weight)
    side = 2 * half + 1
    for k in range(8):
        np.testing.assert_allclose(cut[k], balanced[x[k] : x[k] + side, y[k] : y[k] + side])


def test_a_weight_of_another_chromosome_is_refused():
    with pytest.raises(DataError, match="weight has 2 values"):
        patches(pixels_of(MAP), np.array([1]), np.array([2]), 1, weight=np.ones(2))
