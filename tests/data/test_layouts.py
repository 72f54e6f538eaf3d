"""Every layout gives back the pixels it was made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.data.layouts import Sparse, Triangle, pack_band, pack_every_distance, parts, unpack
from chromweave.errors import StoreError
from chromweave.io.pixels import Pixels


def pixels_of(matrix):
    bin1, bin2 = np.nonzero(np.triu(matrix))
    return Pixels(bin1.astype(np.int32), bin2.astype(np.int32), matrix[bin1, bin2], len(matrix), 5000)


def matrix_of(layout):
    matrix = np.zeros((layout.n_bins, layout.n_bins))
    for piece in layout.entries():
        matrix[piece.bin1, piece.bin2] = piece.count
    return matrix


def symmetric(upper):
    return np.triu(upper) + np.triu(upper, 1).T


@given(
    n_bins=st.integers(1, 30),
    n_diagonals=st.integers(1, 30),
    largest=st.sampled_from([1, 200, 255, 256, 70_000, 2**33]),
    density=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_band_gives_back_every_pixel_within_it(n_bins, n_diagonals, largest, density, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(0, largest + 1, (n_bins, n_bins)) * (rng.random((n_bins, n_bins)) < density))
    n_diagonals = min(n_diagonals, n_bins)
    band = pack_band(pixels_of(upper), n_diagonals)
    kept = np.triu(upper) - np.triu(upper, n_diagonals)
    assert band.n_diagonals == n_diagonals
    np.testing.assert_array_equal(matrix_of(band), kept)
    beyond = np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins))) >= n_diagonals
    np.testing.assert_array_equal(band.dense(0, n_bins), np.where(beyond, np.nan, symmetric(kept)))
    middle = slice(n_bins // 3, n_bins - n_bins // 4)
    np.testing.assert_array_equal(
        band.dense(middle.start, middle.stop), np.where(beyond, np.nan, symmetric(kept))[middle, middle]
    )


def test_deep_counts_near_the_diagonal_do_not_widen_the_far_field():
    n_bins = 200
    matrix = np.zeros((n_bins, n_bins), np.int64)
    for distance in range(50):
        matrix[np.arange(n_bins - distance), np.arange(distance, n_bins)] = 3000 if distance < 5 else 7
    matrix[3, 45] = 60_000  # one freak pixel goes to the overflow list
    band = pack_band(pixels_of(matrix), 50)
    assert (band.near.shape[1], band.near.dtype, band.far.dtype) == (5, np.uint16, np.uint8)
    assert band.overflow_keys.tolist() == [3 * 50 + 42]
    assert band.overflow_counts.tolist() == [60_000]


def test_shallow_counts_take_one_byte():
    band = pack_band(pixels_of(np.full((20, 20), 254)), 10)
    assert band.near.shape[1] == 0
    assert band.far.nbytes == 200


def test_counts_that_are_no_integers_stay_what_they_are():
    matrix = np.array([[0.25, 1.5], [0, 0.1]])
    band = pack_band(pixels_of(matrix), 2)
    assert band.near.dtype == np.float64  # 0.1 is no float32
    np.testing.assert_array_equal(matrix_of(band), matrix)
    assert pack_band(pixels_of(matrix * [[1, 1], [0, 0]]), 2).near.dtype == np.float32


@pytest.mark.parametrize(("density", "kind"), [(0.2, Sparse), (0.9, Triangle)])
def test_every_distance_is_kept_in_the_smaller_form(density, kind):
    rng = np.random.default_rng(0)
    upper = np.triu(rng.integers(1, 300, (60, 60)) * (rng.random((60, 60)) < density))
    layout = pack_every_distance(pixels_of(upper))
    assert isinstance(layout, kind)
    np.testing.assert_array_equal(matrix_of(layout), upper)
    np.testing.assert_array_equal(layout.dense(0, 60), symmetric(upper))
    np.testing.assert_array_equal(layout.dense(13, 41), symmetric(upper)[13:41, 13:41])
    stored = unpack(layout.name, {part: getattr(layout, part) for part in parts(layout.name)})
    np.testing.assert_array_equal(matrix_of(stored), upper)


def test_an_unknown_layout_is_refused():
    with pytest.raises(StoreError, match="unknown layout 'cube'"):
        parts("cube")
