import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.analysis.clustering import ClusterConfig, density_clusters
from chromweave.errors import ConfigError

LOOSE = ClusterConfig(min_neighbours=0)


def clusters(points, score=None, config=LOOSE):
    x, y = np.array(points, dtype=int).reshape(-1, 2).T
    score = np.full(len(x), 0.9) if score is None else np.array(score)
    return density_clusters(x, y, score, config)


def test_nothing_gives_nothing():
    found = clusters([])
    assert len(found) == 0
    assert found.label.size == found.density.size == found.size.size == found.representative.size == 0


def test_one_pixel_is_one_cluster_if_it_may_stand_alone():
    found = clusters([(5, 40)])
    assert (found.label.tolist(), found.centre.tolist(), found.size.tolist()) == ([0], [0], [1])
    assert found.density.tolist() == [0.9]  # itself, at distance 0
    alone = clusters([(5, 40)], config=ClusterConfig())
    assert (alone.label.tolist(), len(alone)) == ([-1], 0)


def test_density_and_separation_by_hand():
    """Three pixels in a row, 2 and 4 bins apart, and one 10 bins from the last."""
    found = clusters([(5, 40), (5, 42), (9, 42), (19, 42)], [0.6, 1.0, 0.8, 0.7])
    near, far = np.exp(-4 / 25), np.exp(-16 / 25)
    np.testing.assert_allclose(
        found.density,
        [0.6 + 1.0 * near + 0.8 * far, 1.0 + 0.6 * near + 0.8 * far, 0.8 + 1.6 * far, 0.7],
    )
    assert found.separation[[0, 2, 3]].tolist() == [2, 4, 10]
    assert found.separation[1] > 14  # the densest: more than any distance
    assert found.label.tolist() == [0, 0, 0, 1]
    assert found.centre.tolist() == [1, 3]
    assert found.size.tolist() == [3, 1]


@pytest.mark.parametrize(("count", "kept"), [(5, False), (6, True)])
def test_more_than_five_neighbours_itself_included(count, kept):
    """Pixels of a 2 x 3 block are all within 2 bins of one another."""
    block = [(x, y) for x in (5, 6) for y in (40, 41, 42)][:count]
    assert len(clusters(block, config=ClusterConfig())) == int(kept)


@pytest.mark.parametrize(("distance", "kept"), [(11, False), (12, True)])
def test_further_than_eleven_bins_from_the_diagonal(distance, kept):
    assert len(clusters([(5, 5 + distance)])) == int(kept)


@pytest.mark.parametrize(("score", "kept"), [(0.5, False), (0.51, True), (np.nan, False)])
def test_scored_above_the_threshold(score, kept):
    assert len(clusters([(5, 40)], [score])) == int(kept)


@pytest.mark.parametrize(("gap", "expected"), [(5, 1), (6, 2)])
def test_centres_are_more_than_five_bins_apart(gap, expected):
    assert len(clusters([(5, 40), (5 + gap, 40)])) == expected


def test_equal_densities_give_one_peak():
    """A plateau, on which no pixel is denser than another, is one loop: the first by position."""
    found = clusters([(5, 40), (8, 40), (8, 43), (5, 43)])
    assert found.label.tolist() == [0, 0, 0, 0]
    assert found.centre.tolist() == [0]
    higher = clusters([(5, 40), (8, 40)], [0.9, 0.9 + 1e-12])
    assert higher.centre.tolist() == [1]  # equal to rounding, so the better score leads


def test_representatives():
    """The middle of a row is densest; its end scores best."""
    row, score = [(5, 40), (5, 41), (5, 42)], [0.8, 0.85, 0.9]
    assert clusters(row, [0.8, 0.8, 0.81]).representative.tolist() == [1]
    best = clusters(row, score, ClusterConfig(min_neighbours=0, representative="highest-score"))
    assert best.representative.tolist() == [2]
    assert best.centre.tolist() == [1]


def test_a_density_cut_drops_whole_clusters():
    """What lies round a peak below the cut joins nobody: no phantom, no far member."""
    points = [(5, 40), (5, 41), (5, 42), (60, 90), (60, 91)]
    found = clusters(points, config=ClusterConfig(min_neighbours=0, min_density=2.0))
    assert found.label.tolist() == [0, 0, 0, -1, -1]
    assert found.size.tolist() == [3]
    none = clusters(points, config=ClusterConfig(min_neighbours=0, min_density=100.0))
    assert len(none) == 0
    assert (none.label == -1).all()


def blob(x, y, generator):
    """A filled 5 x 5 square whose scores fall from its centre."""
    dx, dy = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3))
    score = 0.95 - 0.05 * np.maximum(np.abs(dx), np.abs(dy)) + 0.001 * generator.random(dx.shape)
    return np.stack([x + dx.ravel(), y + dy.ravel()], axis=1), score.ravel()


@settings(max_examples=40, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=25), st.integers(0, 2**32 - 1))
def test_planted_blobs_give_one_loop_each(cells, seed):
    generator = np.random.default_rng(seed)
    planted = [(20 * a + 5, 20 * b + 500) for a, b in sorted(cells)]
    parts = [blob(x, y, generator) for x, y in planted]
    points = np.concatenate([part[0] for part in parts]) if parts else np.empty((0, 2), int)
    score = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    order = generator.permutation(len(points))
    found = clusters(points[order], score[order], ClusterConfig())
    peaks = points[order][found.representative]
    assert sorted(map(tuple, peaks.tolist())) == planted
    assert (found.size == 25).all()
    assert (found.label >= 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([3, 20, 200]))
def test_against_the_definition(seed, n, extent):
    """Every density, separation and label as written, by brute force, and whatever the input's order."""
    generator = np.random.default_rng(seed)
    points = np.unique(generator.integers(0, extent, (n, 2)), axis=0) + np.array([0, extent + 12])
    score = generator.uniform(0.51, 1.0, len(points)).round(1)
    found = clusters(points, score)
    distance = np.abs(points[:, None] - points[None]).max(axis=2)
    kernel = np.where(distance <= 5, np.exp(-((distance / 5) ** 2)), 0)
    density = kernel @ np.where(score > 0.5, score, 0)
    used = score > 0.5
    np.testing.assert_allclose(found.density[used], density[used])
    assert np.isnan(found.density[~used]).all()
    ahead = sorted(np.flatnonzero(used), key=lambda k: (-round(density[k], 9), -score[k], *points[k]))
    for position, k in enumerate(ahead):
        if position:
            assert found.separation[k] == distance[k, ahead[:position]].min()
        if position == 0 or found.separation[k] > 5:
            assert k in found.centre
        else:
            parents = [j for j in ahead[:position] if distance[k, j] == found.separation[k]]
            assert found.label[k] in {found.label[j] for j in parents}
    assert found.size.sum() == used.sum()
    order = generator.permutation(len(points))
    shuffled = clusters(points[order], score[order])
    assert sorted(order[shuffled.representative]) == sorted(found.representative)


def test_config_is_checked():
    with pytest.raises(ConfigError, match="kernel_radius >= 1"):
        ClusterConfig(kernel_radius=0)
    with pytest.raises(ConfigError, match="'median'"):
        ClusterConfig(representative="median")
