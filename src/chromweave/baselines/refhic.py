"""RefHiC: loops from a contact window held against a panel of reference maps (Zhang & Blanchette 2022).

Nature Communications 13, 7426. The network alone: which maps are the panel is the caller's affair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError, ModelError
from .sizes import WindowSizes

__all__ = ["PRESETS", "RefHiC", "RefHiCConfig"]

KINDS = 2  # contacts, and contacts over expected


@dataclass(frozen=True)
class RefHiCConfig(WindowSizes):
    """Sizes of :class:`RefHiC`; tracks are not read.

    Parameters
    ----------
    side
        Bins of the square about the anchor; odd, so that the anchor is in the middle. The paper's is 21.
    width
        Channels of a map's code.
    dropout
        In the encoder, while training.
    """

    side: int = 21
    width: int = 64
    dropout: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("width")
        self.require_share("dropout")
        if self.side < 3 or self.side % 2 == 0 or self.side >= self.window_bins:
            raise ConfigError(
                f"side must be odd, at least 3 and below window_bins ({self.window_bins}), not {self.side}."
            )


PRESETS = {"paper": RefHiCConfig(), "tiny": RefHiCConfig(side=11, width=16, dropout=0.1)}


class _Encoder(nn.Module):
    """A small map, contacts and contacts over expected, to a code."""

    def __init__(self, config: RefHiCConfig) -> None:
        super().__init__()
        values = KINDS * config.side**2
        self.before = nn.BatchNorm1d(values)
        self.picture = nn.Sequential(
            nn.InstanceNorm2d(KINDS, affine=True), nn.Conv2d(KINDS, KINDS, 3, padding=1), nn.ReLU()
        )
        self.code = nn.Sequential(
            nn.BatchNorm1d(values),
            nn.Linear(values, config.width),
            nn.BatchNorm1d(config.width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, config.width),
            nn.BatchNorm1d(config.width),
            nn.ReLU(),
        )

    def forward(self, maps: Float[Tensor, "maps kinds side side"]) -> Float[Tensor, "maps width"]:
        normal = self.before(maps.flatten(1)).reshape(maps.shape)
        return self.code(self.picture(normal).flatten(1))


class RefHiC(nn.Module):
    """Probability that the anchors at a map's centre form a loop, given what references show there.

    One encoder codes the study's map and each reference's; the study's code attends to the references', of
    which there may be any number, in any order.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = True
    needs_tracks = False
    needs_references = True

    def __init__(self, config: RefHiCConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = _Encoder(config)
        self.norm_study, self.norm_references = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm_heard, self.norm_answer = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Sequential(
            nn.Linear(2 * width, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(
        self,
        study: Float[Tensor, "batch 2 side side"],
        references: Float[Tensor, "batch references 2 side side"],
    ) -> Prediction:
        """Probability (value) and logit per window, each (batch,).

        Parameters
        ----------
        study
            Contacts and contacts over expected of the sample; the anchor pixel is in the middle.
        references
            The same of each reference, at the same place; at least one.

        Raises
        ------
        ModelError
            Maps of another side, or no reference.
        """
        self._check(study, references)
        batch = len(study)
        everything = torch.cat([study, references.flatten(0, 1)])  # BatchNorm sees them as one
        codes = self.encoder(everything)
        own, others = codes[:batch], codes[batch:].unflatten(0, (batch, -1))
        logit = self.head(torch.cat([own, self._heard(own, others)], dim=1)).squeeze(-1)
        return Prediction(torch.sigmoid(logit), logit)

    def _check(self, study: Tensor, references: Tensor) -> None:
        side = self.config.side
        if study.shape[-1] != side or references.shape[-1] != side:
            raise ModelError(
                f"this network was built for maps of {side} bins; it was given one of {study.shape[-1]} and "
                f"references of {references.shape[-1]}."
            )
        if references.shape[1] < 1:
            raise ModelError("this network holds a map against references, and none was given.")

    def _heard(
        self, own: Float[Tensor, "batch width"], others: Float[Tensor, "batch references width"]
    ) -> Float[Tensor, "batch width"]:
        """What the references say, each as far as it is like the study."""
        query, keys = self.norm_study(own).unsqueeze(1), self.norm_references(others)
        weights = torch.softmax(query @ keys.transpose(1, 2) / math.sqrt(own.shape[1]), dim=-1)
        heard = self.norm_heard((weights @ keys).squeeze(1))
        return self.norm_answer(heard + self.feed_forward(heard))
