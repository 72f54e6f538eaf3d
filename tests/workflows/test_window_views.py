"""Bins of windows as plain arrays, and windows drawn at random."""

from dataclasses import replace
from itertools import chain

import numpy as np
import torch

from chromweave.workflows.window_views import bin_signal, random_batches
from tests.fakes_windows import synthetic_batch


def test_a_bins_signal_is_the_mean_of_its_steps_with_data():
    batch = synthetic_batch(2, bins=2, positions=12, n_tracks=2)
    tracks = torch.arange(48.0).reshape(2, 12, 2)
    known = torch.ones(2, 12, 2, dtype=torch.bool)
    known[0, 0, 0] = known[0, 2, 0] = False  # bin 0 of the first track keeps its middle step, 2
    known[1, 3:6, 1] = False  # bin 1 of the second track of window 1 has nothing
    found = bin_signal(replace(batch, tracks=tracks * known, track_mask=known), 2)
    assert (found.shape, found.dtype) == ((2, 4, 2), np.float64)
    np.testing.assert_array_equal(found[0, :, 0], [2, 8, 14, 20])
    np.testing.assert_array_equal(found[0, :, 1], [3, 9, 15, 21])
    np.testing.assert_array_equal(found[1, :, 1], [27, np.nan, 39, 45])


def test_windows_without_tracks_have_bins_without_tracks():
    batch = synthetic_batch(3, bins=2, positions=12, n_tracks=1)
    bare = replace(batch, tracks=batch.tracks[..., :0], track_mask=batch.track_mask[..., :0])
    assert bin_signal(bare, 2).shape == (3, 4, 0)


class Numbers:
    """A dataset whose batch is the numbers that it was asked for."""

    def __len__(self):
        return 100

    def batch(self, numbers):
        return list(numbers)


def test_all_windows_come_in_order_where_there_are_few():
    batches = list(random_batches(Numbers(), 100, 30, seed=0))
    assert max(map(len, batches)) <= 30
    assert [*chain(*batches)] == list(range(100))


def test_some_are_drawn_once_each_where_there_are_many():
    drawn, again, others = ([*chain(*random_batches(Numbers(), 40, 16, seed=s))] for s in (1, 1, 2))
    assert len(set(drawn)) == len(drawn) == 40
    assert drawn == sorted(drawn) == again != others
    assert drawn != list(range(40))
