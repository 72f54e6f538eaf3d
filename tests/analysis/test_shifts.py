import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.analysis.shifts import circular_shift, empirical_pvalue
from chromweave.errors import DataError


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_shift_turns_every_chromosome_in_its_place(lengths, seed):
    chrom = np.repeat(np.arange(len(lengths)), lengths)
    index = circular_shift(chrom, np.random.default_rng(seed))
    assert sorted(index) == list(range(len(chrom)))
    assert (chrom[index] == chrom).all()
    for part in range(len(lengths)):
        steps = np.diff(index[chrom == part]) % lengths[part]
        assert (steps == 1 % lengths[part]).all(), "neighbours stay neighbours"


def test_a_shift_moves_at_least_a_tenth():
    chrom = np.zeros(100, dtype=int)
    moved = [circular_shift(chrom, np.random.default_rng(seed))[0] for seed in range(200)]
    assert min(moved) >= 10
    assert max(moved) <= 90
    assert len(set(moved)) > 40


def test_unsorted_chromosomes():
    with pytest.raises(DataError, match="sorted by chromosome"):
        circular_shift(np.array(["a", "b", "a"]), np.random.default_rng(0))


def test_pvalue_by_hand():
    assert empirical_pvalue(3, np.array([1, 2, 3, 4])) == pytest.approx(3 / 5)
    assert empirical_pvalue(9, np.array([1, 2, 3, 4])) == pytest.approx(1 / 5)
