import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import DataError
from chromweave.evaluation.expected import expected_by_distance
from tests.fakes_maps import pixels_of, symmetric

# Four bins: diagonal 8 6 4 2; distance 1: 3 0 6; distance 2: 5 1; distance 3: 7.
MAP = symmetric(np.array([[8, 3, 5, 7], [0, 6, 0, 1], [0, 0, 4, 6], [0, 0, 0, 2]]))


def test_positions_without_a_contact_count():
    assert expected_by_distance(pixels_of(MAP), 4).tolist() == [5.0, 3.0, 3.0, 7.0]


def test_positions_of_a_masked_bin_do_not():
    valid = np.array([True, True, False, True])
    # Left: diagonal 8 6 2, distance 1: 3; distance 2: 1; distance 3: 7.
    assert expected_by_distance(pixels_of(MAP), 4, valid=valid).tolist() == [16 / 3, 3.0, 1.0, 7.0]


def test_weights_multiply_and_mask():
    weight = np.array([2.0, 1.0, np.nan, 0.5])
    # Diagonal 8*4, 6*1, 2*.25; distance 1: 3*2; distance 2: 1*1*.5; distance 3: 7*2*.5.
    expected = expected_by_distance(pixels_of(MAP), 4, weight=weight)
    np.testing.assert_allclose(expected, [38.5 / 3, 6.0, 0.5, 7.0])


def test_monotone_pools_neighbours_by_their_positions():
    # Distances 1, 2, 3 have means 3, 3, 7 over 3, 2, 1 positions: pooled to (9 + 6 + 7) / 6.
    expected = expected_by_distance(pixels_of(MAP), 4, first=1, monotone=True)
    assert np.isnan(expected[0])
    np.testing.assert_allclose(expected[1:], 22 / 6)


def test_distances_beyond_the_chromosome_are_unknown():
    assert np.isnan(expected_by_distance(pixels_of(MAP), 6)[4:]).all()


def test_nothing_valid_gives_nothing():
    assert np.isnan(expected_by_distance(pixels_of(MAP), 4, valid=np.zeros(4, bool), monotone=True)).all()


def test_a_vector_of_another_chromosome_is_refused():
    with pytest.raises(DataError, match="weight has 3 values, but the chromosome 4 bins"):
        expected_by_distance(pixels_of(MAP), 4, weight=np.ones(3))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_equals_a_dense_mean_and_never_rises(seed, n_bins):
    generator = np.random.default_rng(seed)
    matrix = symmetric(generator.poisson(2.0, (n_bins, n_bins)))
    weight = np.where(generator.random(n_bins) < 0.2, np.nan, generator.uniform(0.5, 2.0, n_bins))
    balanced = matrix * weight * weight[:, None]
    expected = expected_by_distance(pixels_of(matrix), n_bins, weight=weight)
    for distance in range(n_bins):
        diagonal = np.diagonal(balanced, distance)
        known = diagonal[np.isfinite(diagonal)]
        assert (
            np.isnan(expected[distance]) if known.size == 0 else np.isclose(expected[distance], known.mean())
        )
    monotone = expected_by_distance(pixels_of(matrix), n_bins, weight=weight, monotone=True)
    falling = np.diff(monotone[np.isfinite(monotone)])
    assert (falling <= 1e-12).all()
