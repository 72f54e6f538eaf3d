from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.metrics import average_precision_score

from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.matching import match_curve, match_loops, shifted_control


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
    calls = loops((1, 5), (2, 6))
    with pytest.raises(DataError, match=r"2 calls, but scores of shape \(1,\)"):
        match_loops(calls, calls, 1, 10, score=np.ones(1))
    with pytest.raises(DataError, match="2 calls, but scores of shape"):
        match_curve(match_loops(calls, calls, 1, 10), np.ones(3))


def test_which_rows_are_matched():
    found = match_loops(loops((1, 5), (20, 60), (3, 9)), loops((80, 90), (20, 60)), 0, 10)
    assert found.call_matched.tolist() == [False, True, False]
    assert found.truth_matched.tolist() == [False, True]


def test_the_nearest_partner_is_preferred():
    found = match_loops(loops((10, 50)), loops((11, 51), (10, 50), (9, 50)), 1, 10)
    assert found.truth.tolist() == [1]


def test_the_best_calls_are_matched():
    """Of five calls round one loop, the one with the highest score is the hit; without scores the first."""
    calls = loops((10, 50), (10, 51), (11, 50), (9, 50), (10, 49))
    score = np.array([1.0, 3.0, 9.0, np.nan, 2.0])
    assert match_loops(calls, loops((10, 50)), 1, 10, score=score).call.tolist() == [2]
    assert match_loops(calls, loops((10, 50)), 1, 10).call.tolist() == [0]


def test_a_call_without_score_is_matched_last():
    calls = loops((10, 50), (10, 50))
    found = match_loops(calls, loops((10, 50)), 0, 10, score=np.array([np.nan, -5.0]))
    assert found.call.tolist() == [1]


def test_curve_from_the_best_call_down():
    """Hits at ranks 1 and 3 and, of two calls of equal score, one more; the last call has no score."""
    calls = loops((10, 50), (30, 80), (50, 90), (70, 99), (71, 120), (5, 200))
    truth = loops((10, 50), (50, 90), (70, 99), (5, 200))
    score = np.array([9.0, 8.0, 7.0, 5.0, 5.0, np.nan])
    curve = match_curve(match_loops(calls, truth, 0, 10, score=score), score)
    np.testing.assert_equal(curve.score, [9.0, 8.0, 7.0, 5.0, np.nan])
    assert curve.called.tolist() == [1, 2, 3, 5, 6]
    assert curve.matched.tolist() == [1, 1, 2, 3, 4]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 3 / 5, 4 / 6])
    np.testing.assert_allclose(curve.recall, [1 / 4, 1 / 4, 2 / 4, 3 / 4, 1])
    np.testing.assert_allclose(curve.f1, [2 / 5, 2 / 6, 4 / 7, 6 / 9, 8 / 10])
    assert curve.average_precision == pytest.approx((1 + 2 / 3 + 3 / 5 + 4 / 6) / 4)


def test_curves_of_nothing():
    none, one = loops(), loops((1, 5))
    empty = match_curve(match_loops(none, one, 1, 10), np.empty(0))
    assert len(empty) == 0
    assert np.isnan(empty.average_precision)
    unknown = match_curve(match_loops(one, none, 1, 10), np.ones(1))
    assert np.isnan(unknown.recall).all()
    assert unknown.precision.tolist() == [0.0]
    assert np.isnan(unknown.average_precision)


def test_average_precision_is_the_usual_one_where_every_loop_is_found():
    generator = np.random.default_rng(1)
    x = 40 * np.arange(30)
    calls, score = loops(*zip(x, x + 20, strict=True)), generator.integers(0, 9, 30).astype(float)
    true = generator.random(30) < 0.4
    curve = match_curve(match_loops(calls, calls[true], 1, 10, score=score), score)
    assert curve.average_precision == pytest.approx(average_precision_score(true, score))


def test_shifted_calls_find_what_chance_finds():
    calls, truth = loops((100, 150), (300, 350)), loops((100, 150), (200, 250))
    # By 1000 bp = 100 bins: (200, 250) is found, (400, 450) not; by -1000: (0, 50) and (200, 250).
    assert shifted_control(calls, truth, 0, 10, shifts=(1000,)) == 0.5
    assert shifted_control(calls, truth, 0, 10, shifts=(1000, -1000)) == 0.5
    assert shifted_control(calls, truth, 0, 10, shifts=(-2000,)) == 1.0  # (100, 150); the other left the map
    assert np.isnan(shifted_control(calls, truth, 0, 10, shifts=(-9000,)))


def test_shifted_calls_that_leave_where_loops_can_be_do_not_count():
    calls, truth = loops((100, 150), (300, 350)), loops((100, 150), (200, 250))

    def inside(moved):
        return (moved["end2"] <= 4000).to_numpy()

    assert shifted_control(calls, truth, 0, 10, shifts=(1000,), counted=inside) == 1.0  # 450 is outside
    assert np.isnan(shifted_control(calls, truth, 0, 10, shifts=(9000,), counted=inside))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_prefix_of_the_ranking_is_matched_as_if_alone(seed):
    generator = np.random.default_rng(seed)
    calls, truth = (loops(*(generator.integers(0, 6, (n, 2)) + np.array([0, 6]))) for n in (9, 7))
    score = generator.integers(0, 5, 9).astype(float)
    whole = match_loops(calls, truth, 1, 10, score=score)
    assert len(whole) == len(match_loops(calls, truth, 1, 10)) == by_scipy(calls, truth)
    curve = match_curve(whole, score)
    for least, called, matched in zip(curve.score, curve.called, curve.matched, strict=True):
        assert called == (score >= least).sum()
        assert matched == by_scipy(calls[score >= least], truth)


def by_scipy(calls, truth):
    """Size of a maximum matching within one bin."""
    anchors = [table[["start1", "start2"]].to_numpy() for table in (calls, truth)]
    near = np.abs(anchors[0][:, None] - anchors[1]).max(axis=2) <= 10
    return int((maximum_bipartite_matching(csr_matrix(near)) >= 0).sum())


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
