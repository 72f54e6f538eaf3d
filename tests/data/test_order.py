"""An epoch's batches: their order, the part of each process, and the share of each store."""

from collections import Counter

import numpy as np
import pytest

from chromweave.data.order import EpochBatches
from chromweave.errors import ConfigError


def windows(batches, epoch=0):
    batches.set_epoch(epoch)
    return [picked.windows.tolist() for picked in batches]


def dealt(rank, world, *arguments, **options):
    batches = EpochBatches(*arguments, **options)
    batches.deal(rank, world)
    found = windows(batches, 2)
    assert len(batches) == len(found)
    return found


def test_a_shuffled_epoch_is_numpys_permutation_of_seed_and_epoch():
    batches = EpochBatches([13, 10], 5, shuffle=True, seed=3)
    order = np.random.default_rng([3, 7]).permutation(23).tolist()
    assert windows(batches, 7) == [order[i : i + 5] for i in range(0, 23, 5)]
    assert [picked.epoch for picked in batches] == [7] * 5
    assert windows(EpochBatches([13, 10], 5, shuffle=True, seed=3, drop_last=True), 7)[-1] == order[15:20]


def test_table_order():
    assert windows(EpochBatches([3, 4], 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert windows(EpochBatches([3, 4], 3, drop_last=True), 5) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_slices_of_all_processes_are_the_batches_of_one(world):
    one = dealt(0, 1, [50, 23], 8, shuffle=True, seed=1)
    parts = [dealt(rank, world, [50, 23], 8, shuffle=True, seed=1) for rank in range(world)]
    joined = [[w for piece in pieces for w in piece] for pieces in zip(*parts, strict=True)]
    assert joined == (one if world == 1 else one[:-1])  # 73 = 9 x 8 + 1
    assert all(len(part) == len(joined) for part in parts)


@pytest.mark.parametrize("world", [2, 3, 12])
def test_whole_batches_are_dealt_round_in_table_order(world):
    one = windows(EpochBatches([50, 23], 7))
    assert len(one) == 11
    for rank in range(world):
        assert dealt(rank, world, [50, 23], 7) == one[rank::world]


def test_a_pass_is_fixed_when_it_begins():
    batches = EpochBatches([40], 10, shuffle=True, seed=0)
    expected = windows(batches, 1)
    batches.set_epoch(1)
    begun = iter(batches)
    batches.set_epoch(2)
    assert [picked.windows.tolist() for picked in begun] == expected


def test_stores_by_weight_hand_computed():
    """20 windows by weights 2 : 1 : 0: 13.33 and 6.67, so 13 and 7, of stores of 4, 10 and 6 windows."""
    batches = EpochBatches([4, 10, 6], 20, shuffle=True, seed=5, store_weights=[2, 1, 0])
    (drawn,) = windows(batches, 3)
    times = Counter(drawn)
    first, second = [times[w] for w in range(4)], [times[w] for w in range(4, 14)]
    assert sorted(first) == [3, 3, 3, 4]
    assert sorted(second) == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert not any(times[w] for w in range(14, 20))
    assert drawn != sorted(drawn)
    assert windows(batches, 3) == [drawn] != windows(batches, 4)
    assert windows(EpochBatches([4, 10, 6], 20, shuffle=True, seed=6, store_weights=[2, 1, 0]), 3) != [drawn]


def test_over_epochs_no_window_of_a_weighted_store_is_forgotten():
    batches = EpochBatches([30, 10], 40, shuffle=True, seed=0, store_weights=[0.25, 0.75])
    times = Counter(w for epoch in range(200) for w in windows(batches, epoch)[0])
    assert sum(times[w] for w in range(30)) == 200 * 10
    assert all(times[w] == 200 * 3 for w in range(30, 40))
    assert all(30 < times[w] < 110 for w in range(30))  # 66.7 expected, standard deviation 6.7


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "one weight for each store"),
        ([1.0, -1.0], "at least 0"),
        ([0.0, 0.0], "at least 0"),
        ([1.0, float("nan")], "at least 0"),
    ],
)
def test_weights_that_say_nothing(weights, message):
    with pytest.raises(ConfigError, match=message):
        EpochBatches([3, 4], 2, shuffle=True, store_weights=weights)


def test_what_is_refused():
    with pytest.raises(ConfigError, match="batch_size must be positive"):
        EpochBatches([3], 0)
    with pytest.raises(ConfigError, match="need shuffle=True"):
        EpochBatches([3, 4], 2, store_weights=[1, 1])
    with pytest.raises(ConfigError, match="store 2 has no window"):
        EpochBatches([3, 0], 2, shuffle=True, store_weights=[1, 1])
    with pytest.raises(ConfigError, match="8 windows cannot be divided among 3 processes"):
        EpochBatches([30], 8, shuffle=True).deal(0, 3)
    with pytest.raises(ConfigError, match="no process 2 among 2"):
        EpochBatches([30], 8).deal(2, 2)
