"""What the restated networks have in common: segments, places, answers; nothing here mixes windows.

BatchNorm, which most of them have, does so while training; in evaluation it uses running statistics.
"""

from __future__ import annotations

from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..batch import Prediction
from ..errors import ConfigError
from ..models.positions import track_codes
from ..models.tasks import ContactOutput

__all__ = [
    "ContactOutput",
    "PreNormLayers",
    "SameConv1d",
    "answered",
    "central",
    "check_output",
    "in_a_row",
    "same_segments",
    "segments",
    "symmetrised",
]


def check_output(output: str) -> None:
    """Raise ConfigError if there is no such output of contacts."""
    if output not in get_args(ContactOutput):
        raise ConfigError(f"no output {output!r}; there are {', '.join(get_args(ContactOutput))}.")


def answered(logit: Float[Tensor, "batch 1 bins bins"], output: str) -> Prediction:
    """Contacts and their logits; of a linear output both are the same."""
    return Prediction(torch.sigmoid(logit) if output == "sigmoid" else logit, logit)


def segments(tracks: Float[Tensor, "batch positions tracks"]) -> Float[Tensor, "two_batch tracks half"]:
    """Both segments of every window on their own, channels first: what convolves does not cross from x to y.

    Rows 2 i and 2 i + 1 are the x and the y segment of window i.
    """
    batch, positions, n_tracks = tracks.shape
    return tracks.reshape(2 * batch, positions // 2, n_tracks).transpose(1, 2)


def in_a_row(x: Float[Tensor, "two_batch channels half"]) -> Float[Tensor, "batch tokens channels"]:
    """The tokens of both segments laid end to end again, x first; undoes :func:`segments`."""
    two_batch, channels, half = x.shape
    return x.transpose(1, 2).reshape(two_batch // 2, 2 * half, channels)


def same_segments(tracks: Float[Tensor, "batch positions tracks"]) -> Bool[Tensor, " batch"]:
    """Whether a window's two segments are one and the same, as they are on the diagonal of the genome."""
    x, y = tracks.chunk(2, dim=1)
    return (x == y).flatten(1).all(1)


def symmetrised(
    maps: Float[Tensor, "batch channels bins bins"], same: Bool[Tensor, " batch"]
) -> Float[Tensor, "batch channels bins bins"]:
    """(M + Mᵀ) / 2 of the windows whose segments are the same, whose contacts are symmetric; others as is."""
    return torch.where(same[:, None, None, None], (maps + maps.transpose(2, 3)) / 2, maps)


def central(
    maps: Float[Tensor, "batch channels bins bins"], side: int
) -> Float[Tensor, "batch channels side side"]:
    """The square of `side` bins about the anchor pixel, which has index (h, h), h = half a window's side."""
    first = maps.shape[-1] // 2 - side // 2
    if first < 0 or side < 1:
        raise ConfigError(f"a window of {maps.shape[-1]} bins has no square of {side} about its anchor.")
    return maps[..., first : first + side, first : first + side]


class SameConv1d(nn.Conv1d):
    """A convolution that keeps the length, or divides it by its stride; beyond the ends lies 0.

    Every place looks at the positions that it stands for, and as far to either side of them. The kernel may
    be odd or even, but not shorter than the stride.
    """

    def forward(self, x: Float[Tensor, "batch channels positions"]) -> Float[Tensor, "batch filters places"]:
        """Where the two sides cannot be alike, one position more is seen after than before."""
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1 - self.stride[0]
        return super().forward(F.pad(x, (reach // 2, reach - reach // 2)))


class PreNormLayers(nn.Module):
    """Transformer layers with norms before attention and feed-forward, along both segments' tokens.

    Tokens are told where they stand (:func:`~chromweave.models.positions.track_codes`), in their segment and
    in which of the two.

    Parameters
    ----------
    tokens
        Of both segments together.
    width, layers, heads, feed_forward
        Channels of a token, a multiple of 4 and of `heads`; layers; attention heads; hidden channels.
    dropout
        While training.
    window_bins
        Bins of a segment.
    """

    codes: Tensor

    def __init__(
        self,
        tokens: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        window_bins: int,
    ) -> None:
        super().__init__()
        if width % 4 or width % heads:
            raise ConfigError(f"width ({width}) must be a multiple of 4 and of heads ({heads}).")
        self.register_buffer("codes", track_codes(tokens, width, window_bins), persistent=False)
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, heads, feed_forward, dropout, batch_first=True, norm_first=True
                )
                for _ in range(layers)
            )
        )

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Attend along `tokens`."""
        return self.layers(x + self.codes)
