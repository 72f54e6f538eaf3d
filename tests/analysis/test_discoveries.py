import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.analysis.discoveries import target_decoy_qvalues
from chromweave.errors import DataError

# Few different values, so that scores tie within and between targets and decoys.
scores = st.lists(st.integers(-4, 4).map(float) | st.just(np.inf) | st.just(-np.inf), max_size=12)


def test_by_hand():
    """Cuts behind 9, 8, 7, 5 and 4 take 1 to 5 targets, and 0, 0, 1, 1 and 3 decoys.

    (1 + decoys) / targets: 1, 1/2, 2/3, 1/2, 4/5. The cut behind 5 takes 9, 8 and 7 at 1/2 as well.
    """
    found = target_decoy_qvalues([5.0, 9.0, 4.0, 8.0, 7.0], [7.5, 4.5, 4.2, 1.0])
    np.testing.assert_allclose(found, [1 / 2, 1 / 2, 4 / 5, 1 / 2, 1 / 2])


def test_equal_scores_by_hand():
    """Both 6s are taken together, with the decoy of 6: 2/3, where one of them alone would be at 2/2."""
    found = target_decoy_qvalues([6.0, 8.0, 6.0, 1.0], [6.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 1.0])


def test_without_decoys_all_are_taken_together():
    np.testing.assert_allclose(target_decoy_qvalues([3.0, 1.0, 2.0, 2.0], []), 1 / 4)
    assert target_decoy_qvalues([3.0], []).tolist() == [1.0]


def test_without_targets_there_is_nothing():
    for decoy in ([], [1.0, 2.0]):
        found = target_decoy_qvalues([], decoy)
        assert found.shape == (0,)
        assert found.dtype == np.float64


def test_decoys_that_are_all_better():
    assert target_decoy_qvalues([1.0, 2.0], [3.0, 4.0]).tolist() == [1.0, 1.0]


def test_targets_that_are_all_better():
    np.testing.assert_allclose(target_decoy_qvalues(np.arange(10.0, 20.0), np.arange(5.0)), 1 / 10)


@given(scores, scores)
def test_agrees_with_the_definition(target, decoy):
    def estimate(cut):
        return (1 + sum(d >= cut for d in decoy)) / sum(t >= cut for t in target)

    expected = [min(1.0, *(estimate(cut) for cut in target if cut <= score)) for score in target]
    np.testing.assert_allclose(target_decoy_qvalues(target, decoy), expected, rtol=1e-14)


@given(scores, scores, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_the_better_are_never_worse_off(target, decoy, random):
    target = np.array(target)
    found = target_decoy_qvalues(target, decoy)
    assert (found > 0).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(-target, kind="stable")]) >= 0).all()
    order = list(range(len(target)))
    random.shuffle(order)
    random.shuffle(decoy)
    np.testing.assert_array_equal(target_decoy_qvalues(target[order], decoy), found[order])


@given(scores, scores, st.integers(-4, 4))
def test_another_decoy_lowers_no_qvalue(target, decoy, another):
    before, after = (target_decoy_qvalues(target, decoys) for decoys in (decoy, [*decoy, float(another)]))
    assert (after >= before).all()


@pytest.mark.parametrize(("target", "decoy"), [([1.0, np.nan], [0.0]), ([1.0], [np.nan, 0.0])])
def test_scores_that_are_missing_are_refused(target, decoy):
    with pytest.raises(DataError, match="some of them have none"):
        target_decoy_qvalues(target, decoy)


@pytest.mark.parametrize(("true", "strength"), [(0, 0.0), (30, 3.0), (100, 2.5)])
def test_false_discoveries_are_controlled(true, strength):
    """400 null targets, as many decoys, and some that are better: at most 1 in 10 is false on average.

    Of 400 repetitions the mean share of false ones has a standard error below 0.01 (without true ones,
    0.3 / 20 = 0.015). With as many decoys as null targets the bound is nearly reached: a q-value that
    were always 1 would pass the upper bound, but not the lower one.
    """
    generator = np.random.default_rng(true)
    share, found = [], []
    for _ in range(400):
        null, decoy = generator.normal(size=(2, 400))
        better = generator.normal(strength, size=true)
        called = target_decoy_qvalues(np.concatenate([null, better]), decoy) <= 0.1
        share.append(called[:400].sum() / max(called.sum(), 1))
        found.append(called[400:].sum())
    error = np.std(share) / 20
    assert error < 0.016
    assert np.mean(share) <= 0.1 + 2 * error
    if true:
        assert np.mean(share) > 0.03
        assert np.mean(found) > 0.2 * true
