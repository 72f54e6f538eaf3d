"""MIX-HIC: a foundation model of contact windows and signal tracks (arXiv 2504.09060).

The paper's architecture, with attention along the tokens of a window, and without the parts its published
code builds but never uses. Modules of the same name hold the same weights in every model, so
that what is pre-trained moves to a task's model (:mod:`~chromweave.models.tasks`) by name:

``track_encoder``, ``map_encoder``, ``track_halves``, ``map_halves``, ``to_map``, ``to_tracks``

Building a model draws from torch's global generator, as every torch module does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import PairedTokens
from ..errors import ConfigError
from .blocks import FusionBlock, ResidualFusionBlock
from .encoders import STAGES, MapEncoder, TrackEncoder, track_token_counts
from .positions import map_codes, track_codes

__all__ = [
    "PRESETS",
    "Fusion",
    "Halves",
    "Inference",
    "MixHicConfig",
    "MixHicPretrain",
    "build_map_encoder",
    "build_track_encoder",
    "preset",
]


@dataclass(frozen=True)
class MixHicConfig:
    """Sizes and choices of a MIX-HIC model.

    Parameters
    ----------
    channels
        Base width d; tokens leave the encoders with 8 d channels.
    n_tracks
        Signal tracks per position.
    heads, depth
        Attention heads everywhere, and blocks per stage.
    window_bins
        Bins of a window's side; even.
    positions
        100 bp steps of both segments together (2 x `window_bins` x resolution / 100).
    pools
        Max-pools of the track stem; their product divides `positions`.
    stem_norm
        Norm in the track stem: the paper's ``"batch"``, or ``"group"``, which keeps the windows of a
        training batch apart.
    position_encoding
        ``"none"`` as in the paper, where only the edges of convolutions say where a token stands, or
        ``"sinusoidal"``: :mod:`~chromweave.models.positions`, which has no parameters.
    temperature
        ``"learned"`` in log space (the published code learns it, too), or ``"fixed"`` as the paper says. What
        it divides are products of pooled tokens, whose length, at most 1, changes while training goes on; a
        learned one follows.
    initial_temperature
        Where it starts, or stays.
    head_dropout
        Dropout inside a task's head, while training.
    fusion
        How track tokens look at map tokens: as in the paper, or ``"residual"``
        (:class:`~chromweave.models.blocks.ResidualFusionBlock`), where a loop model's head reads the map's
        tokens beside the fused ones, and a task of bins adds what they have seen to the encoder's own tokens.
    unimodal_heads
        Whether a bimodal loop model has a head on each encoder's own tokens, too, whose logits are added to
        that of the fused ones. Trained by themselves beside the sum, both encoders go on learning when the
        one that is quicker explains most labels (modality laziness: Du et al. 2023, Wang et al. 2020).
    contact_mixing
        Whether an expression model's bins hear one another through the contact map
        (:class:`~chromweave.models.blocks.ContactMixing`); the paper has no such path.
    legacy
        Compute what the published code computes, for its weights: the track encoder and the decoder attend
        along the *batch*, so that a window's values depend on the windows beside it, and a contact model's
        rows are the y segment.
    """

    channels: int = 16
    n_tracks: int = 2
    heads: int = 4
    depth: int = 2
    window_bins: int = 50
    positions: int = 5000
    pools: tuple[int, ...] = (2, 5, 5)
    stem_norm: Literal["batch", "group"] = "batch"
    position_encoding: Literal["none", "sinusoidal"] = "none"
    temperature: Literal["learned", "fixed"] = "learned"
    initial_temperature: float = 0.07
    head_dropout: float = 0.5
    fusion: Literal["paper", "residual"] = "paper"
    unimodal_heads: bool = False
    contact_mixing: bool = False
    legacy: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "n_tracks", "heads", "depth"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.channels % self.heads:
            raise ConfigError(f"channels ({self.channels}) must be a multiple of heads ({self.heads}).")
        if self.window_bins % 2 or self.window_bins < 2 ** (STAGES + 1):
            raise ConfigError(
                f"window_bins must be an even number of at least {2 ** (STAGES + 1)}, not {self.window_bins}."
            )
        pooled = math.prod(self.pools)
        if self.positions % pooled or self.positions < pooled * 2**STAGES:
            raise ConfigError(
                f"positions must be a multiple of {pooled} (the product of pools) and at least "
                f"{pooled * 2**STAGES}, not {self.positions}."
            )
        if self.placed and self.channels % 4:
            raise ConfigError(
                f"channels ({self.channels}) must be a multiple of 4 for a sinusoidal position_encoding."
            )
        if not MIN_TEMPERATURE <= self.initial_temperature <= MAX_TEMPERATURE:
            raise ConfigError(
                f"initial_temperature must lie between {MIN_TEMPERATURE} and {MAX_TEMPERATURE}, "
                f"not {self.initial_temperature}."
            )
        if not 0 <= self.head_dropout < 1:
            raise ConfigError(f"head_dropout must be at least 0 and below 1, not {self.head_dropout}.")

    @property
    def width(self) -> int:
        """Channels of an encoder's output."""
        return self.channels * 2**STAGES

    @property
    def placed(self) -> bool:
        """Whether tokens are told where they stand."""
        return self.position_encoding == "sinusoidal"

    @property
    def token_counts(self) -> tuple[int, ...]:
        """Tokens of the track encoder, stage by stage."""
        return track_token_counts(self.positions, self.pools)

    @property
    def track_tokens(self) -> int:
        """Tokens of the track encoder's output."""
        return self.token_counts[-1]

    @property
    def map_tokens(self) -> int:
        """Tokens of the map encoder's output."""
        return (self.window_bins // 2 ** (STAGES + 1)) ** 2


MIN_TEMPERATURE, MAX_TEMPERATURE = 0.001, 0.5

# Four heads of four channels would cost a CPU five times the attention of one head of sixteen.
PRESETS = {
    "tiny": MixHicConfig(channels=16, heads=1),
    "small": MixHicConfig(channels=64),
    "paper-128": MixHicConfig(channels=128, temperature="fixed"),
    "paper-256": MixHicConfig(channels=256, temperature="fixed"),
}


def preset(name: str, **changes: Any) -> MixHicConfig:
    """A preset's configuration, with changes.

    Raises
    ------
    ConfigError
        There is no such preset, or a change does not fit.
    """
    if name not in PRESETS:
        raise ConfigError(f"no model preset {name!r}; there are {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)


def build_map_encoder(config: MixHicConfig) -> MapEncoder:
    """The map encoder of these sizes."""
    codes = map_codes(config.channels, config.window_bins) if config.placed else None
    return MapEncoder(config.channels, config.heads, config.depth, codes)


def build_track_encoder(config: MixHicConfig) -> TrackEncoder:
    """The track encoder of these sizes."""
    tokens = config.token_counts[0]
    return TrackEncoder(
        config.n_tracks,
        config.channels,
        config.heads,
        config.depth,
        config.pools,
        config.stem_norm,
        track_codes(tokens, config.channels, config.window_bins) if config.placed else None,
        across_batch=config.legacy,
    )


class Halves(nn.Module):
    """One modality's tokens, seen twice: what the other modality shows too, and what only this one has."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.invariant = nn.Linear(width, width // 2)
        self.specific = nn.Linear(width, width // 2)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> tuple[Float[Tensor, "batch tokens half"], Float[Tensor, "batch tokens half"]]:
        """(invariant, specific), every token of unit length."""
        return F.normalize(self.invariant(tokens), dim=-1), F.normalize(self.specific(tokens), dim=-1)

    def joined(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Invariant channels first, then specific ones."""
        return torch.cat(self(tokens), dim=-1)


class Inference(nn.Module):
    """One modality's tokens guessed from the other's: average-pooled to their number, then a dense layer."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.dense = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "batch given width"]) -> Float[Tensor, "batch wanted width"]:
        """The guess is not normalised."""
        return self.dense(F.adaptive_avg_pool1d(tokens.transpose(1, 2), self.tokens).transpose(1, 2))


class Fusion(nn.Module):
    """Track tokens that have looked at map tokens: a stack of :class:`FusionBlock` with one context."""

    def __init__(self, config: MixHicConfig) -> None:
        super().__init__()
        block = ResidualFusionBlock if config.fusion == "residual" else FusionBlock
        self.blocks = nn.ModuleList(block(config.width, config.heads) for _ in range(config.depth))

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], context: Float[Tensor, "batch others width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Query `tokens`, look at `context`."""
        for block in self.blocks:
            tokens = block(tokens, context)
        return tokens


class MixHicPretrain(nn.Module):
    """Both encoders, the interaction block and the mapping block: what pre-training learns.

    Parameters
    ----------
    config
        Sizes and choices.
    """

    def __init__(self, config: MixHicConfig) -> None:
        super().__init__()
        self.config = config
        self.track_encoder = build_track_encoder(config)
        self.map_encoder = build_map_encoder(config)
        self.track_halves = Halves(config.width)
        self.map_halves = Halves(config.width)
        self.to_map = Inference(config.width, config.map_tokens)
        self.to_tracks = Inference(config.width, config.track_tokens)
        start = torch.tensor(math.log(config.initial_temperature))
        if config.temperature == "learned":
            self.log_temperature = nn.Parameter(start)
        else:
            self.register_buffer("log_temperature", start, persistent=False)

    @property
    def temperature(self) -> Tensor:
        """Temperature of the contrastive loss, kept within [0.001, 0.5]."""
        return self.log_temperature.exp().clamp(MIN_TEMPERATURE, MAX_TEMPERATURE)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"],
        tracks: Float[Tensor, "batch positions tracks"],
        inference_alone: bool = False,
    ) -> PairedTokens:
        """Both modalities of each window in one space, and each inferred from the other.

        With `inference_alone` no gradient flows from what is inferred into the encoders.
        """
        track_invariant, track_specific = self.track_halves(self.track_encoder(tracks).tokens)
        map_invariant, map_specific = self.map_halves(self.map_encoder(contact_map))
        joined_tracks = torch.cat([track_invariant, track_specific], dim=-1)
        joined_maps = torch.cat([map_invariant, map_specific], dim=-1)
        if inference_alone:
            joined_tracks, joined_maps = joined_tracks.detach(), joined_maps.detach()
        return PairedTokens(
            track_invariant=track_invariant,
            track_specific=track_specific,
            map_invariant=map_invariant,
            map_specific=map_specific,
            map_from_tracks=self.to_map(joined_tracks),
            tracks_from_map=self.to_tracks(joined_maps),
            temperature=self.temperature,
        )
