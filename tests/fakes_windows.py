"""Batches of made-up windows with something to learn in them, and a source that hands them out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from chromweave.batch import MapTrackBatch


def synthetic_batch(
    windows: int,
    seed: int = 0,
    *,
    bins: int = 16,
    positions: int = 400,
    n_tracks: int = 2,
    labelled: bool = True,
) -> MapTrackBatch:
    """Windows of a decaying map and noisy tracks.

    A loop (label 1, every second window) is a dot at the centre and a peak at the middle of both segments.
    Every window has a band of its own, at one place in the map and in the tracks: what pairs the modalities.
    The target is the first track's mean of each bin; that of a window's first bin is not known.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    label = (torch.arange(windows) % 2).float()
    steps = torch.arange(bins)
    decay = 1 / (1 + (steps[:, None] - steps[None, :]).abs())
    contact_map = 0.3 * decay + 0.1 * draw(windows, 1, bins, bins)
    tracks = 0.3 * draw(windows, positions, n_tracks)
    place = torch.randint(0, bins, (windows,), generator=generator)
    width = positions // (2 * bins)
    for i, at in enumerate(place.tolist()):
        contact_map[i, 0, at, :] += 0.4
        contact_map[i, 0, :, at] += 0.4
        for half in (0, positions // 2):
            tracks[i, half + at * width : half + (at + 1) * width, 0] += 2
    loops = label.bool() & torch.tensor(labelled)
    centre = bins // 2
    contact_map[loops, :, centre - 1 : centre + 2, centre - 1 : centre + 2] += 0.5
    for half in (0, positions // 2):
        tracks[loops, half + positions // 4 - width : half + positions // 4 + width, -1] += 2
    target = F.adaptive_avg_pool1d(tracks[..., 0], 2 * bins)
    known = (torch.arange(2 * bins) > 0).expand(windows, -1).clone()
    return MapTrackBatch(
        contact_map=contact_map.clamp(0, 1),
        contact_mask=torch.ones(windows, 1, bins, bins, dtype=torch.bool),
        tracks=tracks,
        track_mask=torch.ones(windows, positions, n_tracks, dtype=torch.bool),
        label=label if labelled else torch.full((windows,), torch.nan),
        chrom=torch.zeros(windows, dtype=torch.int64),
        x=torch.arange(windows) + 100,
        y=torch.arange(windows) + 110,
        store=torch.zeros(windows, dtype=torch.int64),
        target=target * known,
        target_mask=known,
    )


@dataclass(frozen=True)
class Batches:
    """Slices of one big batch, in the same order every time."""

    whole: MapTrackBatch
    size: int

    def __len__(self) -> int:
        return -(-len(self.whole) // self.size)

    def __iter__(self):
        for start in range(0, len(self.whole), self.size):
            yield self.whole[start : start + self.size]
