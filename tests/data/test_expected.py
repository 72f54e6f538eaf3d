"""The mean of each stored diagonal, by hand, by brute force and against the one for pixels."""

import numpy as np
import pytest

from chromweave.data.expected import expected_of_band
from chromweave.data.layouts import pack_band
from chromweave.evaluation.expected import expected_by_distance
from chromweave.io.pixels import Pixels


def pixels_of(matrix):
    bin1, bin2 = np.nonzero(np.triu(matrix))
    return Pixels(bin1.astype(np.int32), bin2.astype(np.int32), matrix[bin1, bin2], len(matrix), 5000)


def test_by_hand():
    matrix = np.array([[4, 2, 9, 1], [0, 6, 3, 8], [0, 0, 5, 7], [0, 0, 0, 2]])
    weight = np.array([1.0, 0.5, np.nan, 2.0])
    # d 0: 4*1, 6*.25, 2*4; d 1: 2*.5 alone; d 2: 8*.5*2 alone; d 3: 1*2
    expected = expected_of_band(pack_band(pixels_of(matrix), 4), weight)
    np.testing.assert_allclose(expected, [(4 + 1.5 + 8) / 3, 1.0, 8.0, 2.0])


def test_a_diagonal_without_a_valid_pixel_is_zero():
    weight = np.array([1.0, np.nan, np.nan, 1.0])
    expected = expected_of_band(pack_band(pixels_of(np.ones((4, 4), int)), 4), weight)
    np.testing.assert_allclose(expected, [1, 0, 0, 1])


@pytest.mark.parametrize("largest", [3, 200, 5000, 70_000])
def test_equals_the_one_for_pixels_whatever_the_layout(largest):
    rng = np.random.default_rng(largest)
    matrix = np.triu(rng.integers(0, 9, (80, 80)))
    matrix[rng.integers(0, 80, 20), rng.integers(0, 80, 20)] = largest  # far overflow among them
    pixels = pixels_of(np.triu(matrix))
    weight = rng.uniform(0.2, 3, 80)
    weight[[0, 17, 79]] = np.nan
    band = pack_band(pixels, 40)
    np.testing.assert_allclose(
        expected_of_band(band, weight), expected_by_distance(pixels, 40, weight=weight), rtol=1e-12
    )
