import numpy as np
import pytest

from chromweave.analysis.readings import against_shifts


def test_a_position_is_significant_only_in_its_place():
    # One marked bin in 100; every shift moves it by 10 to 90 bins, so no shift is as good.
    mark = np.zeros(100)
    mark[40] = 1

    def statistics(labels):
        return {"here": labels[40], "elsewhere": 1 - labels[40]}

    found = against_shifts(statistics, mark, np.zeros(100), permutations=19, seed=0)
    assert (found["here"].value, found["here"].expected, found["here"].pvalue) == (1.0, 0.0, 1 / 20)
    assert (found["elsewhere"].value, found["elsewhere"].expected, found["elsewhere"].pvalue) == (0, 1, 1)
    assert found["here"].bins == 100
    small = against_shifts(statistics, mark, np.zeros(100), permutations=19, seed=0, smaller={"elsewhere"})
    assert small["elsewhere"].pvalue == 1 / 20


def test_undefined_draws_are_no_draws():
    values = np.arange(50.0)
    calls = []

    def statistics(shifted):
        calls.append(shifted)
        return {"some": np.nan if len(calls) % 2 == 0 else 0.0, "never": np.nan}

    found = against_shifts(statistics, values, np.zeros(50), permutations=10, seed=0)
    # The first call is the observed one; five of ten draws are defined, all as large.
    assert found["some"].pvalue == pytest.approx(6 / 6)
    assert np.isnan([found["never"].value, found["never"].expected, found["never"].pvalue]).all()


def test_columns_are_turned_together():
    pair = np.stack([np.arange(30), np.arange(30) * 10], axis=1)
    seen = []
    against_shifts(lambda x: seen.append(x) or {}, pair, np.zeros(30), permutations=3, seed=1)
    assert len(seen) == 4
    assert all((x[:, 1] == 10 * x[:, 0]).all() for x in seen)
    assert (seen[1] != pair).any()
