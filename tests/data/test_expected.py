"""The mean of each stored diagonal, by hand and against the one for pixels; that of windows' diagonals."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chromweave.data.expected import ExpectedWindows, expected_of_band
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


def test_a_diagonal_without_a_valid_pixel_is_undefined():
    weight = np.array([1.0, np.nan, np.nan, 1.0])
    expected = expected_of_band(pack_band(pixels_of(np.ones((4, 4), int)), 4), weight)
    np.testing.assert_allclose(expected, [1, np.nan, np.nan, 1])


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


@dataclass
class BandCutter:
    """As much of a cutter as an expectation asks for; counts how often it is asked."""

    matrices: dict
    window_bins: int
    asked: list = field(default_factory=list)

    def chromosome(self, name):
        self.asked.append(name)
        matrix = self.matrices[name]
        band = pack_band(pixels_of(matrix), min(len(matrix), 6))
        contacts = SimpleNamespace(band=band, weight=np.ones(len(matrix)))
        return SimpleNamespace(contacts=contacts)


def by_distance(*values):
    """A map that holds values[d] at distance d."""
    places = np.arange(9)
    return np.triu(np.array([*values, *[0] * (9 - len(values))])[np.abs(places - places[:, None])])


def placed(**values):
    """As much of placed windows as an expectation looks at."""
    return SimpleNamespace(**{name: torch.tensor(value) for name, value in values.items()})


def test_diagonals_of_windows():
    cutters = [
        BandCutter({"a": by_distance(9, 5, 3, 2, 1, 7), "b": by_distance(8, 6, 4)}, window_bins=2),
        BandCutter({"a": by_distance(90, 50, 30, 20, 10, 70)}, window_bins=2),
    ]
    windows = ExpectedWindows(cutters, ["a", "b"], np.array([[0, 0], [0, 1], [1, 0]]))
    found = windows.diagonals(
        placed(
            store=[0, 0, 1, 0, 0],
            chrom=[0, 0, 0, 1, 0],
            rows=[3, 3, 3, 5, 2],
            columns=[3, 5, 5, 4, 8],
            flipped=[False, False, True, False, False],
        )
    )
    # Of a window on the diagonal both corners are one bin away from it; one whose columns lie two bins on
    # goes from 1 over 2 to 3 bins, read backwards the other way round; beyond six diagonals nothing is held.
    wanted = [[5, 9, 5], [5, 3, 2], [20, 30, 50], [4, 6, 8], [7, 0, 0]]
    np.testing.assert_array_equal(found.numpy(), wanted)
    windows.diagonals(placed(store=[0], chrom=[0], rows=[4], columns=[4], flipped=[False]))
    assert sorted(cutters[0].asked) == ["a", "b"]  # once each
    assert cutters[1].asked == ["a"]
