"""Peakachu: its features by hand, what it learns, how it is chosen, and the paper's negatives."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from chromweave.baselines import peakachu
from chromweave.baselines.peakachu import (
    ForestSettings,
    PeakachuConfig,
    fit_peakachu,
    half_width,
    long_distances,
    paper_negatives,
    window_features,
)
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.classification import auroc
from chromweave.progress import reporting
from tests.fakes_maps import pixels_of, power_law_map

SMALL = PeakachuConfig(trees=10, depths=(4, 8), balanced=(False,), criteria=("gini",), folds=3)


class Listener:
    def __init__(self):
        self.lines = []

    def track(self, items, description, total, unit):
        yield from items

    def notify(self, message):
        self.lines.append(message)


def squares(n, rng, half=5):
    """Noise about 1, and for every other one a peak in the middle; labels say which."""
    patches = rng.gamma(5, 0.2, (n, 2 * half + 1, 2 * half + 1))
    labels = np.arange(n) % 2
    patches[labels == 1, half - 1 : half + 2, half - 1 : half + 2] *= 2.5
    return patches, labels.astype(float)


def test_the_square_depends_on_the_resolution():
    assert [half_width(r) for r in (1_000, 5_000, 10_000, 25_000)] == [6, 6, 5, 5]


def test_features_are_the_smoothed_square_from_0_to_1():
    patch = np.random.default_rng(0).gamma(3, 1, (2, 21, 21))
    found = window_features(patch).reshape(2, 21, 21)
    assert found.min(axis=(1, 2)).tolist() == [0, 0]
    assert found.max(axis=(1, 2)).tolist() == [1, 1]
    # Away from the edges, whose weights are shared among what is there, it is scipy's filter up to a scale.
    inner, wanted = found[0, 5:-5, 5:-5], gaussian_filter(patch[0], 1.0)[5:-5, 5:-5]
    slope, start = np.polyfit(wanted.ravel(), inner.ravel(), 1)
    np.testing.assert_allclose(inner, slope * wanted + start, atol=1e-5)


def test_what_is_missing_stays_missing_and_does_not_pull_its_neighbours_down():
    patch = np.full((1, 5, 5), 4.0)
    patch[0, 0, 0] = np.nan
    patch[0, 4, 4] = 8.0
    found = window_features(patch).reshape(5, 5)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found).sum() == 24
    assert found[4, 4] == 1
    assert found[0, 1] == found[1, 0] == pytest.approx(0, abs=1e-6)  # its neighbours know of nothing but 4
    assert not window_features(np.ones((1, 3, 3))).any()
    assert np.isnan(window_features(np.full((1, 3, 3), np.nan))).all()


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 5, 3), (5, 5)])
def test_squares_have_a_middle(shape):
    with pytest.raises(DataError, match="odd number of bins"):
        window_features(np.ones(shape))


def test_a_planted_signal_is_learned_and_the_same_seed_says_the_same():
    rng = np.random.default_rng(1)
    patches, labels = squares(160, rng)
    unseen, truth = squares(80, rng)
    first = fit_peakachu(patches, labels, np.arange(160) // 16, config=SMALL, seed=3)
    probability = first.predict(unseen)
    assert auroc(truth, probability) > 0.95
    again = fit_peakachu(patches, labels, np.arange(160) // 16, config=SMALL, seed=3)
    np.testing.assert_array_equal(again.predict(unseen), probability)
    other = fit_peakachu(patches, labels, np.arange(160) // 16, config=SMALL, seed=4)
    assert (other.predict(unseen) != probability).any()


def test_squares_without_a_middle_have_no_probability_and_others_with_holes_do():
    rng = np.random.default_rng(2)
    patches, labels = squares(80, rng)
    forest = fit_peakachu(patches, labels, np.arange(80) // 8, config=SMALL)
    holes = patches[:3].copy()
    holes[0, 5, 5] = np.nan
    holes[1] = np.nan
    holes[2, 0] = np.nan
    assert np.isfinite(forest.predict(holes)).tolist() == [False, False, True]


def test_settings_are_chosen_by_what_folds_of_other_blocks_say():
    """The best of the grid is taken; labels that say nothing score about 0, as no fold sees its own block."""
    rng = np.random.default_rng(5)
    patches, labels = squares(120, rng)
    found = fit_peakachu(patches, labels, np.arange(120) // 20, config=SMALL)
    assert set(found.scores) == {ForestSettings(4, False, "gini"), ForestSettings(8, False, "gini")}
    assert all(0.5 < score <= 1 for score in found.scores.values())
    assert found.scores[found.settings] == max(found.scores.values())
    shuffled = fit_peakachu(patches, rng.permutation(labels), np.arange(120) // 20, config=SMALL)
    assert all(abs(score) < 0.4 for score in shuffled.scores.values())


def test_no_fold_shares_a_block_with_what_it_is_trained_on():
    labels, blocks = np.tile([0, 1], 50), np.repeat(np.arange(10), 10)
    folds = list(peakachu._folds(labels, blocks, 5, seed=0))
    assert len(folds) == 5
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(100))
    assert all(not set(blocks[train]) & set(blocks[held]) for train, held in folds)


def test_one_block_cannot_be_cross_validated_which_is_said():
    patches, labels = squares(40, np.random.default_rng(0))
    listener = Listener()
    with reporting(listener):
        found = fit_peakachu(patches, labels, np.zeros(40), config=SMALL)
    assert found.scores == {}
    assert found.settings == SMALL.grid[0]
    assert "too few blocks" in listener.lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(20)}, "one class"),
        ({"labels": np.full(20, np.nan)}, "labelled 0 or 1"),
        ({"labels": np.zeros(19)}, "19 labels"),
        ({"blocks": np.zeros(3)}, "3 blocks"),
    ],
)
def test_windows_that_cannot_be_learned_from_are_refused(change, message):
    patches, labels = squares(20, np.random.default_rng(0))
    given = {"labels": labels, "blocks": np.arange(20)} | change
    with pytest.raises(DataError, match=message):
        fit_peakachu(patches, config=SMALL, **given)


def test_squares_of_another_size_are_refused():
    patches, labels = squares(40, np.random.default_rng(0))
    forest = fit_peakachu(patches, labels, np.arange(40) // 4, config=SMALL)
    with pytest.raises(DataError, match="121 values, and squares of 13"):
        forest.predict(np.ones((2, 13, 13)))


@pytest.mark.parametrize(
    "change", [{"trees": 0}, {"folds": 1}, {"smoothing": 0}, {"depths": ()}, {"depths": (0,)}]
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ConfigError, match="needs"):
        PeakachuConfig(**change)


def test_long_distances_begin_where_loops_become_rare():
    # Histogram of 100 bins over 0 to 100: three, two, one, one; the count stops falling behind the third.
    distances = np.array([0, 0.5, 0.9, 1, 1.5, 2.5, 3.5, 100])
    assert long_distances(distances, 500) == range(3, 501)
    assert long_distances(distances, 50) == range(3, 101)


def test_the_papers_negatives_are_filled_pixels_that_are_no_loops():
    rng = np.random.default_rng(0)
    pixels = pixels_of(power_law_map(400, 60.0, rng))
    x = np.sort(rng.choice(300, 40, replace=False))
    y = x + rng.integers(10, 60, 40)
    found = paper_negatives(pixels, x, y, reach=1_500_000, seed=1)
    filled = set(zip(pixels.bin1.tolist(), pixels.bin2.tolist(), strict=True))
    loops = set(zip(x.tolist(), y.tolist(), strict=True))
    drawn = [tuple(pair) for pair in found.tolist()]
    assert len(drawn) == 40
    assert set(drawn) <= filled - loops
    distances = found[:, 1] - found[:, 0]
    assert ((distances[:20] >= 10) & (distances[:20] < 60)).all()  # as the loops'
    assert np.median(distances[20:]) > 60  # all over the map
    np.testing.assert_array_equal(found, paper_negatives(pixels, x, y, reach=1_500_000, seed=1))


def test_one_loop_tells_no_distances():
    pixels = pixels_of(power_law_map(40, 60.0, np.random.default_rng(0)))
    with pytest.raises(DataError, match="at least two"):
        paper_negatives(pixels, np.array([3]), np.array([9]))
