"""MIX-HIC: a foundation model of contact windows and signal tracks (arXiv 2504.09060).

The paper's architecture, with attention along the tokens of a window, and without the parts its published
code builds but never uses. Modules of the same name hold the same weights in every model of this file, so
that what is pre-trained moves to a task by name:

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

from ..batch import PairedTokens, Prediction
from ..errors import ConfigError, ModelError
from .blocks import FusionBlock
from .encoders import STAGES, EncodedTracks, MapEncoder, TrackDecoder, TrackEncoder, track_token_counts
from .heads import ContactHead, LoopHead
from .positions import map_codes, track_codes

__all__ = [
    "PRESETS",
    "ContactMode",
    "ContactModel",
    "Halves",
    "LoopMode",
    "LoopModel",
    "MixHicConfig",
    "MixHicPretrain",
    "preset",
]

LoopMode = Literal["bimodal", "map", "tracks", "infer_map"]
ContactMode = Literal["tracks", "infer_map"]


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
        Dropout inside the loop and contact heads, while training.
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


def _map_encoder(config: MixHicConfig) -> MapEncoder:
    codes = map_codes(config.channels, config.window_bins) if config.placed else None
    return MapEncoder(config.channels, config.heads, config.depth, codes)


def _track_encoder(config: MixHicConfig) -> TrackEncoder:
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
        self.blocks = nn.ModuleList(FusionBlock(config.width, config.heads) for _ in range(config.depth))

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
        self.track_encoder = _track_encoder(config)
        self.map_encoder = _map_encoder(config)
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


class TaskBody(nn.Module):
    """Windows to tokens, by the parts of the foundation model that a mode needs and no others.

    Modes
    -----
    ``bimodal``
        Track tokens fused with map tokens.
    ``infer_map``
        Track tokens fused with map tokens inferred from them: no contact map is needed.
    ``tracks``, ``map``
        One encoder's tokens as they are.
    """

    def __init__(self, config: MixHicConfig, mode: LoopMode) -> None:
        super().__init__()
        if mode != "map":
            self.track_encoder = _track_encoder(config)
        if mode in ("bimodal", "map"):
            self.map_encoder = _map_encoder(config)
        if mode in ("bimodal", "infer_map"):
            self.track_halves = Halves(config.width)
            self.fusion = Fusion(config)
        if mode == "bimodal":
            self.map_halves = Halves(config.width)
        if mode == "infer_map":
            self.to_map = Inference(config.width, config.map_tokens)
        self.config = config
        self.mode = mode

    @property
    def needs_map(self) -> bool:
        """Whether the mode reads the contact map."""
        return self.mode in ("bimodal", "map")

    @property
    def needs_tracks(self) -> bool:
        """Whether the mode reads the tracks."""
        return self.mode != "map"

    def encode(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> EncodedTracks:
        """Tokens for a task's head; an input that the mode does not need may be None.

        Raises
        ------
        ModelError
            An input that the mode needs is None.
        """
        if self.needs_map and contact_map is None:
            raise ModelError(f"mode {self.mode!r} reads the contact map, and none was given.")
        if self.needs_tracks and tracks is None:
            raise ModelError(f"mode {self.mode!r} reads the tracks, and none were given.")
        if self.mode == "map":
            return EncodedTracks(self.map_encoder(contact_map), ())
        encoded = self.track_encoder(tracks)
        if self.mode == "tracks":
            return encoded
        query = self.track_halves.joined(encoded.tokens)
        if self.mode == "bimodal":
            context = self.map_halves.joined(self.map_encoder(contact_map))
        else:
            context = self.to_map(query)
        return EncodedTracks(self.fusion(query, context), encoded.skips)


class LoopModel(TaskBody):
    """Probability that the anchors at a window's centre form a loop.

    Parameters
    ----------
    config
        Sizes and choices.
    mode
        What it reads, see :class:`TaskBody`.
    """

    def __init__(self, config: MixHicConfig, mode: LoopMode = "bimodal") -> None:
        super().__init__(config, mode)
        self.head = LoopHead(config.width, config.head_dropout)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Probability (value) and logit per window, each (batch,)."""
        logit = self.head(self.encode(contact_map, tracks).tokens)
        return Prediction(torch.sigmoid(logit), logit)


class ContactModel(TaskBody):
    """The contact window, in [0, 1], from the tracks alone.

    Parameters
    ----------
    config
        Sizes and choices; the stem's tokens must be one per bin of each segment.
    mode
        ``"infer_map"`` (the paper's) or ``"tracks"``, see :class:`TaskBody`.

    Raises
    ------
    ConfigError
        The resolution that `positions` stands for does not give one token per bin.
    """

    def __init__(self, config: MixHicConfig, mode: ContactMode = "infer_map") -> None:
        if config.token_counts[0] != 2 * config.window_bins:
            raise ConfigError(
                f"positions ({config.positions}) and pools {config.pools} give {config.token_counts[0]} "
                f"tokens; a contact model needs one per bin, {2 * config.window_bins}. Choose other pools."
            )
        super().__init__(config, mode)
        self.decoder = TrackDecoder(
            config.channels, config.heads, config.depth, config.token_counts, across_batch=config.legacy
        )
        self.head = ContactHead(2 * config.channels, config.head_dropout, transposed=config.legacy)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Contacts (value) and their logits, (batch, 1, bins, bins), rows = x segment unless legacy."""
        encoded = self.encode(None, tracks)
        logit = self.head(self.decoder(encoded.tokens, encoded.skips))
        return Prediction(torch.sigmoid(logit), logit)
