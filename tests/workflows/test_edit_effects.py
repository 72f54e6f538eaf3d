"""Effects worked out by hand."""

import numpy as np
import pytest

from chromweave.workflows.edit_effects import (
    insulation_at_centre,
    insulation_width,
    log2_change,
    loop_strength,
)

NAN = float("nan")


def test_change_of_contacts():
    found = log2_change(np.array([1.0, 3.0, 0.0, NAN]), np.array([3.0, 1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(found, [1.0, -1.0, 0.0, NAN])


def test_insulation_of_a_wall_and_of_none():
    """Contacts 4 within either half and 1 across the anchor: a wall there, log2 of 1 over the mean."""
    side = 10  # the squares are 2 bins a side
    wall = np.full((side, side), 4.0)
    wall[:5, 5:] = wall[5:, :5] = 1.0
    assert insulation_width(side) == 2
    # Squares of bins 2 to 7. Bin 5: rows 3, 4 x columns 6, 7, all across; bin 4: rows 2, 3 x columns 5, 6,
    # all across; bin 3: rows 1, 2 x columns 4, 5: half; bin 6: rows 4, 5 x columns 7, 8: half; others none.
    scores = np.array([4.0, 2.5, 1.0, 1.0, 2.5, 4.0])
    found = insulation_at_centre(np.stack([wall, np.full((side, side), 4.0), np.full((side, side), NAN)]))
    np.testing.assert_allclose(found, [np.log2(1.0 / scores.mean()), 0.0, NAN], atol=1e-12)


@pytest.mark.parametrize(("side", "width"), [(50, 10), (16, 3), (4, 1), (200, 10)])
def test_width_of_the_insulation_square(side, width):
    assert insulation_width(side) == width


def test_strength_of_a_dot():
    """Contacts 1 but 3 x 3 of 5 around (2, 9): each diagonal has its share of 5s in its mean."""
    side = 12
    dot = np.ones((side, side))
    dot[1:4, 8:11] = 5.0
    # Offsets 5 to 9 hold 7, 6, 5, 4, 3 entries, of which 1, 2, 3, 2, 1 belong to the dot.
    means = [(7 + 4) / 7, (6 + 8) / 6, (5 + 12) / 5, (4 + 8) / 4, (3 + 4) / 3]
    expected = sum(n * m for n, m in zip([1, 2, 3, 2, 1], means, strict=True)) / 9
    maps = np.stack([dot, np.ones((side, side)), np.zeros((side, side)), np.full((side, side), NAN)])
    found = loop_strength(maps, np.full(4, 2), np.full(4, 9))
    np.testing.assert_allclose(found, [np.log2(5 / expected), 0.0, NAN, NAN])


def test_strength_leaves_out_what_is_not_predicted():
    maps = np.fromfunction(lambda i, j: 100.0 / (1 + np.abs(j - i)), (12, 12))
    holed = maps.copy()
    holed[3] = holed[:, 3] = NAN
    found = loop_strength(np.stack([maps, holed]), np.array([3, 2]), np.array([8, 8]))
    np.testing.assert_allclose(found, 0.0, atol=1e-12)  # nothing but distance: no loop


def test_strength_knows_rows_from_columns():
    maps = np.ones((1, 12, 12))
    maps[0, 1:4, 7:10] = 5.0
    row, column = np.array([2]), np.array([8])
    assert loop_strength(maps, row, column) > 0.5
    assert loop_strength(maps, column, row) == 0
