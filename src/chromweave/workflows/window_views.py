"""What evaluations look at besides the model's own input: bins of a batch of windows, as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..batch import MapTrackBatch, Prediction
from ..data.dataset import WindowDataset, loader
from ..progress import track

__all__ = ["bin_signal", "predictions", "random_batches"]


def bin_signal(batch: MapTrackBatch, window_bins: int) -> np.ndarray:
    """Mean signal of each bin of both segments and of each track, over its steps with data.

    Returns
    -------
    numpy.ndarray
        float64 (n, 2 bins, tracks), on the scale of the batch; NaN where no step has data.
    """

    def pooled(values: Tensor) -> Tensor:
        return values.double().reshape(len(values), 2 * window_bins, -1, values.shape[-1]).mean(2)

    return (pooled(batch.tracks * batch.track_mask) / pooled(batch.track_mask)).numpy()


def random_batches(dataset: WindowDataset, most: int, batch_size: int, seed: int) -> Iterator[MapTrackBatch]:
    """All windows in order, or at most so many drawn at random, batch by batch."""
    numbers = np.arange(len(dataset))
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))
    for part in np.array_split(numbers, -(-len(numbers) // batch_size)):
        yield dataset.batch(part)


def predictions(
    network: nn.Module, dataset: WindowDataset, batch_size: int
) -> Iterator[tuple[MapTrackBatch, Prediction]]:
    """Each batch of a dataset in order, and what the network, in evaluation mode, says of it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    batches = loader(dataset, batch_size)
    for batch in track(batches, "predicting", total=len(batches), unit="batch"):
        moved = batch.to(device)
        with torch.inference_mode():
            said: Prediction = network(moved.contact_map, moved.tracks)
        yield (
            batch,
            Prediction(said.value.float().cpu(), None if said.logit is None else said.logit.float().cpu()),
        )
