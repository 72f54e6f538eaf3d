import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from chromweave.analysis.compartments import eigenvectors
from chromweave.analysis.confidence import decomposed_matrix, sign_confidence
from tests.fakes_graph import planted_store


def test_by_hand():
    """Row 0: shares 1, 3, mean 2: error sqrt(2 * 2) = 2, so t = 4 / 2 with one degree of freedom."""
    matrix = np.array([[1.0, 3.0], [3.0, -3.0]])
    found = sign_confidence(matrix, np.ones(2))
    assert found[0] == pytest.approx(t.cdf(2, 1))
    assert found[1] == 0.5, "a bin whose partners disagree to nothing is a coin"


def test_blocks_are_contiguous():
    """Partners 0-1 and 2-3: within a block they cancel or add, whatever their order."""
    matrix = np.array([[5.0, -4.0, 1.0, 2.0]] * 4)
    assert sign_confidence(matrix, np.ones(4), blocks=2)[0] == pytest.approx(t.cdf(4 / 2, 1))
    assert sign_confidence(matrix, np.ones(4), blocks=4)[0] < 0.8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_sign_and_scale_of_the_vector_do_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(30, 30))
    matrix += matrix.T
    vector = rng.normal(size=30)
    found = sign_confidence(matrix, vector)
    np.testing.assert_allclose(sign_confidence(matrix, -scale * vector), found)
    assert ((found >= 0.5) & (found <= 1)).all()


def test_partners_that_all_say_the_same_leave_no_doubt():
    vector = np.where(np.arange(40) < 20, 1.0, -1.0)
    assert (sign_confidence(np.outer(vector, vector), vector) == 1).all()


def test_it_is_the_chance_that_a_replicate_agrees():
    """Bins of known signal to noise: as sure on average as a second draw of the noise is of the sign."""
    rng = np.random.default_rng(0)
    axis = np.where(np.arange(200) % 20 < 10, 1.0, -1.0)
    signal = np.repeat([0.0, 0.05, 0.1, 0.3], 100)
    first, second = (signal[:, None] * axis + rng.normal(size=(400, 200)) for _ in range(2))
    found = sign_confidence(first, axis)
    same = np.sign(first @ axis) == np.sign(second @ axis)
    for sure in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01)):
        bins = (found >= sure[0]) & (found < sure[1])
        # The second draw is as noisy as the first: it agrees somewhat less often than the true sign would.
        assert found[bins].mean() - 0.2 < same[bins].mean() < found[bins].mean() + 0.1, sure
    assert found[signal == 0].mean() < 0.8 < 0.99 < found[signal == 0.3].mean()


def test_the_matrix_is_the_one_that_was_decomposed():
    """E1 times its eigenvalue is the matrix times E1; masked bins are in neither."""
    layer = planted_store(depth=200).layers["chr1"]
    balanced = layer.dense(weight="weight")
    found = eigenvectors(balanced)
    first = found.vectors[0]
    valid = np.isfinite(first)
    matrix = decomposed_matrix(balanced, 2, 99.9)
    assert matrix.shape == (118, 118)
    np.testing.assert_allclose(matrix @ first[valid], found.values[0] * first[valid], atol=1e-8)
    assert np.isnan(found.confidence[~valid]).all()
    np.testing.assert_array_equal(sign_confidence(matrix, first[valid]), found.confidence[valid])


def test_a_shallow_map_is_less_sure():
    def mean(depth):
        layer = planted_store(depth=depth).layers["chr1"]
        return np.nanmean(eigenvectors(layer.dense(weight="weight")).confidence)

    assert mean(3) < mean(30) - 0.02 < mean(300)
    assert mean(300) > 0.99
