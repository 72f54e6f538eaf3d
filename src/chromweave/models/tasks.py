"""What the foundation model is fine-tuned for: loops, contact maps, expression; from one modality or both.

Each model builds, of the foundation model's parts, those that its mode needs, under their names in
:class:`~chromweave.models.mixhic.MixHicPretrain`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError, ModelError
from .blocks import ContactMixing
from .encoders import EncodedTracks, TrackDecoder
from .heads import ContactHead, LoopHead, TrackHead, WindowHead
from .mixhic import Fusion, Halves, Inference, MixHicConfig, build_map_encoder, build_track_encoder

__all__ = [
    "ContactModel",
    "ContactOutput",
    "ExpressionModel",
    "LoopModel",
    "Mode",
    "TaskBody",
    "reads_map",
    "reads_tracks",
]

Mode = Literal["bimodal", "map", "tracks", "infer_map", "infer_tracks"]
ContactOutput = Literal["sigmoid", "linear"]

CONTACT_MODES: tuple[Mode, ...] = ("tracks", "infer_map")


def reads_map(mode: str) -> bool:
    """Whether a model of this mode reads the contact map."""
    return mode in ("bimodal", "map", "infer_tracks")


def reads_tracks(mode: str) -> bool:
    """Whether a model of this mode reads the tracks."""
    return mode in ("bimodal", "tracks", "infer_map")


class TaskBody(nn.Module):
    """Windows to tokens, by the parts of the foundation model that a mode needs and no others.

    Modes
    -----
    ``bimodal``
        Track tokens fused with map tokens.
    ``infer_map``
        Track tokens fused with map tokens inferred from them: no contact map is needed.
    ``infer_tracks``
        Track tokens inferred from the map's, fused with these: no tracks are needed.
    ``tracks``, ``map``
        One encoder's tokens as they are.

    Parameters
    ----------
    config
        Sizes and choices.
    mode
        What it reads.
    probe
        For a linear probe: nothing stands between pre-trained tokens and the head. Of two kinds of tokens
        each of the first is laid beside the mean of the second, where fusion, which pre-training does not
        learn, would be.

    Raises
    ------
    ConfigError
        There is no such mode.
    """

    def __init__(self, config: MixHicConfig, mode: str, probe: bool = False) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            raise ConfigError(f"no mode {mode!r}; there are {', '.join(get_args(Mode))}.")
        if reads_tracks(mode):
            self.track_encoder = build_track_encoder(config)
        if reads_map(mode):
            self.map_encoder = build_map_encoder(config)
        if mode in ("bimodal", "infer_map"):
            self.track_halves = Halves(config.width)
        if mode in ("bimodal", "infer_tracks"):
            self.map_halves = Halves(config.width)
        if mode == "infer_map":
            self.to_map = Inference(config.width, config.map_tokens)
        if mode == "infer_tracks":
            self.to_tracks = Inference(config.width, config.track_tokens)
        two = mode not in ("map", "tracks")
        if two and not probe:
            self.fusion = Fusion(config)
        self.config, self.mode, self.probe = config, mode, probe
        self.width = 2 * config.width if two and probe else config.width
        self._frozen: tuple[str, ...] = ()

    @property
    def needs_map(self) -> bool:
        """Whether the mode reads the contact map."""
        return reads_map(self.mode)

    @property
    def needs_tracks(self) -> bool:
        """Whether the mode reads the tracks."""
        return reads_tracks(self.mode)

    def freeze(self, names: Collection[str]) -> None:
        """Keep the parts of these names as they are: no gradient, and evaluation mode for good.

        Raises
        ------
        ModelError
            Nothing that could be learned would be left.
        """
        self._frozen = tuple(name for name, _ in self.named_children() if name in names)
        for name in self._frozen:
            self.get_submodule(name).requires_grad_(False)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ModelError("every part of the model is frozen; leave one that can learn.")
        self.train(self.training)

    def train(self, mode: bool = True) -> Any:  # itself; checks of dimensions do not know Self
        """Training mode, but for what is frozen."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

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
        if self.mode == "infer_tracks":
            context = self.map_halves.joined(self.map_encoder(contact_map))
            query = self.to_tracks(context)
            return EncodedTracks(self._fused(query, context, query), (), context)
        encoded = self.track_encoder(tracks)
        if self.mode == "tracks":
            return encoded
        query = self.track_halves.joined(encoded.tokens)
        alone: tuple[Tensor, ...] = ()
        if self.mode == "bimodal":
            map_tokens = self.map_encoder(contact_map)
            context, alone = self.map_halves.joined(map_tokens), (encoded.tokens, map_tokens)
        else:
            context = self.to_map(query)
        return EncodedTracks(self._fused(query, context, encoded.tokens), encoded.skips, context, alone)

    def _fused(self, query: Tensor, context: Tensor, own: Tensor) -> Tensor:
        if not self.probe:
            return self.fusion(query, context)
        beside = context.mean(1, keepdim=True).expand(-1, query.shape[1], -1)
        return torch.cat([query, beside], dim=-1)


class LoopModel(TaskBody):
    """Probability that the anchors at a window's centre form a loop.

    Parameters
    ----------
    config, mode, probe
        See :class:`TaskBody`.
    """

    def __init__(self, config: MixHicConfig, mode: str = "bimodal", probe: bool = False) -> None:
        super().__init__(config, mode, probe)
        width = self.width
        if config.fusion == "residual" and hasattr(self, "fusion"):
            self.norm_fused, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(width)
            width = 2 * width
        self.head = LoopHead(width, config.head_dropout, linear=probe)
        if config.unimodal_heads and mode == "bimodal" and not probe:
            self.track_head = LoopHead(config.width, config.head_dropout)
            self.map_head = LoopHead(config.width, config.head_dropout)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Probability (value) and logit per window, each (batch,)."""
        encoded = self.encode(contact_map, tracks)
        logit = self.head(self._read(encoded))
        if not hasattr(self, "track_head"):
            return Prediction(torch.sigmoid(logit), logit)
        of_tracks, of_map = encoded.alone
        alone = self.track_head(of_tracks), self.map_head(of_map)
        logit = logit + alone[0] + alone[1]
        return Prediction(torch.sigmoid(logit), logit, alone)

    def _read(self, encoded: EncodedTracks) -> Tensor:
        """The tokens; where fusion has residuals, beside the mean of those they looked at."""
        if encoded.context is None or not hasattr(self, "norm_context"):
            return encoded.tokens
        beside = self.norm_context(encoded.context).mean(1, keepdim=True)
        fused = self.norm_fused(encoded.tokens)
        return torch.cat([fused, beside.expand(-1, fused.shape[1], -1)], dim=-1)


class _PerBin(TaskBody):
    """A body whose tokens are brought back to one per bin of each segment.

    With residual fusion what tokens have seen is added to the encoder's own, nothing of it at the start: the
    halves that look are of unit length, and how strong a signal is would be lost with them.
    """

    def __init__(self, config: MixHicConfig, mode: str, probe: bool) -> None:
        if reads_tracks(mode) and config.token_counts[0] != 2 * config.window_bins:
            raise ConfigError(
                f"positions ({config.positions}) and pools {config.pools} give {config.token_counts[0]} "
                f"tokens; this task needs one per bin, {2 * config.window_bins}. Choose other pools."
            )
        super().__init__(config, mode, probe)
        if config.fusion == "residual" and hasattr(self, "fusion"):
            self.seen = nn.Linear(self.width, self.width)
            nn.init.zeros_(self.seen.weight)
            nn.init.zeros_(self.seen.bias)
        if not probe and self.needs_tracks:
            self.decoder = TrackDecoder(
                config.channels, config.heads, config.depth, config.token_counts, across_batch=config.legacy
            )
        skips = config.channels + 2 * config.channels + 4 * config.channels
        self.bin_width = skips + self.width if probe else 2 * config.channels

    def _fused(self, query: Tensor, context: Tensor, own: Tensor) -> Tensor:
        fused = super()._fused(query, context, own)
        return own + self.seen(fused) if hasattr(self, "seen") else fused

    def per_bin(self, encoded: EncodedTracks) -> Float[Tensor, "batch two_bins width"]:
        """Decoded, or for a probe each stage's tokens stretched to the bins and laid side by side."""
        if not self.probe:
            return self.decoder(encoded.tokens, encoded.skips)
        bins = 2 * self.config.window_bins
        levels = [*encoded.skips, encoded.tokens]
        stretched = [F.interpolate(level.transpose(1, 2), size=bins, mode="linear") for level in levels]
        return torch.cat(stretched, dim=1).transpose(1, 2)


class ContactModel(_PerBin):
    """The contact window from the tracks alone.

    Parameters
    ----------
    config
        Sizes and choices; the stem's tokens must be one per bin of each segment.
    mode
        ``"infer_map"`` (the paper's) or ``"tracks"``, see :class:`TaskBody`.
    probe
        See :class:`TaskBody`.
    output
        ``"sigmoid"``: contacts in [0, 1], as the paper scales them. ``"linear"``: any value, such as a log
        ratio to the expected.

    Raises
    ------
    ConfigError
        The resolution that `positions` stands for does not give one token per bin, or the mode would read
        the map that is to be predicted.
    """

    def __init__(
        self,
        config: MixHicConfig,
        mode: str = "infer_map",
        probe: bool = False,
        output: str = "sigmoid",
    ) -> None:
        if mode not in CONTACT_MODES:
            raise ConfigError(
                f"a model that predicts contacts reads no contact map: the mode is "
                f"{' or '.join(CONTACT_MODES)}, not {mode!r}."
            )
        if output not in get_args(ContactOutput):
            raise ConfigError(f"no output {output!r}; there are {', '.join(get_args(ContactOutput))}.")
        super().__init__(config, mode, probe)
        self.output = output
        self.head = ContactHead(
            self.bin_width, config.head_dropout, transposed=config.legacy, linear=probe
        )  # fmt: skip

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Contacts (value) and their logits, (batch, 1, bins, bins), rows = x segment unless legacy.

        Of a linear output both are the same.
        """
        logit = self.head(self.per_bin(self.encode(None, tracks)))
        return Prediction(torch.sigmoid(logit) if self.output == "sigmoid" else logit, logit)


class ExpressionModel(_PerBin):
    """A signal of each bin of both segments, such as CAGE, in log2.

    With tracks, the decoder's tokens are read bin by bin; bins may hear one another before
    (`MixHicConfig.contact_mixing`), through the contact map where the mode is bimodal and through distance
    alone where it is not. Without tracks there is nothing to decode along: all tokens together give all bins.

    Parameters
    ----------
    config, mode, probe
        See :class:`TaskBody`.
    """

    def __init__(self, config: MixHicConfig, mode: str = "bimodal", probe: bool = False) -> None:
        super().__init__(config, mode, probe)
        self.head: nn.Module
        if self.needs_tracks:
            if config.contact_mixing and not probe:
                self.mixing = ContactMixing(self.bin_width, config.heads, by_contact=mode == "bimodal")
            self.head = TrackHead(self.bin_width, linear=probe)
        else:
            tokens = config.map_tokens if mode == "map" else config.track_tokens
            self.head = WindowHead(
                self.width, tokens, 2 * config.window_bins, config.head_dropout, linear=probe
            )  # fmt: skip

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Signal (value), (batch, 2 bins): x segment first, then y segment."""
        encoded = self.encode(contact_map, tracks)
        if not self.needs_tracks:
            return Prediction(self.head(encoded.tokens))
        tokens: Any = self.per_bin(encoded)
        if hasattr(self, "mixing"):
            tokens = self.mixing(tokens, contact_map if self.mode == "bimodal" else None)
        return Prediction(self.head(tokens))
