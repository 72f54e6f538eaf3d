"""Fine-tuned models whose answers can be worked out by hand, and a small store of tracks to ask about."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from chromweave import config as configs
from chromweave.batch import Prediction
from chromweave.data.transforms import WindowTransform
from chromweave.genome import Assembly
from chromweave.models.mixhic import MixHicConfig
from chromweave.progress import Silent
from chromweave.training.checkpoint import LoadedModel, ModelDescription, save_model
from chromweave.workflows.model_input import ModelInput
from chromweave.workflows.networks import TASKS, build_network
from tests.fakes import FakeTrack, build_fake

RESOLUTION, BINS = 1000, 8
# 41 bins, the last one short; 20; and fewer than a window's.
PLACES = Assembly("places", {"chr1": 40_350, "chr2": 20_000, "chr3": 6_000})
DARK = {"chr1": (11, 30), "chr2": ()}  # bins where no track has data


def signal(name: str, chrom: str) -> np.ndarray:
    """100 bp means: different in every bin, NaN in those that are dark, and in a part of bin 5."""
    n = -(-PLACES.length(chrom) // 100)
    rng = np.random.default_rng([len(chrom), len(name), n])
    values = (np.floor(np.arange(n) / 10) % 7 + rng.uniform(0, 1, n)).astype(np.float32)
    for bin_ in DARK.get(chrom, ()):
        values[bin_ * 10 : bin_ * 10 + 10] = np.nan
    values[50:53] = np.nan
    return values


def track_store(patch, out, names=("ATAC", "DNase"), assembly=PLACES, **more):
    """A store of tracks alone."""
    tracks = [FakeTrack(name, {chrom: signal(name, chrom) for chrom in PLACES.chromosomes}) for name in names]
    return build_fake(patch, out, None, tracks, assembly=assembly, **more)


def stored_means(store, chrom: str, names=("ATAC", "DNase")) -> np.ndarray:
    """What :func:`bin_means` sees of a whole chromosome: no data is 0."""
    n_bins = -(-PLACES.length(chrom) // RESOLUTION)
    steps = np.zeros((n_bins * RESOLUTION // 100, len(names)))
    for column, name in enumerate(names):
        mean = np.nan_to_num(np.asarray(store.track(name, chrom).mean, np.float64))
        steps[: len(mean), column] = mean
    return steps.reshape(n_bins, -1).mean(1)


def bin_means(tracks: torch.Tensor, bins: int = BINS) -> torch.Tensor:
    """(batch, 2, bins): mean of all steps and tracks of each bin."""
    return tracks.reshape(len(tracks), 2, bins, -1).mean(-1)


class Counting(Silent):
    """A reporter that keeps what was announced of each progress bar, and how much it counted."""

    def __init__(self):
        self.seen = []

    def track(self, items, description, total, unit):
        count = 0
        for item in items:
            count += 1
            yield item
        self.seen.append((description, total, unit, count))


class PairsOfBins(nn.Module):
    """Entry (a, b) is the row bin's mean, twice the column bin's, and something that depends on the place."""

    def __init__(self, bins: int = BINS, factor: float = 1.0):
        super().__init__()
        self.bins, self.factor = bins, factor
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, contact_map, tracks):
        x, y = bin_means(tracks, self.bins).unbind(1)
        place = torch.arange(self.bins) / 10
        value = x[:, :, None] + 2 * y[:, None, :] + place[:, None] - 3 * place
        return Prediction(self.factor * value[:, None])


class EachBin(nn.Module):
    """A bin's value is its mean, and something that depends on place and segment."""

    def forward(self, contact_map, tracks):
        x, y = bin_means(tracks).unbind(1)
        place = torch.arange(BINS) / 10
        return Prediction(torch.cat([x - place, y + 2 * place], dim=1))


class CentreOfBins(nn.Module):
    """The logit is the sum of both anchors' means, less 5."""

    def forward(self, contact_map, tracks):
        logit = bin_means(tracks)[:, :, BINS // 2].sum(1) - 5
        return Prediction(torch.sigmoid(logit), logit)


def fake_model(
    task: str,
    network: nn.Module,
    tracks=("ATAC", "DNase"),
    *,
    mode: str = "tracks",
    transform: WindowTransform | None = None,
    bins: int = BINS,
    **model,
) -> LoadedModel:
    """`network` with a description; signals reach it as they are unless `transform` says otherwise."""
    transform = transform or WindowTransform(tracks=tracks, signal="raw", clip=1.0)
    given = ModelInput("places", RESOLUTION, bins, transform)
    description = ModelDescription(TASKS[task], {"mode": mode, **model}, configs.to_mapping(given), {})
    return LoadedModel(network.eval(), description)


def save_untrained(folder, task: str, *, mode: str = "infer_map", transform=None, **model):
    """A run folder with a real network of that task, as small as can be, and the weights it began with."""
    side = 16
    transform = transform or WindowTransform(tracks=("ATAC", "DNase"))
    sizes = MixHicConfig(
        channels=8, heads=1, depth=1, window_bins=side, positions=2 * side * RESOLUTION // 100, pools=(2, 5)
    )
    described = {"network": configs.to_mapping(sizes), "mode": mode, **model}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(TASKS[task], described).eval()
    data = configs.to_mapping(ModelInput("places", RESOLUTION, side, transform))
    save_model(folder, network, ModelDescription(TASKS[task], described, data, {}))
    return folder
