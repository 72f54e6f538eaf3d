"""A random split deals every window once, and what it shares is measured."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromweave.data.shuffle import dealt, shared_with_training
from chromweave.genome import RandomSplit


@given(st.integers(0, 500), st.floats(0.01, 0.45), st.floats(0.01, 0.45), st.integers(0, 5))
def test_shares(windows, valid, test, seed):
    names = dealt(windows, RandomSplit((), valid, test, seed))
    assert len(names) == windows
    assert (names == "valid").sum() == int(windows * valid)
    assert (names == "test").sum() == int(windows * test)
    assert set(names) <= {"train", "valid", "test"}


def test_the_seed_decides():
    first, again, other = (dealt(1000, RandomSplit((), seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert [(first == name).sum() for name in ("train", "valid", "test")] == [800, 100, 100]
    # Shuffled: of neighbours hardly any are dealt alike in runs.
    assert (first[1:] != first[:-1]).sum() > 200


def test_what_is_shared_by_hand():
    table = pd.DataFrame(
        [
            ("chr1", 1000, 1000, "train"),
            ("chr1", 1050, 1050, "test"),  # half of a window of 100 on both axes
            ("chr1", 1000, 1060, "test"),  # less than half on one
            ("chr1", 950, 950, "valid"),
            ("chr2", 1000, 1000, "test"),  # nothing was trained on there
            ("chr3", 5000, 7000, "test"),
            ("chr3", 5030, 7010, "train"),
        ],
        columns=["chrom", "x", "y", "split"],
    )
    assert shared_with_training(table, 100) == 2 / 4
    assert shared_with_training(table, 10) == 0
    assert np.isnan(shared_with_training(table[table["split"] != "test"], 100))


@pytest.mark.parametrize("side", [100, 400])
def test_against_every_pair(side):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"chrom": rng.choice(["chr1", "chr2"], 200), "x": rng.integers(0, 3000, 200)}
    ).assign(y=lambda t: t["x"] + rng.integers(0, 500, 200), split=dealt(200, RandomSplit((), 0.1, 0.3)))
    test, train = (table[table["split"] == name] for name in ("test", "train"))
    pairs = test.merge(train, on="chrom", suffixes=("", "_train"))
    near = (abs(pairs["x"] - pairs["x_train"]) <= side / 2) & (abs(pairs["y"] - pairs["y_train"]) <= side / 2)
    wanted = len(pairs[near][["chrom", "x", "y"]].drop_duplicates()) / len(test)
    assert 0 < wanted < 1
    assert shared_with_training(table, side) == pytest.approx(wanted)
