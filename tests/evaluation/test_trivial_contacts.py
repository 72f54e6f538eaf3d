import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from chromweave.errors import DataError
from chromweave.evaluation.metrics import log_oe_pearson
from chromweave.evaluation.trivial import distance_grid, distance_mean, distance_mean_prediction
from chromweave.evaluation.trivial_contacts import DistanceMeanMaps, NearestWindowMaps, TrackVisibility

SIDE = 8
seeds = st.integers(0, 2**32 - 1)


def windows(seed, n=30):
    """Windows whose bins' visibility is 1 + 0.5 z of a track z, and another track that tells nothing."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 50, n)
    y = x + generator.integers(0, 6, n)
    distance = distance_grid(x, y, SIDE)
    features = generator.uniform(-1, 1, (n, 2 * SIDE, 2))
    visibility = 1 + 0.5 * features[:, :, 0]
    rows, columns = visibility[:, :SIDE], visibility[:, SIDE:]
    maps = 60 / (1 + distance) * rows[:, :, None] * columns[:, None, :]
    masks = generator.random(maps.shape) < 0.9
    return features, maps, masks, distance, (rows, columns)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_distance_mean_is_that_of_all_windows_at_once(seed):
    features, maps, masks, distance, _ = windows(seed)
    maps[~masks] = np.nan
    row = DistanceMeanMaps()
    for part in (slice(0, 1), slice(1, 20), slice(20, 30)):
        assert row.fit(features[part], maps[part], masks[part], distance[part]) is row
    mean = distance_mean(maps, distance, masks)
    np.testing.assert_allclose(row.mean, mean)
    np.testing.assert_allclose(row.predict(features, distance), distance_mean_prediction(mean, distance))


def test_distance_mean_with_visibility_by_hand():
    maps = np.array([[[8.0, 3.0], [3.0, 1.0]]])
    distance = np.array([[[0, 1], [1, 0]]])
    visibility = (np.array([[2.0, 0.5]]), np.array([[2.0, 0.5]]))
    row = DistanceMeanMaps().fit(None, maps, None, distance, visibility)
    # Distance 0: (8 + 1) over (4 + 0.25); distance 1: 6 over 2.
    np.testing.assert_allclose(row.mean, [9 / 4.25, 3.0])
    np.testing.assert_allclose(
        row.predict(None, distance, visibility), [[[4 * 9 / 4.25, 3.0], [3.0, 0.25 * 9 / 4.25]]]
    )
    unknown = (np.array([[2.0, np.nan]]), np.array([[2.0, 0.5]]))
    assert np.isnan(row.predict(None, distance, unknown)[0]).tolist() == [[False, False], [True, True]]
    # Where the second row is unknown, distance 1 rests on the entry in the first row alone.
    partly = DistanceMeanMaps().fit(None, maps, None, distance, unknown)
    np.testing.assert_allclose(partly.mean, [8 / 4, 3.0])


def test_visibility_is_found_in_the_tracks():
    features, maps, masks, distance, (rows, columns) = windows(0, 400)
    base = DistanceMeanMaps().fit(features, maps, masks, distance)
    model = TrackVisibility(base)
    for part in (slice(0, 100), slice(100, 300)):
        model.fit(features[part], maps[part], masks[part], distance[part])
    test = slice(300, 400)
    found = model.predict(features[test])
    for ours, true in zip(found, (rows[test], columns[test]), strict=True):
        assert np.corrcoef(ours.ravel(), true.ravel())[0, 1] > 0.99
        np.testing.assert_allclose(ours, true, atol=0.15)
    with_visibility = DistanceMeanMaps().fit(features, maps, masks, distance, model.predict(features))
    prediction = with_visibility.predict(features[test], distance[test], found)
    assert log_oe_pearson(maps[test], prediction, distance[test]) > 0.95


def test_batches_of_the_visibility_add_up_and_missing_tracks_are_the_mean():
    features, maps, masks, distance, _ = windows(1)
    base = DistanceMeanMaps().fit(features, maps, masks, distance)
    whole = TrackVisibility(base).fit(features, maps, masks, distance)
    parts = TrackVisibility(base)
    for part in (slice(0, 7), slice(7, 30)):
        parts.fit(features[part], maps[part], masks[part], distance[part])
    np.testing.assert_allclose(parts.predict(features)[0], whole.predict(features)[0])
    gap = features.copy()
    gap[0, 3, 1] = gap[0, SIDE + 4, 0] = np.nan
    rows, columns = whole.predict(gap)
    assert (rows[0, 3], columns[0, 4]) == (1.0, 1.0)
    assert rows[0, 2] == whole.predict(features)[0][0, 2]
    extreme = np.full((1, 2 * SIDE, 2), -100.0)
    assert (whole.predict(extreme)[0] == TrackVisibility.LOWEST).all()


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_nearest_window_is_that_of_brute_force(seed):
    features, maps, masks, distance, _ = windows(seed)
    features[..., 1] *= 100  # standardised: as telling as the other track
    row = NearestWindowMaps()
    for part in (slice(0, 5), slice(5, 20)):
        row.fit(features[part], maps[part], masks[part], distance[part])
    flat = features.reshape(30, -1)
    scaled = (flat - flat[:20].mean(axis=0)) / flat[:20].std(axis=0)
    nearest = cdist(scaled[20:], scaled[:20]).argmin(axis=1)
    assert row.neighbours(features[20:]).tolist() == nearest.tolist()
    prediction = row.predict(features[20:], distance[20:])
    mean = distance_mean_prediction(distance_mean(maps[:20], distance[:20], masks[:20]), distance[20:])
    np.testing.assert_allclose(prediction, np.where(masks[nearest], maps[nearest], mean), rtol=1e-6)
    assert row.neighbours(features[:20]).tolist() == list(range(20))


def test_nearest_window_with_missing_tracks():
    features, maps, masks, distance, _ = windows(2)
    features[:, :, 1] = 0.1  # a track that does not vary tells nothing and divides by nothing
    features[3, :5] = np.nan
    features[4] = np.nan
    row = NearestWindowMaps().fit(features[:20], maps[:20], masks[:20], distance[:20])
    asked = features[:20].copy()
    asked[7, 2, 0] = np.nan
    found = row.neighbours(asked)
    assert found[4] == -1
    assert found[[3, 7, 11]].tolist() == [3, 7, 11]
    base = DistanceMeanMaps().fit(None, maps[:20], masks[:20], distance[:20])
    prediction = row.predict(asked, distance[:20])
    np.testing.assert_allclose(prediction[4], base.predict(None, distance[4]))
    assert 4 not in row.neighbours(features[20:])


def test_wrong_use():
    features, maps, masks, distance, _ = windows(3)
    with pytest.raises(DataError, match="no training entry counts"):
        DistanceMeanMaps().predict(features, distance)
    with pytest.raises(DataError, match="no training window has a track"):
        NearestWindowMaps().predict(features, distance)
    with pytest.raises(DataError, match="3 windows have features and 30"):
        NearestWindowMaps().fit(features[:3], maps, masks, distance)
    nearest = NearestWindowMaps().fit(features, maps, masks, distance)
    with pytest.raises(DataError, match="windows have 16 features, those of training 32"):
        nearest.predict(features[:, :, 0], distance)
    base = DistanceMeanMaps().fit(features, maps, masks, distance)
    with pytest.raises(DataError, match="no training bin counts"):
        TrackVisibility(base).predict(features)
    with pytest.raises(DataError, match=r"must have the shape \(n, 16, tracks\)"):
        TrackVisibility(base).fit(features[:, 1:], maps, masks, distance)
    with pytest.raises(DataError, match="do not have the 2 tracks"):
        TrackVisibility(base).fit(features, maps, masks, distance).predict(features[..., :1])
