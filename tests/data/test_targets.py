"""The mean of each bin over its steps with data, where enough of them have some."""

import torch

from chromweave.data.targets import binned_targets


def test_by_hand():
    # Two windows of two bins in each segment, three steps to a bin.
    track = torch.tensor([[1.0, 2, 6, 4, 8, 0, 5, 0, 0, 0, 0, 0], [1, 1, 1, 2, 2, 2, 3, 3, 3, 9, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1]]).bool()
    found = binned_targets(track, mask, 4)
    assert found.value.tolist() == [[3, 6, 0, 0], [1, 2, 3, 4.5]]
    assert found.known.tolist() == [[True, True, False, False], [True] * 4]


def test_half_of_the_steps_are_enough():
    track = torch.tensor([[2.0, 0, 4, 0, 7, 0, 0, 0]])
    mask = torch.tensor([[1, 0, 1, 0, 1, 0, 0, 0]]).bool()
    found = binned_targets(track, mask, 2)
    assert found.value.tolist() == [[3, 0]]
    assert found.known.tolist() == [[True, False]]
