"""GraphReg: expression from tracks, along the genome or through the contact map (Karbalayghareh et al. 2022).

Genome Research 32, 930. Epi-CNN looks along a segment by dilated convolutions; Epi-Graph lets bins that touch
hear one another by graph attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError
from .layers import in_a_row, same_segments, segments
from .sizes import WindowSizes, given_map, given_tracks

__all__ = [
    "CNN_PRESETS",
    "GRAPH_PRESETS",
    "EpiCnn",
    "EpiCnnConfig",
    "EpiGraph",
    "EpiGraphConfig",
    "GraphRegConfig",
    "edges",
]


_SILENT = -2.0  # log of a rate that counts as none; lower still, and the gradient fades


@dataclass(frozen=True)
class GraphRegConfig(WindowSizes):
    """Sizes that both networks have.

    Parameters
    ----------
    channels
        Of the stem.
    kernel
        Of its first convolution; odd.
    width
        Channels in front of the answer.
    dropout
        While training.
    """

    channels: int = 128
    kernel: int = 25
    width: int = 64
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("channels", "kernel", "width")
        self.require_share("dropout")
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel must be odd, not {self.kernel}.")
        _ = self.pools  # raises where positions do not fit


@dataclass(frozen=True)
class EpiCnnConfig(GraphRegConfig):
    """Sizes of :class:`EpiCnn`.

    Parameters
    ----------
    depth
        Dilated convolutions.
    """

    depth: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("depth")

    @property
    def dilations(self) -> tuple[int, ...]:
        """2, 4, 8 and so on while they are shorter than a segment, then from 2 again.

        The paper's go on to 256, which in a segment of 50 bins only ever meets what lies outside.
        """
        cycle = max(1, math.ceil(math.log2(self.window_bins)) - 1)
        return tuple(2 ** (1 + i % cycle) for i in range(self.depth))


@dataclass(frozen=True)
class EpiGraphConfig(GraphRegConfig):
    """Sizes of :class:`EpiGraph`.

    Parameters
    ----------
    heads, layers
        Of the graph attention; `channels` is a multiple of `heads`.
    deviations
        A pixel is an edge if it exceeds the mean of its diagonal by more than this many of its standard
        deviations; see :func:`edges`.
    """

    heads: int = 4
    layers: int = 2
    deviations: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("heads", "layers")
        if self.channels % self.heads:
            raise ConfigError(f"channels ({self.channels}) must be a multiple of heads ({self.heads}).")


CNN_PRESETS = {
    "paper": EpiCnnConfig(),
    "tiny": EpiCnnConfig(channels=24, kernel=9, width=16, depth=5, dropout=0.1),
}
GRAPH_PRESETS = {
    "paper": EpiGraphConfig(),
    "tiny": EpiGraphConfig(channels=24, kernel=9, width=16, dropout=0.1),
}


def _stem(config: GraphRegConfig) -> nn.Sequential:
    """100 bp positions to bins, each segment on its own."""
    layers: list[nn.Module] = []
    before, kernel, c = config.n_tracks, config.kernel, config.channels
    for pool in config.pools:
        layers += [nn.Conv1d(before, c, kernel, padding=kernel // 2), nn.ReLU(), nn.BatchNorm1d(c)]
        layers += [nn.MaxPool1d(pool), nn.Dropout(config.dropout)]
        before, kernel = c, 3
    return nn.Sequential(*layers[:-1])


def _answer(width: int) -> nn.Conv1d:
    """The last layer, which says at first that hardly anything is expressed: most bins are silent."""
    layer = nn.Conv1d(width, 1, 1)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, _SILENT)
    return layer


def _log2_of_rate(log_rate: Tensor) -> Tensor:
    """log2(1 + exp(log_rate)): the paper's exponential output, in the unit of our targets."""
    return F.softplus(log_rate) / math.log(2)


class _DilatedLayer(nn.Module):
    """A dilated convolution beside a residual, BatchNorm, dropout."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch width bins"]) -> Float[Tensor, "batch width bins"]:
        return self.dropout(self.norm(x + torch.relu(self.conv(x))))


class EpiCnn(nn.Module):
    """A signal of each bin from the tracks of its own segment.

    The two segments do not meet: exchanged, so are the answers.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = False
    needs_tracks = True
    needs_references = False

    def __init__(self, config: EpiCnnConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = _stem(config)
        self.narrow = nn.Sequential(
            nn.Conv1d(config.channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm1d(width)
        )
        self.dilated = nn.Sequential(*(_DilatedLayer(width, d, config.dropout) for d in config.dilations))
        self.out = _answer(width)

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
        x = self.stem(segments(given_tracks(tracks, self.config)))
        log_rate = in_a_row(self.out(self.dilated(self.narrow(x)))).squeeze(-1)
        return Prediction(_log2_of_rate(log_rate))


def edges(
    contact_map: Float[Tensor, "batch 1 bins bins"], same: Bool[Tensor, " batch"], deviations: float
) -> Bool[Tensor, "batch bins bins"]:
    """Pairs of bins (x, y) that touch more than others of their window as far apart.

    The paper takes the contacts that HiC-DC+ calls significant, which asks for the counts of a chromosome.
    Of a window there are its diagonals, along each of which the distance is one: a pixel is an edge if it
    exceeds the mean of its diagonal by more than `deviations` of its standard deviations. That is nearly the
    same for every increasing transform of contacts. A diagonal of one pixel, or of equal ones, has no edges.

    Parameters
    ----------
    contact_map
        Transformed contacts, rows = x segment.
    same
        Windows whose segments are one: a bin's contact with itself is no edge there.
    deviations
        Standard deviations.
    """
    bins = contact_map.shape[-1]
    place = torch.arange(bins, device=contact_map.device)
    diagonal = (place - place[:, None] + bins - 1).flatten()
    size = (bins - (torch.arange(2 * bins - 1, device=place.device) - bins + 1).abs()).to(contact_map.dtype)
    pixels = contact_map.flatten(1)
    empty = pixels.new_zeros(len(pixels), 2 * bins - 1)
    above = pixels - (empty.index_add(1, diagonal, pixels) / size)[:, diagonal]
    deviation = (empty.index_add(1, diagonal, above.square()) / size).sqrt()[:, diagonal]
    found = (above > deviations * deviation + 1e-6).reshape(-1, bins, bins)
    itself = torch.eye(bins, dtype=torch.bool, device=place.device)
    return found & ~(same[:, None, None] & itself)


class _GraphAttention(nn.Module):
    """Every bin hears the bins of the other segment that it touches, and itself.

    Weights are sigmoids, not a softmax: a bin that touches nothing hears itself alone.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.own = nn.Linear(channels, channels, bias=False)
        self.other = nn.Linear(channels, channels, bias=False)
        self.score_own = nn.Parameter(torch.empty(heads, channels // heads))
        self.score_other = nn.Parameter(torch.empty(heads, channels // heads))
        for weight in (self.own.weight, self.other.weight, self.score_own, self.score_other):
            nn.init.xavier_uniform_(weight)

    def forward(
        self,
        x: Float[Tensor, "batch two bins channels"],
        touches: Bool[Tensor, "batch two bins bins"],
    ) -> Float[Tensor, "batch two bins channels"]:
        """`touches` has of each segment its bins as rows, and the other segment's as columns."""
        own = self._by_head(self.own(x))
        other = self._by_head(self.other(x.flip(1)))
        scores = (own * self.score_own[:, None]).sum(-1).unsqueeze(-1) + (
            other * self.score_other[:, None]
        ).sum(-1).unsqueeze(-2)
        weights = torch.sigmoid(F.leaky_relu(scores, 0.2)) * touches.unsqueeze(2)
        heard = (own + weights @ other) / (1 + weights.sum(-1, keepdim=True))
        return heard.transpose(2, 3).flatten(3)

    def _by_head(self, x: Tensor) -> Float[Tensor, "batch two heads bins size"]:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(2, 3)


class EpiGraph(nn.Module):
    """A signal of each bin from the tracks around it, and around the bins that it touches.

    The graph has the bins of both segments and those edges that the window shows, between x and y:
    [[0, A], [Aᵀ, 0]]. Where both segments are the same and so A is symmetric, each bin stands in it twice and
    hears what it would hear in the graph A of one segment.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = True
    needs_tracks = True
    needs_references = False

    def __init__(self, config: EpiGraphConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = _stem(config)
        self.attention = nn.ModuleList(
            _GraphAttention(config.channels, config.heads) for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(config.channels) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.narrow = nn.Sequential(
            nn.Conv1d(config.channels, config.width, 1), nn.ReLU(), nn.BatchNorm1d(config.width)
        )
        self.out = _answer(config.width)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Signal (value) in log2, (batch, 2 bins): x segment first, then y segment.

        Raises
        ------
        ModelError
            No map or no tracks, or one of other sizes.
        """
        contact_map = given_map(contact_map, self.config)
        tracks = given_tracks(tracks, self.config)
        edge = edges(contact_map, same_segments(tracks), self.config.deviations)
        touches = torch.stack([edge, edge.transpose(1, 2)], dim=1)
        x = self.stem(segments(tracks))
        for attention, norm in zip(self.attention, self.norms, strict=True):
            nodes = self.dropout(x).unflatten(0, (-1, 2)).transpose(2, 3)
            x = norm(F.elu(attention(nodes, touches)).flatten(0, 1).transpose(1, 2))
        return Prediction(_log2_of_rate(in_a_row(self.out(self.narrow(x))).squeeze(-1)))
