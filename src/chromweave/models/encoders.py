"""The two encoders of MIX-HIC and the decoder that mirrors one of them.

``MapEncoder`` turns a contact window into a few tokens, ``TrackEncoder`` the signal of its two segments;
both end at eight times the base width. ``TrackDecoder`` goes back up to the track encoder's first tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .blocks import MapBlock, TrackLayer, initialise_dense

__all__ = ["EncodedTracks", "MapEncoder", "TrackDecoder", "TrackEncoder", "track_token_counts"]

STAGES = 3  # halvings of the token grid, each doubling the width


def track_token_counts(positions: int, pools: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens after the stem and after each of the halvings, e.g. (100, 50, 25, 12) for 5,000 positions."""
    tokens = positions
    for pool in pools:
        tokens //= pool
    counts = [tokens]
    for _ in range(STAGES):
        counts.append(counts[-1] // 2)
    return tuple(counts)


class MapEncoder(nn.Module):
    """A contact window to tokens: 2x2 patches, then stages of :class:`MapBlock` between strided convolutions.

    Parameters
    ----------
    channels
        Base width d; the output has 8 d channels.
    heads, depth
        Attention heads, and blocks per stage.
    codes
        What is added to each patch's embedding, (patches, channels), such as
        :func:`~chromweave.models.positions.map_codes`; nothing if not given.
    """

    codes: Tensor | None

    def __init__(self, channels: int, heads: int, depth: int, codes: Tensor | None = None) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(STAGES + 1)]
        self.embed = nn.Linear(4, channels)
        initialise_dense(self.embed)
        self.register_buffer("codes", codes, persistent=False)
        self.stages = nn.ModuleList(
            nn.Sequential(*(MapBlock(width, heads) for _ in range(depth))) for width in widths
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1) for width in widths[:-1]
        )

    def forward(self, contact_map: Float[Tensor, "batch 1 bins bins"]) -> Float[Tensor, "batch tokens width"]:
        """`bins` is even; 50 bins give 3 x 3 tokens, row-major (rows = x segment)."""
        patches = nn.functional.pixel_unshuffle(contact_map, 2)
        side = patches.shape[-1]
        x = self.embed(patches.flatten(2).transpose(1, 2))
        if self.codes is not None:
            x = x + self.codes
        for stage, down in zip(self.stages[:-1], self.downs, strict=True):
            grid = down(stage(x).reshape(x.shape[0], side, side, -1).permute(0, 3, 1, 2))
            side = grid.shape[-1]
            x = grid.flatten(2).transpose(1, 2)
        return self.stages[-1](x)


@dataclass(frozen=True)
class EncodedTracks:
    """Tokens of the track encoder.

    Attributes
    ----------
    tokens
        The bottleneck, at 8 d channels.
    skips
        What each earlier stage gave, from the finest, each (batch, tokens, channels); the decoder reads them.
    """

    tokens: Float[Tensor, "batch tokens width"]
    skips: tuple[Tensor, ...]


class StemBatchNorm(nn.BatchNorm1d):
    """BatchNorm whose running statistics are, at first, the plain mean over the batches seen.

    PyTorch's start from variance 1 and forget it with a half-life of 7 batches. The stem's activations have
    variances of 1e-5, so that evaluation would be wrong by orders of magnitude for the first 150 batches.
    """

    _settled = False

    def forward(
        self, x: Float[Tensor, "batch channels positions"]
    ) -> Float[Tensor, "batch channels positions"]:
        """Normalise each channel over windows and positions."""
        if self.training and not self._settled:
            seen = int(self.num_batches_tracked or 0)
            self.momentum = max(0.1, 1 / (seen + 1))
            self._settled = seen >= 10
        return super().forward(x)


def _stem_norm(kind: Literal["batch", "group"], channels: int) -> nn.Module:
    if kind == "batch":
        return StemBatchNorm(channels)
    return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels)


class TrackStem(nn.Module):
    """100 bp signal to the first tokens: convolutions, each with norm and ReLU, and max-pools between them.

    With BatchNorm the windows of a *training* batch depend on one another through its statistics;
    evaluation uses running ones and does not. GroupNorm has neither.
    """

    def __init__(
        self, n_tracks: int, channels: int, pools: tuple[int, ...], norm: Literal["batch", "group"]
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_tracks, channels)
        initialise_dense(self.embed)
        self.pools = pools
        count = len(pools) + 1
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=1) for _ in range(count))
        self.norms = nn.ModuleList(_stem_norm(norm, channels) for _ in range(count))

    def forward(
        self, tracks: Float[Tensor, "batch positions tracks"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Positions are pooled by the product of `pools`."""
        x = torch.relu(self.embed(tracks)).transpose(1, 2)
        for conv, norm, pool in zip(self.convs, self.norms, (*self.pools, 1), strict=True):
            x = norm(conv(x))
            if pool > 1:  # before the ReLU: the same values, on fewer positions
                x = nn.functional.max_pool1d(x, pool)
            x = torch.relu(x)
        return x.transpose(1, 2)


class TrackEncoder(nn.Module):
    """The signal of both segments, laid end to end, to tokens.

    Parameters
    ----------
    n_tracks
        Signal tracks, any number.
    channels
        Base width d; the bottleneck has 8 d channels.
    heads, depth
        Attention heads, and layers per stage.
    pools
        Max-pools of the stem.
    norm
        ``"batch"`` (the paper's) or ``"group"``.
    codes
        What is added to each of the stem's tokens, (tokens, channels), such as
        :func:`~chromweave.models.positions.track_codes`; nothing if not given.
    across_batch
        See :class:`~chromweave.models.blocks.TrackLayer`.
    """

    codes: Tensor | None

    def __init__(
        self,
        n_tracks: int,
        channels: int,
        heads: int,
        depth: int,
        pools: tuple[int, ...] = (2, 5, 5),
        norm: Literal["batch", "group"] = "batch",
        codes: Tensor | None = None,
        across_batch: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(STAGES + 1)]
        self.stem = TrackStem(n_tracks, channels, pools, norm)
        self.register_buffer("codes", codes, persistent=False)
        self.stages = nn.ModuleList(
            nn.Sequential(*(TrackLayer(width, heads, across_batch) for _ in range(depth))) for width in widths
        )
        self.downs = nn.ModuleList(
            nn.Conv1d(width, 2 * width, kernel_size=4, stride=2, padding=1) for width in widths[:-1]
        )

    def forward(self, tracks: Float[Tensor, "batch positions tracks"]) -> EncodedTracks:
        """x segment first, then y segment; 5,000 positions give 12 tokens."""
        x = self.stem(tracks)
        if self.codes is not None:
            x = x + self.codes
        skips = []
        for stage, down in zip(self.stages[:-1], self.downs, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(x.transpose(1, 2)).transpose(1, 2)
        return EncodedTracks(self.stages[-1](x), tuple(skips))


class TrackDecoder(nn.Module):
    """Bottleneck tokens back to the track encoder's first ones, reading its skips on the way.

    Parameters
    ----------
    channels
        Base width d; the output has 2 d channels.
    heads, depth
        Attention heads, and layers per stage.
    token_counts
        :func:`track_token_counts` of the encoder.
    across_batch
        See :class:`~chromweave.models.blocks.TrackLayer`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        depth: int,
        token_counts: tuple[int, ...],
        across_batch: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels * 2**stage for stage in range(STAGES, 0, -1)]
        finer = token_counts[::-1]
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(
                before, after // 2, kernel_size=4, stride=2, padding=1, output_padding=fine - 2 * coarse
            )
            for before, after, coarse, fine in zip(
                [widths[0], *widths[:-1]], widths, finer[:-1], finer[1:], strict=True
            )
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(TrackLayer(width, heads, across_batch) for _ in range(depth))) for width in widths
        )

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], skips: tuple[Tensor, ...]
    ) -> Float[Tensor, "batch fine_tokens fine_width"]:
        """Upsampled channels come first in each concatenation, the skip's second."""
        x = tokens
        for up, stage, skip in zip(self.ups, self.stages, reversed(skips), strict=True):
            x = up(x.transpose(1, 2)).transpose(1, 2)
            x = stage(torch.cat([x, skip], dim=-1))
        return x
