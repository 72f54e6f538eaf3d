"""DLoopCaller: loops from a contact window and the accessibility of its bins (Wang et al. 2022).

PLoS Computational Biology 18, e1010572. Two pictures, three convolutions, one hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError
from .layers import central
from .sizes import WindowSizes, given_map, given_tracks

__all__ = ["PRESETS", "DLoopCaller", "DLoopCallerConfig"]


@dataclass(frozen=True)
class DLoopCallerConfig(WindowSizes):
    """Sizes of :class:`DLoopCaller`.

    Parameters
    ----------
    track
        Index of the accessibility track (ATAC or DNase); the others are not read.
    side
        Bins of the square about the anchor that is looked at; 0 for the whole window. The paper's is 23.
    channels, kernels
        Of the three convolutions; odd kernels.
    dense
        Width of the hidden layer.
    dropout
        After each convolution, while training.
    """

    track: int = 0
    side: int = 23
    channels: tuple[int, ...] = (16, 32, 32)
    kernels: tuple[int, ...] = (5, 3, 3)
    dense: int = 64
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("channels", "kernels", "dense")
        self.require_share("dropout")
        self.require_as_many("channels", "kernels")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ConfigError(f"kernels must be odd, not {self.kernels}.")
        if not 0 <= self.track < self.n_tracks:
            raise ConfigError(
                f"track is the index of the accessibility track, from 0 to {self.n_tracks - 1}, "
                f"not {self.track}."
            )
        least = 2 ** len(self.channels)
        if not least <= self.seen <= self.window_bins:
            raise ConfigError(
                f"side ({self.side}) must be 0 for the whole window, or lie between {least} and "
                f"window_bins ({self.window_bins}), which itself must be at least {least}."
            )

    @property
    def seen(self) -> int:
        """Bins of the side that is looked at."""
        return self.side or self.window_bins


PRESETS = {
    "paper": DLoopCallerConfig(),
    "whole": DLoopCallerConfig(side=0),
    "tiny": DLoopCallerConfig(side=0, channels=(8, 8, 8), kernels=(3, 3, 3), dense=16),
}


def _scaled(picture: Float[Tensor, "batch 1 bins bins"]) -> Float[Tensor, "batch 1 bins bins"]:
    """log10(1 + 10 v), over 1 + the window's largest; mirrored for negative values, which counts lack."""
    stretched = picture.sign() * torch.log10(1 + 10 * picture.abs())
    return stretched / (1 + stretched.abs().amax((2, 3), keepdim=True))


class DLoopCaller(nn.Module):
    """Probability that the anchors at a window's centre form a loop.

    Pictures are the contact map and the outer product of the bins' mean accessibility, both scaled.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = True
    needs_tracks = True
    needs_references = False

    def __init__(self, config: DLoopCallerConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for (before, after), kernel in zip(pairwise((2, *config.channels)), config.kernels, strict=True):
            layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU()]
            layers += [nn.AvgPool2d(2), nn.Dropout(config.dropout)]
        places = (config.seen // 2 ** len(config.channels)) ** 2
        self.pictures = nn.Sequential(*layers, nn.BatchNorm2d(config.channels[-1]), nn.Flatten())
        self.hidden = nn.Linear(config.channels[-1] * places, config.dense)
        self.out = nn.Linear(config.dense, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(
        self,
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
        tracks: Float[Tensor, "batch positions tracks"] | None,
    ) -> Prediction:
        """Probability (value) and logit per window, each (batch,).

        Raises
        ------
        ModelError
            No map or no tracks, or one of other sizes.
        """
        contact_map = given_map(contact_map, self.config)
        open_there = self._accessibility(given_tracks(tracks, self.config))
        pictures = [_scaled(central(one, self.config.seen)) for one in (contact_map, open_there)]
        hidden = torch.relu(self.hidden(self.pictures(torch.cat(pictures, dim=1))))
        logit = self.out(hidden).squeeze(-1)
        return Prediction(torch.sigmoid(logit), logit)

    def _accessibility(self, tracks: Tensor) -> Float[Tensor, "batch 1 bins bins"]:
        """Mean accessibility of bin x_i times that of bin y_j."""
        config = self.config
        means = tracks[:, :, config.track].reshape(len(tracks), 2, 1, config.window_bins, -1).mean(-1)
        return means[:, 0].unsqueeze(-1) * means[:, 1].unsqueeze(-2)
