import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve

from chromweave.analysis import tiles as tiles_module
from chromweave.analysis.tiles import box_sums, smoothed, tiles
from chromweave.errors import DataError
from tests.fakes_maps import pixels_of, symmetric


@pytest.fixture
def rows_of(monkeypatch):
    """Sets how many rows are laid out at a time."""
    return lambda rows: monkeypatch.setattr(tiles_module, "ROWS", rows)


def dense(matrix, by_distance, weight):
    """Counts and expectation of a whole map, 0 where nothing is known."""
    n = len(matrix)
    expected = np.zeros((n, n))
    for i in range(n):
        for j in range(i, min(n, i + len(by_distance))):
            value = by_distance[j - i] / (weight[i] * weight[j])
            expected[i, j] = value if np.isfinite(value) else 0.0
    return np.where(expected > 0, np.triu(matrix), 0), expected


def pieces(whole, tile, n):
    """What a tile should hold of a whole map, which is extended by zeros."""
    rows, columns = tile.count.shape
    around = np.zeros((n + 2 * rows, n + 2 * columns))
    around[rows : rows + n, columns : columns + n] = whole
    return around[rows + tile.corner :, columns + tile.corner :][:rows, :columns]


@pytest.mark.parametrize("n_bins", [1, 2, 6, 7, 8, 14, 30])
@pytest.mark.parametrize("margin", [0, 2, 9])
def test_every_tile_is_a_piece_of_the_whole_map(rows_of, n_bins, margin):
    rows_of(7)
    generator = np.random.default_rng(n_bins)
    matrix = symmetric(generator.poisson(3.0, (n_bins, n_bins)))
    weight = np.where(generator.random(n_bins) < 0.2, np.nan, generator.uniform(0.5, 2, n_bins))
    by_distance = generator.uniform(1, 5, 12)
    by_distance[[0, 5]] = np.nan, 0.0
    count, expected = dense(matrix, by_distance, weight)
    found = list(tiles(pixels_of(matrix), by_distance, margin=margin, weight=weight))
    assert [(tile.first, tile.last) for tile in found] == [
        (first, min(first + 7, n_bins)) for first in range(0, n_bins, 7)
    ]
    for tile in found:
        assert tile.corner == tile.first - margin
        height = tile.last - tile.first + 2 * margin
        # The margin is also to the right of the furthest distance of the last row.
        assert tile.count.shape == tile.expected.shape == (height, height + len(by_distance))
        np.testing.assert_allclose(tile.expected, pieces(expected, tile, n_bins), rtol=1e-12)
        np.testing.assert_array_equal(tile.count, pieces(count, tile, n_bins))


def test_by_hand():
    """Three bins; the middle one is seen half as well: weight 2."""
    matrix = symmetric(np.array([[5, 3, 1], [0, 4, 2], [0, 0, 6]]))
    weight = np.array([1.0, 2.0, 1.0])
    (tile,) = tiles(pixels_of(matrix), np.array([4.0, 2.0]), margin=1, weight=weight)
    assert (tile.corner, tile.first, tile.last) == (-1, 0, 3)
    assert tile.expected[1:4, 1:4].tolist() == [[4, 1, 0], [0, 1, 1], [0, 0, 4]]
    assert tile.count[1:4, 1:4].tolist() == [[5, 3, 0], [0, 4, 2], [0, 0, 6]]
    for values, total in ((tile.expected, 11.0), (tile.count, 20.0)):
        assert values.sum() == total  # nothing lies in the margin


@pytest.mark.parametrize("weight", [None, np.ones(4)])
def test_masked_bins_hold_nothing(weight):
    valid = np.array([True, False, True, True])
    (tile,) = tiles(pixels_of(np.full((4, 4), 7)), np.ones(4), margin=0, weight=weight, valid=valid)
    np.testing.assert_array_equal(tile.expected[:, :4], np.triu(np.outer(valid, valid)))
    np.testing.assert_array_equal(tile.count, 7 * tile.expected)


def test_a_bin_of_weight_zero_is_masked():
    """Its counts would be divided by nothing."""
    (tile,) = tiles(pixels_of(np.ones((2, 2), int)), np.ones(2), margin=0, weight=np.array([0.0, 1.0]))
    assert tile.expected[:, :2].tolist() == tile.count[:, :2].tolist() == [[0, 0], [0, 1]]


def test_both_ends_of_a_chromosome_are_alike(rows_of):
    """Of a map that reads the same from both ends, the last tile is the first one mirrored."""
    rows_of(4)
    generator = np.random.default_rng(0)
    upper = np.triu(generator.poisson(5.0, (12, 12)))
    matrix = symmetric(upper + upper[::-1, ::-1].T)
    weight = generator.uniform(0.5, 2, 12)
    weight += weight[::-1]
    first, _, last = tiles(pixels_of(matrix), np.ones(12), margin=2, weight=weight)
    assert first.count.sum() > 0
    for before, after in ((first.count, last.count), (first.expected, last.expected)):
        # Rows 0 to 2 of the chromosome, up to bin 2, and rows 9 to 11, from bin 9.
        np.testing.assert_allclose(before[2:5, 2:5], after[3:6, 3:6][::-1, ::-1].T)


@pytest.mark.parametrize("by_distance", [np.zeros(0), np.full(3, np.nan), np.zeros(3)])
def test_nothing_expected_nothing_known(by_distance):
    (tile,) = tiles(pixels_of(np.ones((5, 5), int)), by_distance, margin=2)
    assert tile.count.shape == (9, 9 + len(by_distance))
    assert not tile.count.any()
    assert not tile.expected.any()


def test_a_map_without_contacts_still_has_expectations():
    (tile,) = tiles(pixels_of(np.zeros((3, 3), int)), np.ones(3), margin=0)
    assert not tile.count.any()
    np.testing.assert_array_equal(tile.expected[:, :3], np.triu(np.ones((3, 3))))


def test_weights_of_another_chromosome_are_refused():
    with pytest.raises(DataError, match="weight has 4 values, but the chromosome 3 bins"):
        list(tiles(pixels_of(np.ones((3, 3), int)), np.ones(3), margin=0, weight=np.ones(4)))


sides = st.integers(0, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), sides, sides, sides, sides)
def test_box_sums_add_up_rectangles(rows, columns, seed, up, down, left, right):
    values = np.random.default_rng(seed).integers(-9, 9, (rows, columns)).astype(float)
    beyond = (-1, 1 + down, left, right)
    whole, below = box_sums(values, (up, down, left, right), beyond)
    for i in range(rows):
        for j in range(columns):
            across = slice(max(j - left, 0), j + right + 1)
            assert whole[i, j] == values[max(i - up, 0) : i + down + 1, across].sum()
            assert below[i, j] == values[i + 1 : i + down + 2, across].sum()


def test_box_sums_agree_with_scipy():
    values = np.random.default_rng(1).normal(size=(30, 40))
    (square,) = box_sums(values, (3, 3, 3, 3))
    np.testing.assert_allclose(square, convolve(values, np.ones((7, 7)), mode="constant"), atol=1e-12)


def test_boxes_larger_than_the_map():
    values = np.arange(6.0).reshape(2, 3)
    whole, nothing = box_sums(values, (50, 50, 50, 50), (-9, 10, 0, 0))
    assert (whole == 15).all()
    assert (nothing == 0).all()


def test_smoothed_agrees_with_a_kernel_in_two_dimensions():
    values = np.random.default_rng(2).normal(size=(20, 15))
    kernel = np.array([0.2, 0.7, 1.0, 0.7, 0.2])
    reference = convolve(values, np.outer(kernel, kernel), mode="constant")
    np.testing.assert_allclose(smoothed(values, kernel), reference, atol=1e-12)


def test_smoothed_by_hand():
    values = np.zeros((3, 3))
    values[0, 0] = 4.0
    found = smoothed(values, np.array([0.5, 1.0, 0.5]))
    assert found.tolist() == [[4, 2, 0], [2, 1, 0], [0, 0, 0]]
