import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.metrics import r2
from chromweave.evaluation.trivial_expression import BoostedTracks, PromoterAccessibility, WindowMean

seeds = st.integers(0, 2**32 - 1)


def windows(seed, n=40, bins=12):
    generator = np.random.default_rng(seed)
    features = generator.uniform(0, 4, (n, bins, 2))
    target = 2 * features[:, :, 0] + 1 + 0.1 * generator.normal(size=(n, bins))
    return features, target, generator.random((n, bins)) < 0.8


def test_by_hand():
    features = np.array([[[0.0, 2.0], [4.0, 2.0]], [[6.0, np.nan], [np.nan, np.nan]]])
    target = np.array([[1.0, 5.0], [7.0, 9.0]])
    # Bins' means 1, 3 and 6 lie on the line t = 2 + x only roughly: least squares of (1,1), (3,5), (6,7).
    slope, intercept = stats.linregress([1, 3, 6], [1, 5, 7])[:2]
    found = PromoterAccessibility().fit(features, target).predict(features)
    line = intercept + slope * np.array([1.0, 3.0, 6.0])
    np.testing.assert_allclose(found.ravel(), [*line, 22 / 4])  # a bin without a signal has the mean
    # Track 0 alone: 0, 4 and 6 of targets 1, 5 and 7 lie on t = 1 + x.
    np.testing.assert_allclose(
        PromoterAccessibility(track=0).fit(features, target).predict(features), [[1, 5], [7, 5.5]]
    )
    # Windows' means 2 and 6, of targets 1, 5 and 7, 9: the line through (2, 3) and (6, 8).
    np.testing.assert_allclose(WindowMean().fit(features, target).predict(features), [[3, 3], [8, 8]])


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_line_is_that_of_least_squares(seed):
    features, target, mask = windows(seed)
    target[0, 0] = np.nan
    used = mask & np.isfinite(target)
    line = stats.linregress(features[..., 1][used], target[used])
    found = PromoterAccessibility(track=1).fit(features, target, mask).predict(features)
    np.testing.assert_allclose(found, line.intercept + line.slope * features[..., 1])
    window = features.mean(axis=(1, 2))[:, None] * np.ones(12)
    line = stats.linregress(window[used], target[used])
    found = WindowMean().fit(features, target, mask).predict(features)
    np.testing.assert_allclose(found, line.intercept + line.slope * window)


def test_a_signal_that_does_not_vary_predicts_the_mean():
    features, target, mask = windows(0)
    found = PromoterAccessibility().fit(np.ones_like(features), target, mask).predict(features)
    np.testing.assert_allclose(found, target[mask].mean())


def test_boosting_sees_neighbours_and_equals_scikit_learn():
    generator = np.random.default_rng(0)
    features = generator.uniform(0, 4, (200, 6, 1))
    target = np.roll(features[..., 0], 1, axis=1)  # each bin's target is its left neighbour's signal
    mask = generator.random((200, 6)) < 0.9
    mask[:, 0] = False
    row = BoostedTracks(neighbours=1, seed=3).fit(features[:150], target[:150], mask[:150])
    found = row.predict(features[150:])
    assert r2(target[150:], found, mask[150:]) > 0.98
    blind = BoostedTracks(neighbours=0, seed=3).fit(features[:150], target[:150], mask[:150])
    assert r2(target[150:], blind.predict(features[150:]), mask[150:]) < 0.2
    inputs = np.stack(
        [np.pad(features[..., 0], [(0, 0), (1, 1)], constant_values=np.nan)[:, k : k + 6] for k in range(3)],
        axis=-1,
    )
    model = HistGradientBoostingRegressor(random_state=3, early_stopping=False)
    model.fit(inputs[:150][mask[:150]], target[:150][mask[:150]])
    np.testing.assert_allclose(found, model.predict(inputs[150:].reshape(-1, 3)).reshape(50, 6))


def test_boosting_draws_its_bins_by_seed_and_goes_through_many_windows():
    features, target, mask = windows(1, n=600)
    few = [BoostedTracks(2, seed=s, limit=200).fit(features, target, mask) for s in (0, 0, 1)]
    first, same, other = (row.predict(features) for row in few)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(few[0].predict(features[550:]), first[550:])
    assert r2(target, first) > 0.8


def test_missing_tracks_are_an_input_of_boosting():
    features, target, mask = windows(2)
    features[0] = np.nan
    found = BoostedTracks(2, seed=0).fit(features, target, mask).predict(features)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("row", [PromoterAccessibility(), WindowMean(), BoostedTracks(seed=0)])
def test_wrong_use(row):
    features, target, mask = windows(3)
    with pytest.raises(DataError, match="was not fitted"):
        row.predict(features)
    with pytest.raises(DataError, match=r"shape \(windows, bins, tracks\)"):
        row.fit(features[0], target, mask)
    with pytest.raises(DataError, match="40 windows x 12 bins"):
        row.fit(features, target[:3], mask)
    with pytest.raises(DataError, match="no training bin counts"):
        row.fit(features, target, np.zeros_like(mask))


def test_wrong_settings():
    features, target, _ = windows(4)
    with pytest.raises(DataError, match="there is no track 2"):
        PromoterAccessibility(track=2).fit(features, target)
    with pytest.raises(ConfigError, match="neighbours >= 0"):
        BoostedTracks(-1, seed=0)
    row = BoostedTracks(1, seed=0).fit(features, target)
    with pytest.raises(DataError, match="bins have 3 inputs, those of training 6"):
        row.predict(features[..., :1])
