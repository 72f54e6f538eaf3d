"""The two encoders of MIX-HIC and the decoder that mirrors one of them.

``MapEncoder`` turns a contact window into a few tokens, ``TrackEncoder`` the signal of its two segments;
both end at eight times the base width. ``TrackDecoder`` goes back up to the track encoder's first tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .blocks import MapBlock, TrackLayer, initialise_dense
from .positions import MAP_AMPLITUDE

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


class Halving(nn.Conv2d):
    """A convolution of 4 x 4, stride 2, padding 1, over a square grid, doubling its channels.

    On a small grid, whose weights are many more than its tokens, it is written as one matrix product, which
    takes a CPU less than half the time.
    """

    SMALL_SIDE = 8

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels, kernel_size=4, stride=2, padding=1)

    def forward(
        self, grid: Float[Tensor, "batch channels side side"]
    ) -> Float[Tensor, "batch doubled half half"]:
        """Half the side, rounded down."""
        side = grid.shape[-1]
        if side > self.SMALL_SIDE:
            return super().forward(grid)
        patches = nn.functional.unfold(grid, 4, padding=1, stride=2).transpose(1, 2)
        tokens = nn.functional.linear(patches, self.weight.flatten(1), self.bias)
        return tokens.transpose(1, 2).reshape(len(grid), -1, side // 2, side // 2)


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
        if codes is not None:
            nn.init.trunc_normal_(self.embed.weight, std=MAP_AMPLITUDE)
        self.register_buffer("codes", codes, persistent=False)
        self.stages = nn.ModuleList(
            nn.Sequential(*(MapBlock(width, heads) for _ in range(depth))) for width in widths
        )
        self.downs = nn.ModuleList(Halving(width) for width in widths[:-1])

    def forward(self, contact_map: Float[Tensor, "batch 1 bins bins"]) -> Float[Tensor, "batch tokens width"]:
        """`bins` is even; 50 bins give 3 x 3 tokens, row-major (rows = x segment)."""
        patches = nn.functional.pixel_unshuffle(contact_map, 2)
        side = patches.shape[-1]
        x = self.embed(patches.flatten(2).transpose(1, 2))
        if self.codes is not None:
            x = x + self.codes
        for stage, down in zip(self.stages[:-1], self.downs, strict=True):
            grid = down(stage(x).transpose(1, 2).reshape(len(x), -1, side, side))
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
    context
        Tokens of the other modality that these have looked at; None where there is no other.
    alone
        Where two modalities were read: the tokens of each as its encoder gave them, tracks first.
    """

    tokens: Float[Tensor, "batch tokens width"]
    skips: tuple[Tensor, ...]
    context: Tensor | None = None
    alone: tuple[Tensor, ...] = ()


class _SumOfProcesses(torch.autograd.Function):
    """A sum over all processes; every process's loss sends its gradient back through it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _SumOfProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total


def _several_processes() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class LineConv(nn.Conv1d):
    """A convolution of width 3 along a grid of one row."""

    def forward(
        self, x: Float[Tensor, "batch channels 1 positions"]
    ) -> Float[Tensor, "batch channels 1 positions"]:
        """Every position from itself and its neighbours."""
        return nn.functional.conv2d(x, self.weight.unsqueeze(2), self.bias, padding=(0, 1))


class StemBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the windows of all processes, with running statistics that settle at once.

    They are, at first, the plain mean over the batches seen. PyTorch's start from variance 1 and forget it
    with a half-life of 7 batches; the stem's activations have variances of 1e-5, so that evaluation would be
    wrong by orders of magnitude for the first 150 batches.

    A line of positions is a grid of one row, for which channels-last is a memory format.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(
        self, x: Float[Tensor, "batch channels 1 positions"]
    ) -> Float[Tensor, "batch channels 1 positions"]:
        """Normalise each channel over windows and positions."""
        if not self.training:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if _several_processes():
            return self._over_processes(x)
        # PyTorch's sum on a CPU loses digits where the mean is far larger than the deviation, as it is here.
        about = x.detach().mean((0, 2, 3)) if x.device.type == "cpu" else None
        y, mean, inverse_std = torch.native_batch_norm(
            x if about is None else x - about[:, None, None],
            self.weight, self.bias, None, None, True, 0.0, self.eps,
        )  # fmt: skip
        variance = (inverse_std.detach() ** -2 - self.eps).clamp(min=0)
        mean = mean.detach() if about is None else mean.detach() + about
        self._remember(mean, variance, x.numel() // x.shape[1])
        return y

    def _over_processes(self, x: Tensor) -> Tensor:
        dims = (0, 2, 3)
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        sums = torch.cat([values.sum(dims), values.new_tensor([x.numel() // x.shape[1]])])
        sums = _summed(sums)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = _summed(centred.square().sum(dims)) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int | Tensor) -> None:
        self.num_batches_tracked += 1
        share = (1 / self.num_batches_tracked).clamp(min=0.1).to(self.running_mean.dtype)
        unbiased = variance * (count / (count - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


def _stem_norm(kind: Literal["batch", "group"], channels: int) -> nn.Module:
    if kind == "batch":
        return StemBatchNorm(channels)
    return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels)


class TrackStem(nn.Module):
    """100 bp signal to the first tokens: convolutions, each with norm and ReLU, and max-pools between them.

    With BatchNorm the windows of a *training* batch depend on one another through its statistics;
    evaluation uses running ones and does not. GroupNorm has neither.

    Everything runs channels-last, as what the dense layer in front gives is: nothing is ever transposed.
    """

    def __init__(
        self, n_tracks: int, channels: int, pools: tuple[int, ...], norm: Literal["batch", "group"]
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_tracks, channels)
        initialise_dense(self.embed)
        self.pools = pools
        count = len(pools) + 1
        self.convs = nn.ModuleList(LineConv(channels, channels, 3, padding=1) for _ in range(count))
        self.norms = nn.ModuleList(_stem_norm(norm, channels) for _ in range(count))

    def forward(
        self, tracks: Float[Tensor, "batch positions tracks"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Positions are pooled by the product of `pools`."""
        x = torch.relu(self.embed(tracks)).transpose(1, 2).unsqueeze(2)
        for conv, norm, pool in zip(self.convs, self.norms, (*self.pools, 1), strict=True):
            x = norm(conv(x))
            if pool > 1:  # before the ReLU: the same values, on fewer positions
                x = nn.functional.max_pool2d(x, (1, pool))
            x = torch.relu_(x)
        return x.squeeze(2).transpose(1, 2)


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
