"""EPCOT: contacts or expression from tracks, by way of 1 kb tokens (Zhang et al. 2023, Nucleic Acids Res 51).

Of its pre-trained encoder the convolutions are kept, which read signal alone. Two trunks: recurrent layers or
a transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
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

__all__ = [
    "CONTACT_PRESETS",
    "EXPRESSION_PRESETS",
    "EpcotConfig",
    "EpcotContactConfig",
    "EpcotContacts",
    "EpcotExpression",
    "Trunk",
]

Trunk = Literal["lstm", "transformer"]


@dataclass(frozen=True)
class EpcotConfig(WindowSizes):
    """Sizes that both tasks have.

    Parameters
    ----------
    trunk
        ``"lstm"`` or ``"transformer"``.
    channels, kernels
        Of the stem's convolutions. Two, a max-pool, two, a max-pool (together to about 1 kb), and one.
    depthwise
        Kernel of the depth-wise convolution behind them.
    width
        Channels of a token in the trunk; even, and for a transformer a multiple of 4 and of `heads`.
    layers
        Of the trunk.
    heads, feed_forward
        Of a transformer.
    dropout
        While training.
    """

    trunk: str = "lstm"
    channels: tuple[int, ...] = (256, 256, 360, 360, 512)
    kernels: tuple[int, ...] = (10, 10, 8, 8, 8)
    depthwise: int = 9
    width: int = 360
    layers: int = 3
    heads: int = 6
    feed_forward: int = 720
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_as_many("channels", "kernels")
        self.require_positive("channels", "kernels", "depthwise", "width", "layers", "heads", "feed_forward")
        self.require_share("dropout")
        if self.trunk not in get_args(Trunk):
            raise ConfigError(f"no trunk {self.trunk!r}; there are {', '.join(get_args(Trunk))}.")
        if len(self.channels) != 5:
            raise ConfigError(f"channels must be those of 5 convolutions, not of {len(self.channels)}.")
        if self.width % 2:
            raise ConfigError(f"width must be even, not {self.width}.")
        _ = self.pools  # raises where positions do not fit


@dataclass(frozen=True)
class EpcotContactConfig(EpcotConfig):
    """Sizes of :class:`EpcotContacts`.

    Parameters
    ----------
    pair_channels
        Of the convolutions over pairs of bins.
    pair_kernel
        Their side; odd.
    dilations
        Of each of them.
    farthest
        Distances of bins, in their segments, are told apart up to this many.
    output
        ``"sigmoid"`` for contacts in [0, 1], ``"linear"`` for any value.
    """

    depthwise: int = 15
    width: int = 256
    layers: int = 4
    heads: int = 4
    feed_forward: int = 512
    pair_channels: int = 64
    pair_kernel: int = 9
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    farthest: int = 10
    output: str = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("pair_channels", "pair_kernel", "dilations", "farthest")
        if self.pair_kernel % 2 == 0:
            raise ConfigError(f"pair_kernel must be odd, not {self.pair_kernel}.")
        check_output(self.output)


def _both(
    lstm: EpcotConfig, transformer: EpcotConfig, tiny: EpcotConfig, tiny_transformer: EpcotConfig
) -> dict[Trunk, dict[str, EpcotConfig]]:
    return {
        "lstm": {"paper": lstm, "tiny": tiny},
        "transformer": {"paper": transformer, "tiny": tiny_transformer},
    }


_TINY_STEM = (12, 12, 16, 16, 24)
_TINY_KERNELS = (6, 6, 5, 5, 5)

CONTACT_PRESETS = _both(
    EpcotContactConfig(),
    EpcotContactConfig(trunk="transformer", layers=3),
    EpcotContactConfig(
        channels=_TINY_STEM, kernels=_TINY_KERNELS, width=16, layers=1,
        pair_channels=8, pair_kernel=5, dilations=(1, 2, 4), dropout=0.1,
    ),
    EpcotContactConfig(
        trunk="transformer", channels=_TINY_STEM, kernels=_TINY_KERNELS, width=16, layers=2, heads=1,
        feed_forward=32, pair_channels=8, pair_kernel=5, dilations=(1, 2, 4), dropout=0.1,
    ),
)  # fmt: skip
"""By trunk, then by name."""

EXPRESSION_PRESETS = _both(
    EpcotConfig(),
    EpcotConfig(trunk="transformer", layers=4),
    EpcotConfig(channels=_TINY_STEM, kernels=_TINY_KERNELS, width=16, layers=1, dropout=0.1),
    EpcotConfig(
        trunk="transformer", channels=_TINY_STEM, kernels=_TINY_KERNELS, width=16, layers=2, heads=1,
        feed_forward=32, dropout=0.1,
    ),
)  # fmt: skip
"""By trunk, then by name."""


def _stem(config: EpcotConfig) -> nn.Sequential:
    """100 bp positions to tokens of about 1 kb."""
    fewer, many, _ = config.pools
    c = config.channels
    convs = [
        nn.Sequential(SameConv1d(before, after, kernel), nn.ReLU())
        for (before, after), kernel in zip(pairwise((config.n_tracks, *c)), config.kernels, strict=True)
    ]
    return nn.Sequential(
        *convs[:2], nn.MaxPool1d(many), nn.BatchNorm1d(c[1]), nn.Dropout(config.dropout),
        *convs[2:4], nn.MaxPool1d(fewer), nn.BatchNorm1d(c[3]), nn.Dropout(config.dropout),
        convs[4], nn.BatchNorm1d(c[4]), nn.Dropout(config.dropout),
    )  # fmt: skip


def _narrowing(config: EpcotConfig) -> list[nn.Module]:
    """The stem's tokens to the trunk's width, with a wide depth-wise look around."""
    wide = config.channels[-1]
    return [
        SameConv1d(wide, wide, config.depthwise, groups=wide),
        nn.BatchNorm1d(wide),
        nn.Conv1d(wide, config.width, 1),
    ]


class _Recurrent(nn.Module):
    """Recurrent layers both ways along both segments' tokens."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # torch warns of dropout behind the last layer
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        return self.lstm(x)[0]


def _trunk(config: EpcotConfig, tokens: int) -> nn.Module:
    if config.trunk == "lstm":
        return _Recurrent(config.width, config.layers, config.dropout)
    return PreNormLayers(
        tokens,
        config.width,
        config.layers,
        config.heads,
        config.feed_forward,
        config.dropout,
        config.window_bins,
    )


class EpcotContacts(nn.Module):
    """The contact window from the tracks alone (the paper's task COP).

    A pair of bins is the mean and the product of both, and how far apart their places are.
    Where both segments are the same the map is made symmetric behind every convolution.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = False
    needs_tracks = True
    needs_references = False
    apart: Tensor

    def __init__(self, config: EpcotContactConfig) -> None:
        super().__init__()
        self.config = config
        width, pair, kernel = config.width, config.pair_channels, config.pair_kernel
        self.tokens = nn.Sequential(
            _stem(config),
            *_narrowing(config),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            SameConv1d(width, width, 15),
            nn.BatchNorm1d(width),
            nn.MaxPool1d(config.pools[2]),
        )
        self.trunk = _trunk(config, 2 * config.window_bins)
        place = torch.arange(config.window_bins)
        self.register_buffer(
            "apart", (place[:, None] - place).abs().clamp(max=config.farthest), persistent=False
        )
        self.distance = nn.Embedding(config.farthest + 1, width)
        self.narrow = nn.Conv2d(width, pair, 1)
        self.dilated = nn.ModuleList(
            nn.Conv2d(pair, pair, kernel, padding=d * (kernel // 2), dilation=d) for d in config.dilations
        )
        self.out = nn.Conv2d(pair, 1, 1)

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
        same = same_segments(tracks)
        pairs = self._pairs(self.trunk(in_a_row(self.tokens(segments(tracks)))))
        return answered(self.out(self._looked_around(pairs, same)), self.config.output)

    def _pairs(self, tokens: Tensor) -> Float[Tensor, "batch width bins bins"]:
        x, y = tokens.transpose(1, 2).chunk(2, dim=2)
        rows, columns = x.unsqueeze(3), y.unsqueeze(2)
        return (rows + columns) / 2 + rows * columns + self.distance(self.apart).permute(2, 0, 1)

    def _looked_around(
        self, pairs: Tensor, same: Bool[Tensor, " batch"]
    ) -> Float[Tensor, "batch pair bins bins"]:
        maps = torch.relu(symmetrised(self.narrow(pairs), same))
        for conv in self.dilated:
            maps = torch.relu(symmetrised(conv(maps) + maps, same))
        return maps


class EpcotExpression(nn.Module):
    """A signal of each bin of both segments from the tracks alone (the paper's GEP-CAGE).

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = False
    needs_tracks = True
    needs_references = False

    def __init__(self, config: EpcotConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Sequential(_stem(config), *_narrowing(config))
        self.trunk = _trunk(config, 2 * config.window_bins * config.pools[2])
        self.out = nn.Linear(config.width, 1)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Signal (value) in log2, (batch, 2 bins): x segment first, then y segment; no map is read.

        Raises
        ------
        ModelError
            No tracks, or tracks of other sizes.
        """
        tracks = given_tracks(tracks, self.config)
        tokens = self.trunk(in_a_row(self.tokens(segments(tracks))))
        bins = F.avg_pool1d(tokens.transpose(1, 2), self.config.pools[2]).transpose(1, 2)
        return Prediction(self.out(bins).squeeze(-1))
