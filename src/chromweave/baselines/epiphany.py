"""Epiphany: contacts from tracks, a stripe of them per bin (Yang et al. 2023, Genome Biology 24, 134).

One convolutional network reads the surroundings of every bin; recurrent layers run along the bins; each bin
answers with a vector of contacts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError
from .layers import SameConv1d, answered, check_output, same_segments, segments, symmetrised
from .sizes import WindowSizes, given_tracks

__all__ = ["PRESETS", "Epiphany", "EpiphanyConfig"]


@dataclass(frozen=True)
class EpiphanyConfig(WindowSizes):
    """Sizes of :class:`Epiphany`.

    Parameters
    ----------
    channels, kernels
        Of the four convolutions.
    shrink
        Max-pools after the first three. The paper's are 4, on windows 28 times as long; with 2, `places` are
        still places and not copies of fewer.
    places
        To which the last convolution's positions are max-pooled.
    reach_bins
        Bins that a bin's window spans, itself in the middle; 0 beyond the segment.
    hidden, layers
        Of the recurrent layers, each both ways.
    dense
        Width of the hidden layer behind them.
    dropout
        After each of the first three convolutions, while training.
    output
        ``"sigmoid"`` for contacts in [0, 1], ``"linear"`` for any value.
    """

    channels: tuple[int, ...] = (70, 90, 70, 20)
    kernels: tuple[int, ...] = (17, 7, 5, 5)
    shrink: int = 2
    places: int = 45
    reach_bins: int = 10
    hidden: int = 256
    layers: int = 2
    dense: int = 900
    dropout: float = 0.1
    output: str = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_as_many("channels", "kernels")
        self.require_positive(
            "channels", "kernels", "shrink", "places", "reach_bins", "hidden", "layers", "dense"
        )
        self.require_share("dropout")
        check_output(self.output)
        if self.reach < self.shrink ** (len(self.channels) - 1):
            raise ConfigError(
                f"reach_bins ({self.reach_bins}) of {self.steps} positions are too few for "
                f"{len(self.channels) - 1} max-pools of {self.shrink}; take more of them, or smaller pools."
            )

    @property
    def reach(self) -> int:
        """Positions of a bin's window."""
        return self.reach_bins * self.steps


PRESETS = {
    "paper": EpiphanyConfig(),
    "tiny": EpiphanyConfig(
        channels=(8, 12, 12, 8), kernels=(9, 5, 5, 5), shrink=4, places=4, reach_bins=5, hidden=24, dense=64
    ),
}


def _reader(config: EpiphanyConfig) -> nn.Sequential:
    """The convolutional network that reads each bin's window to a vector."""
    layers: list[nn.Module] = []
    for (before, after), kernel in zip(
        pairwise((config.n_tracks, *config.channels)), config.kernels, strict=True
    ):
        layers += [SameConv1d(before, after, kernel), nn.ReLU()]
        layers += [nn.MaxPool1d(config.shrink), nn.Dropout(config.dropout)]
    return nn.Sequential(*layers[:-2], nn.AdaptiveMaxPool1d(config.places), nn.Flatten())


class Epiphany(nn.Module):
    """The contact window from the tracks alone: rows that x's bins answer, and columns that y's bins answer.

    Element (i, j) is what bin x_i says of place j, and what bin y_j says of place i, added up.
    Map and transposed map are averaged where both segments are the same.

    Parameters
    ----------
    config
        Sizes.
    """

    needs_map = False
    needs_tracks = True
    needs_references = False

    def __init__(self, config: EpiphanyConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = _reader(config)
        widths = [config.channels[-1] * config.places, *[2 * config.hidden] * config.layers]
        self.recurrent = nn.ModuleList(
            nn.LSTM(before, after // 2, batch_first=True, bidirectional=True)
            for before, after in pairwise(widths)
        )
        self.dense = nn.Linear(2 * config.hidden, config.dense)
        self.out = nn.Linear(config.dense, config.window_bins)

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
        x = self.reader(self._windows(tracks)).reshape(len(tracks), 2 * self.config.window_bins, -1)
        for i, layer in enumerate(self.recurrent):
            x = layer(x)[0] + (x if i else 0)
        rows, columns = self.out(torch.relu(self.dense(x))).chunk(2, dim=1)
        logit = (rows + columns.transpose(1, 2)).unsqueeze(1)
        return answered(symmetrised(logit, same_segments(tracks)), self.config.output)

    def _windows(self, tracks: Tensor) -> Float[Tensor, "windows tracks reach"]:
        """The surroundings of every bin of every segment."""
        reach, steps = self.config.reach, self.config.steps
        before = math.ceil((reach - steps) / 2)
        padded = F.pad(segments(tracks), (before, reach - steps - before))
        return padded.unfold(2, reach, steps).transpose(1, 2).flatten(0, 1)
