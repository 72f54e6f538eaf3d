import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix

from chromweave.io.pixels import Pixels


def small():
    """[[4, 1, 2], [1, 0, 3], [2, 3, 5]]"""
    return Pixels(
        np.array([0, 0, 0, 1, 2], np.int32),
        np.array([0, 1, 2, 2, 2], np.int32),
        np.array([4, 1, 2, 3, 5], np.int32),
        3,
        1000,
    )


def test_row_sums_by_hand():
    assert small().row_sums().tolist() == [7, 4, 10]
    assert small().row_sums(ignore_diags=1).tolist() == [3, 4, 5]
    assert small().row_sums(ignore_diags=2).tolist() == [2, 0, 2]


def test_weighted_row_sums_leave_masked_bins_out():
    weight = np.array([0.5, np.nan, 2.0])
    assert small().row_sums(weight).tolist() == [4 * 0.25 + 2, 0, 2 + 5 * 4]


@given(st.integers(1, 12), st.integers(0, 1000))
def test_row_sums_equal_those_of_the_dense_matrix(n, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(0, 4, (n, n)))
    pixels = Pixels.from_coo(coo_matrix(upper), n, 1)
    dense = upper + np.triu(upper, 1).T
    weight = rng.random(n)
    assert np.allclose(pixels.row_sums(weight), (dense * np.outer(weight, weight)).sum(1))


@pytest.mark.parametrize(
    ("distance", "counts"),
    [
        (1, [4, 5]),
        (1000, [4, 5]),
        (1999, [4, 5]),
        (2000, [4, 1, 3, 5]),
        (10_000, [4, 1, 2, 3, 5]),
    ],
)
def test_within_a_distance(distance, counts):
    assert small().within(distance).count.tolist() == counts


def test_long_maps_are_gone_through_in_parts(monkeypatch):
    upper = np.triu(np.random.default_rng(0).integers(0, 4, (30, 30)))
    whole = Pixels.from_coo(coo_matrix(upper), 30, 1)
    monkeypatch.setattr("chromweave.io.pixels._AT_ONCE", 7)
    assert np.array_equal(whole.row_sums(), (upper + np.triu(upper, 1).T).sum(1))
    shuffled = coo_matrix(upper)
    shuffled.row, shuffled.col, shuffled.data = (x[::-1] for x in (shuffled.row, shuffled.col, shuffled.data))
    assert np.array_equal(Pixels.from_coo(shuffled, 30, 1).bin2, whole.bin2)


def test_unsorted_pixels_are_sorted_and_whole_numbers_become_integers():
    matrix = coo_matrix((np.array([3.0, 1.0, 2.0], np.float32), ([1, 0, 0], [2, 2, 0])), shape=(3, 3))
    pixels = Pixels.from_coo(matrix, 3, 1000)
    assert pixels.bin1.tolist() == [0, 0, 1]
    assert pixels.bin2.tolist() == [0, 2, 2]
    assert pixels.count.tolist() == [2, 1, 3]
    assert pixels.count.dtype == np.int32
    assert pixels.bin1.dtype == pixels.bin2.dtype == np.int32


@pytest.mark.parametrize(
    ("largest", "dtype"), [(1.5, np.float64), (2.0**31, np.int64), (2.0**54, np.float64), (7.0, np.int32)]
)
def test_counts_keep_their_values(largest, dtype):
    pixels = Pixels.from_coo(coo_matrix(np.array([[largest]])), 1, 1)
    assert pixels.count.dtype == dtype
    assert pixels.count[0] == largest
