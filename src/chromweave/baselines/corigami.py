"""C.Origami: contacts by a transformer between two convolutional networks (Tan et al. 2023).

Nature Biotechnology 41, 1140. Of its two encoders the one that reads signal; the one that reads the sequence
has no input here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError
from .layers import (
    PreNormLayers,
    SameConv1d,
    answered,
    check_output,
    in_a_row,
    same_segments,
    segments,
    symmetrised,
)
from .sizes import WindowSizes, given_tracks

__all__ = ["PRESETS", "COrigami", "COrigamiConfig"]


@dataclass(frozen=True)
class COrigamiConfig(WindowSizes):
    """Sizes of :class:`COrigami`.

    Parameters
    ----------
    channels
        Of the first convolution and of each residual block; at least four, of which the first three blocks
        bring positions to bins.
    width, layers, heads, feed_forward
        Of the transformer; its width is the decoder's, too.
    dilations
        Of the decoder's residual blocks.
    dropout
        In the transformer, while training.
    output
        ``"sigmoid"`` for contacts in [0, 1], ``"linear"`` for any value.
    """

    channels: tuple[int, ...] = (16, 32, 32, 64, 128, 128, 256)
    width: int = 256
    layers: int = 8
    heads: int = 8
    feed_forward: int = 512
    dilations: tuple[int, ...] = (2, 4, 8, 16, 32)
    dropout: float = 0.1
    output: str = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("channels", "width", "layers", "heads", "feed_forward", "dilations")
        self.require_share("dropout")
        check_output(self.output)
        self.strides()

    def strides(self) -> tuple[int, ...]:
        """Of the residual blocks.

        Raises
        ------
        ConfigError
            There are fewer than three blocks, or positions that three of them cannot bring to bins.
        """
        blocks = len(self.channels) - 1
        if blocks < 3:
            raise ConfigError(f"channels must be those of a stem and at least 3 blocks, not {self.channels}.")
        return (*self.pools, *[1] * (blocks - 3))


PRESETS = {
    "paper": COrigamiConfig(),
    "tiny": COrigamiConfig(
        channels=(8, 12, 16, 16), width=16, layers=2, heads=2, feed_forward=32, dilations=(2, 4, 8)
    ),
}


class _Block(nn.Module):
    """A strided convolution, then two more beside a residual, each with BatchNorm."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        kernel = max(5, stride)  # no position is skipped
        self.scale = nn.Sequential(
            SameConv1d(before, after, kernel, stride), nn.BatchNorm1d(after), nn.ReLU()
        )
        self.residual = nn.Sequential(
            nn.Conv1d(after, after, 5, padding=2),
            nn.BatchNorm1d(after),
            nn.ReLU(),
            nn.Conv1d(after, after, 5, padding=2),
            nn.BatchNorm1d(after),
        )

    def forward(self, x: Float[Tensor, "batch before places"]) -> Float[Tensor, "batch after fewer"]:
        """Places are divided by the stride."""
        scaled = self.scale(x)
        return torch.relu(self.residual(scaled) + scaled)


class _DilatedBlock(nn.Module):
    """Two dilated 3 x 3 convolutions beside a residual, each with BatchNorm."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Float[Tensor, "batch width bins bins"]) -> Float[Tensor, "batch width bins bins"]:
        """The sides stay."""
        return torch.relu(self.residual(x) + x)


def _encoder(config: COrigamiConfig) -> nn.Sequential:
    """Positions to bins, each segment on its own."""
    stem, last = config.channels[0], config.channels[-1]
    first = nn.Conv1d(config.n_tracks, stem, 3, padding=1)
    blocks = (
        _Block(before, after, stride)
        for (before, after), stride in zip(pairwise(config.channels), config.strides(), strict=True)
    )
    return nn.Sequential(first, nn.BatchNorm1d(stem), nn.ReLU(), *blocks, nn.Conv1d(last, config.width, 1))


def _decoder(config: COrigamiConfig) -> nn.Sequential:
    """Pairs of bins to contacts."""
    width = config.width
    return nn.Sequential(
        nn.Conv2d(2 * width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *(_DilatedBlock(width, dilation) for dilation in config.dilations),
        nn.Conv2d(width, 1, 1),
    )


class COrigami(nn.Module):
    """The contact window from the tracks alone.

    Every bin of x beside every bin of y, as the transformer has them, is decoded like a picture.
    Map and transposed map are averaged where both segments are the same.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = False
    needs_tracks = True
    needs_references = False

    def __init__(self, config: COrigamiConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.transformer = PreNormLayers(
            2 * config.window_bins,
            config.width,
            config.layers,
            config.heads,
            config.feed_forward,
            config.dropout,
            config.window_bins,
        )
        self.decoder = _decoder(config)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Contacts (value) and their logits, (batch, 1, bins, bins), rows = x segment; no map is read.

        Raises
        ------
        ModelError
            No tracks, or tracks of other sizes.
        """
        tracks = given_tracks(tracks, self.config)
        tokens = self.transformer(in_a_row(self.encoder(segments(tracks)))).transpose(1, 2)
        x, y = tokens.chunk(2, dim=2)
        bins = self.config.window_bins
        pairs = [x.unsqueeze(3).expand(-1, -1, -1, bins), y.unsqueeze(2).expand(-1, -1, bins, -1)]
        logit = self.decoder(torch.cat(pairs, dim=1))
        return answered(symmetrised(logit, same_segments(tracks)), self.config.output)
