"""Windows leave no pixel out; overlapping ones are averaged as the definition says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import ConfigError, DataError
from chromweave.genome import Interval
from chromweave.workflows.stitching import BandMean, SignalMean, Tiling, bins_of, mark_bins, step_bins, taper


def test_a_taper_falls_straight_to_the_border_and_is_nowhere_0():
    np.testing.assert_allclose(taper(4), [0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(taper(6), np.array([1, 3, 5, 5, 3, 1]) / 6)
    assert taper(50).min() > 0


def test_windows_along_the_diagonal_end_with_the_chromosome():
    x, y = Tiling(8, 3).anchors(21)
    assert x.tolist() == y.tolist() == [4, 7, 10, 13, 16, 17]
    x, _ = Tiling(8, 3).anchors(20)
    assert x.tolist() == [4, 7, 10, 13, 16]  # the last of the chain is the last that fits
    assert Tiling(8, 3).anchors(8).x.tolist() == [4]
    assert Tiling(8, 3).anchors(7).x.tolist() == []


def test_off_the_diagonal_each_distance_has_a_chain_of_its_own():
    x, y = Tiling(8, 4, farthest=9).anchors(18)
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [
        *((4, 4), (8, 8), (12, 12), (14, 14)),
        *((4, 8), (8, 12), (10, 14)),
        *((4, 12), (6, 14)),
        *((4, 13), (5, 14)),  # the farthest is no multiple of the step
    ]
    assert Tiling(8, 4, farthest=9).anchors(9).y.tolist() == [4, 5, 5]  # and here one bin is the farthest


def test_a_region_takes_the_windows_that_have_pixels_in_it():
    """Rows and columns must both touch bins 10 and 11."""
    x, y = Tiling(8, 4, farthest=4).anchors(30, 10, 12)
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [(8, 8), (12, 12), (8, 12)]


shapes = st.tuples(
    st.integers(1, 6), st.integers(1, 6), st.integers(0, 20), st.integers(0, 40), st.integers(1, 99)
)


@settings(max_examples=150, deadline=None)
@given(shapes)
def test_no_pixel_within_reach_is_left_out(shape):
    half, step, farthest, more, seed = shape
    step = min(step, half)
    tiling = Tiling(2 * half, step, farthest)
    n_bins = 2 * half + more
    mean = BandMean(0, n_bins, n_bins, 2 * half)
    x, y = tiling.anchors(n_bins)
    mean.add(np.ones((len(x), 2 * half, 2 * half)), x, y)
    bin1, bin2, value = mean.pixels()
    covered = np.zeros((n_bins, n_bins), bool)
    covered[bin1, bin2] = True
    within = np.subtract.outer(np.arange(n_bins), np.arange(n_bins)) * -1
    assert covered[(within >= 0) & (within <= tiling.reach)].all()
    assert (y - x).max() <= farthest
    np.testing.assert_allclose(value, 1)
    # A region needs no other windows for its own pixels.
    first = seed % n_bins
    last = min(n_bins, first + 1 + seed % 7)
    part = set(zip(*(a.tolist() for a in tiling.anchors(n_bins, first, last)), strict=True))
    assert part == {
        (a, b)
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
        if {*range(a - half, a + half)} & {*range(first, last)}
        and {*range(b - half, b + half)} & {*range(first, last)}
    }


def test_reach_is_the_farthest_complete_diagonal():
    """Windows of 8 every 2 bins: pixels 6 bins apart always lie in one, those 7 apart not."""
    assert Tiling(8, 2).reach == 6
    assert Tiling(8, 1).reach == 7
    assert Tiling(50, 12, farthest=100).reach == 100 + 38
    mean = BandMean(0, 20, 8, 8)
    x, y = Tiling(8, 2).anchors(20)
    mean.add(np.ones((len(x), 8, 8)), x, y)
    bin1, bin2, _ = mean.pixels()
    assert np.bincount(bin2 - bin1).tolist() == [20, 19, 18, 17, 16, 15, 14, 7]


@pytest.mark.parametrize("step", [0, 5])
def test_a_step_leaves_no_gap(step):
    with pytest.raises(ConfigError, match=f"cannot be {step} bins apart"):
        Tiling(8, step)


def test_a_band_is_the_weighted_mean_by_hand():
    """Windows of two bins have the weight 1/2 x 1/2 everywhere; the mirror image counts as much."""
    mean = BandMean(0, 4, 2, 2)
    first, second = [[1.0, 2.0], [4.0, 5.0]], [[10.0, 7.0], [9.0, 20.0]]
    mean.add(np.array([first, second]), np.array([1, 2]), np.array([1, 2]))
    assert list(zip(*(part.tolist() for part in mean.pixels()), strict=True)) == [
        (0, 0, 1.0),
        (0, 1, 3.0),  # 2 and its mirror image 4
        (1, 1, 7.5),  # the corners of both windows
        (1, 2, 8.0),
        (2, 2, 20.0),
    ]


@pytest.mark.parametrize(("first", "last", "width"), [(0, 19, 7), (5, 12, 30)])
def test_a_band_is_the_weighted_mean_of_all_windows(first, last, width):
    rng = np.random.default_rng(3)
    x, y = Tiling(6, 2, farthest=5).anchors(19)
    values, weights = rng.normal(size=(len(x), 6, 6)), np.outer(taper(6), taper(6))
    above, below = np.zeros((19, 19)), np.zeros((19, 19))
    for value, a, b in zip(values, x, y, strict=True):
        above[a - 3 : a + 3, b - 3 : b + 3] += value * weights
        below[a - 3 : a + 3, b - 3 : b + 3] += weights
    above, below = (np.triu(whole + whole.T - np.diag(np.diag(whole))) for whole in (above, below))
    expected = np.divide(above, below, out=np.full((19, 19), np.nan), where=below > 0)
    mean = BandMean(first, last, width, 6)
    for part in (slice(0, 4), slice(4, None)):
        mean.add(values[part], x[part], y[part])
    bin1, bin2, value = mean.pixels()
    inside = np.subtract.outer(np.arange(19), np.arange(19)) > -width
    inside[:first] = inside[:, last:] = False
    i, j = np.nonzero((below > 0) & inside)
    assert (bin1.tolist(), bin2.tolist()) == (i.tolist(), j.tolist())
    np.testing.assert_allclose(value, expected[i, j])


def test_a_signal_is_the_weighted_mean_by_hand():
    mean = SignalMean(7, 4)
    mean.add(np.array([[4.0, 1.0, 1.0, 8.0]]), np.array([2]))
    mean.add(np.array([[2.0, 4.0, 6.0, 6.0]]), np.array([4]))
    np.testing.assert_allclose(
        mean.mean(), [4, 1, (0.75 * 1 + 0.25 * 2) / 1, (0.25 * 8 + 0.75 * 4) / 1, 6, 6, np.nan]
    )


def test_what_one_window_knows_is_known():
    known = np.zeros(6, bool)
    mark_bins(known, np.array([[True, False, False, False], [False, True, False, False]]), np.array([2, 3]))
    assert known.tolist() == [True, False, True, False, False, False]


def test_steps():
    assert step_bins(None, 5000, 50) == 12
    assert step_bins(None, 5000, 2) == 1
    assert step_bins(15_000, 5000, 50) == 3
    for wrong in (0, -5000, 7000):
        with pytest.raises(ConfigError, match="multiple of the bins' 5,000 bp"):
            step_bins(wrong, 5000, 50)


def test_a_region_is_widened_to_bins():
    assert bins_of(None, "chr1", 1000, 41) == (0, 41)
    assert bins_of(Interval("chr1", 1999, 3001), "chr1", 1000, 41) == (1, 4)
    assert bins_of(Interval("chr1", 2000, 99_000), "chr1", 1000, 41) == (2, 41)
    with pytest.raises(ConfigError, match="not on chr2"):
        bins_of(Interval("chr1", 0, 1), "chr2", 1000, 41)
    with pytest.raises(DataError, match="behind the end of chr1"):
        bins_of(Interval("chr1", 41_000, 42_000), "chr1", 1000, 41)
