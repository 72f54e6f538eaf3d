"""Small stand-ins for what is trained: a network with everything that has a state, and batches dealt out."""

from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import nn

from chromweave.batch import PairedTokens


class TinyPair(nn.Module):
    """Both modalities of a made-up window in one space, by one layer each; with dropout and BatchNorm."""

    def __init__(self, bins=16):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(2), nn.Dropout(0.1)
        self.tracks, self.maps = nn.Linear(2, 8), nn.Linear(bins, 8)
        self.to_map, self.to_tracks = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, contact_map, tracks, inference_alone=False):
        normed = self.norm(tracks.transpose(1, 2))
        pooled = F.adaptive_avg_pool1d(normed, contact_map.shape[-1]).transpose(1, 2)
        track = self.dropout(self.tracks(pooled))
        rows = self.maps(contact_map[:, 0])
        return PairedTokens(
            *(F.normalize(part, dim=-1) for tokens in (track, rows) for part in tokens.chunk(2, dim=-1)),
            map_from_tracks=self.to_map(track.detach() if inference_alone else track),
            tracks_from_map=self.to_tracks(rows.detach() if inference_alone else rows),
            temperature=torch.tensor(0.1),
        )


class Shuffled:
    """Batches of `size` windows, shuffled anew in every epoch: each process takes its slice of each batch.

    In order, it takes every `world`-th batch.
    """

    def __init__(self, whole, size, shuffle=True):
        self.whole, self.size, self.shuffle = whole, size, shuffle
        self.epoch, self.rank, self.world, self.first = 0, 0, 1, 0
        self.read = []  # (epoch, batch) of whatever was handed out

    @property
    def sampler(self):
        return self

    def set_epoch(self, epoch):
        self.epoch = epoch

    def deal(self, rank, world, device):
        self.rank, self.world = rank, world

    def start_at(self, batch):
        self.first = batch

    def _batches(self):
        n = len(self.whole)
        order = torch.arange(n)
        if self.shuffle:
            order = torch.randperm(n, generator=torch.Generator().manual_seed(self.epoch))
        whole = list(order.split(self.size))
        if not self.shuffle:
            return whole[self.rank :: self.world]
        share = self.size // self.world
        return [rows[self.rank * share : (self.rank + 1) * share] for rows in whole]

    def __len__(self):
        return len(self._batches())

    def __iter__(self):
        first, self.first = self.first, 0
        for number, rows in enumerate(self._batches()):
            if number >= first:
                self.read.append((self.epoch, number))
                held = {f.name: getattr(self.whole, f.name) for f in fields(self.whole)}
                chosen = {name: one[rows] for name, one in held.items() if one is not None}
                yield replace(self.whole, **chosen)
