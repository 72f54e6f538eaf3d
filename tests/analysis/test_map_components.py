import numpy as np
import pytest

from chromweave.analysis.map_components import map_components, observed_over_expected
from chromweave.errors import DataError


def checkerboard(n=120, seed=0):
    rng = np.random.default_rng(seed)
    state = np.where((np.arange(n) // 12) % 2, 1.0, -1.0)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    square = 50 / (1 + distance) * (1 + 0.5 * np.outer(state, state))
    noise = np.triu(rng.uniform(0.9, 1.1, (n, n)))
    return square * (noise + np.triu(noise, 1).T), state


def test_the_first_component_is_the_checkerboard():
    square, state = checkerboard()
    first = map_components(square, 3)[:, 0]
    assert abs(np.corrcoef(first, state)[0, 1]) > 0.95


def test_components_rebuild_the_correlation():
    square, _ = checkerboard(30)
    every = map_components(square, 29)
    distance = np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    ratio = square / np.array([np.diagonal(square, d).mean() for d in range(30)])[distance]
    ratio[distance < 2] = 1
    ratio = np.minimum(ratio, np.percentile(ratio, 99.9))
    np.testing.assert_allclose(every @ every.T, np.corrcoef(ratio), atol=1e-6)
    strength = (every**2).sum(axis=0)
    assert (np.diff(strength) <= 1e-9).all(), "in order"


def test_masked_bins_have_none_and_disturb_none():
    square, _ = checkerboard()
    whole = map_components(square, 2)
    square[:, 50] = square[50] = np.nan
    found = map_components(square, 2)
    assert np.isnan(found[50]).all()
    assert np.isfinite(np.delete(found, 50, axis=0)).all()
    kept = np.delete(np.arange(120), 50)
    assert abs(np.corrcoef(found[kept, 0], whole[kept, 0])[0, 1]) > 0.99


def test_too_few_bins():
    with pytest.raises(DataError, match="3 bins with contacts are too few for 3 components"):
        map_components(np.ones((3, 3)), 3)


def test_beyond_a_band_everything_is_as_expected():
    square, _ = checkerboard()
    distance = np.abs(np.subtract.outer(np.arange(120), np.arange(120)))
    band, filled = square.copy(), square.copy()
    band[distance > 40] = np.nan
    filled[distance > 40] = 3.0  # all alike: observed over expected is 1
    found = map_components(band, 2)
    np.testing.assert_allclose(np.abs(found), np.abs(map_components(filled, 2)), atol=1e-9)
    assert np.isfinite(found).all()


def test_observed_over_expected_by_hand():
    """At distance 2 the mean of 1 and 3 is 2; distance 3 is 4 / 4; nearer pairs count as expected."""
    nan = float("nan")
    square = np.array([[9, 9, 1, 4, nan], [9, 9, 9, 3, nan], [1, 9, 9, 9, nan], [4, 3, 9, 9, nan], [nan] * 5])
    found = observed_over_expected(square)
    assert found.kept.tolist() == [0, 1, 2, 3]
    capped = np.percentile([0.5] * 2 + [1] * 12 + [1.5] * 2, 99.9)
    expected = np.ones((4, 4))
    expected[0, 2] = expected[2, 0] = 0.5
    expected[1, 3] = expected[3, 1] = capped
    np.testing.assert_allclose(found.ratio, expected)


def test_nothing_observed():
    with pytest.raises(DataError, match="no bin has contacts"):
        observed_over_expected(np.full((3, 3), np.nan))
