from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import ConfigError
from chromweave.evaluation.matching import match_loops, shifted_control


def loops(*bins, chrom="chr1", resolution=10):
    """Loops of one bin anchors at (x, y)."""
    x, y = np.array(bins, dtype=np.int64).reshape(-1, 2).T * resolution
    return pd.DataFrame(
        {
            "chrom1": chrom,
            "start1": x,
            "end1": x + resolution,
            "chrom2": chrom,
            "start2": y,
            "end2": y + resolution,
        }
    )


def test_within_tolerance_in_both_anchors():
    calls = loops((10, 50), (20, 60), (30, 70))
    truth = loops((11, 49), (20, 63), (80, 90), (5, 9))
    found = match_loops(calls, truth, 1, 10)
    assert found.call.tolist() == [0]
    assert found.truth.tolist() == [0]
    assert (found.precision, found.recall, found.f1) == (1 / 3, 1 / 4, pytest.approx(2 / 7))
    assert len(match_loops(calls, truth, 3, 10)) == 2
    assert len(match_loops(calls, truth, 0, 10)) == 0


def test_one_to_one():
    """Five calls round one true loop are one hit, not five."""
    calls = loops((10, 50), (10, 51), (11, 50), (9, 50), (10, 49))
    found = match_loops(calls, loops((10, 50)), 1, 10)
    assert (len(found), found.precision, found.recall) == (1, 1 / 5, 1.0)


def test_as_many_as_can_be_matched():
    """Call 0 fits both true loops, call 1 only the first: greedy might leave one out."""
    calls, truth = loops((10, 50), (9, 50)), loops((10, 50), (11, 50))
    found = match_loops(calls, truth, 1, 10)
    assert found.truth.tolist() == [1, 0]


def test_chromosomes_and_the_order_of_anchors():
    calls = pd.concat([loops((10, 50), chrom="chr2"), loops((50, 10))], ignore_index=True)
    found = match_loops(calls, loops((10, 50)), 0, 10)
    assert found.call.tolist() == [1]


def test_wide_anchors_are_known_by_their_midpoint_or_start():
    wide = loops((10, 50))
    wide["end1"] += 60  # midpoint three bins on
    assert len(match_loops(wide, loops((13, 50)), 0, 10)) == 1
    assert len(match_loops(wide, loops((10, 50)), 0, 10, anchor="start")) == 1


def test_empty_lists():
    none, one = loops(), loops((1, 5))
    assert match_loops(none, one, 1, 10).recall == 0
    assert np.isnan(match_loops(none, one, 1, 10).precision)
    assert match_loops(one, none, 1, 10).precision == 0
    assert np.isnan(match_loops(none, none, 1, 10).f1)


def test_wrong_use():
    with pytest.raises(ConfigError, match="tolerance_bins >= 0"):
        match_loops(loops(), loops(), -1, 10)


def test_shifted_calls_find_what_chance_finds():
    calls, truth = loops((100, 150), (300, 350)), loops((100, 150), (200, 250))
    # By 1000 bp = 100 bins: (200, 250) is found, (400, 450) not; by -1000: (0, 50) and (200, 250).
    assert shifted_control(calls, truth, 0, 10, shifts=(1000,)) == 0.5
    assert shifted_control(calls, truth, 0, 10, shifts=(1000, -1000)) == 0.5
    assert shifted_control(calls, truth, 0, 10, shifts=(-2000,)) == 1.0  # (100, 150); the other left the map
    assert np.isnan(shifted_control(calls, truth, 0, 10, shifts=(-9000,)))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_pairing_has_more_pairs(seed):
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, 5, (2, 4, 2)) + np.array([0, 5])
    near = np.abs(first[:, None] - second[None]).max(axis=2) <= 1
    best = max(sum(near[i, j] for i, j in enumerate(order)) for order in permutations(range(4)))
    found = match_loops(loops(*first), loops(*second), 1, 10)
    assert len(set(found.call)) == len(set(found.truth)) == len(found)
    assert len(found) == best
