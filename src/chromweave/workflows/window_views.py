"""What evaluations look at besides the model's own input: bins of a batch of windows, as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from ..batch import MapTrackBatch
from ..data.dataset import WindowDataset

__all__ = ["bin_signal", "random_batches"]


def bin_signal(batch: MapTrackBatch, window_bins: int) -> np.ndarray:
    """Mean signal of each bin of both segments and of each track, over its steps with data.

    Returns
    -------
    numpy.ndarray
        float64 (n, 2 bins, tracks), on the scale of the batch; NaN where no step has data.
    """

    def pooled(values: Tensor) -> Tensor:
        n, positions, tracks = values.shape
        steps = positions // (2 * window_bins)
        return values.double().reshape(n, 2 * window_bins, steps, tracks).mean(2)

    return (pooled(batch.tracks * batch.track_mask) / pooled(batch.track_mask)).numpy()


def random_batches(dataset: WindowDataset, most: int, batch_size: int, seed: int) -> Iterator[MapTrackBatch]:
    """All windows in order, or at most so many drawn at random, batch by batch."""
    numbers = np.arange(len(dataset))
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))
    for part in np.array_split(numbers, -(-len(numbers) // batch_size)):
        yield dataset.batch(part)
