"""Where a token stands: fixed sines and cosines of its place in the window, the same for both modalities.

A place is a distance from the start of its segment, in bins. The x segment's code fills the first half of the
channels and the y segment's the second half, the other half being 0, which tells the segments apart. The code
of a map patch is that of its row beside that of its column, so that it is the sum of the codes of the two
track tokens that meet there. There is nothing to learn here (Vaswani et al. 2017, with wavelengths that fit
a window).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["MAP_AMPLITUDE", "TRACK_AMPLITUDE", "map_codes", "place_code", "track_codes"]

# What a token holds and where it stands start at about the same size. The track stem ends in BatchNorm and
# ReLU, whose values are about 1; the map's patch embedding is begun with this sigma where there are codes:
# with the paper's 0.02 the first blocks drown both, and learning took twice as long.
MAP_AMPLITUDE = 0.3
TRACK_AMPLITUDE = 0.3

SHORTEST_BINS = 4.0  # twice a patch of the map: the shortest wave that its grid can show


def place_code(
    places: Float[Tensor, " tokens"], channels: int, window_bins: int
) -> Float[Tensor, "tokens channels"]:
    """Sines, then cosines, of places in bins.

    Wavelengths grow geometrically from 4 bins to twice the window, over which no two places are alike.

    Parameters
    ----------
    places
        Distance from the start of the segment, bins.
    channels
        An even number.
    window_bins
        Bins of a window's side.
    """
    count = channels // 2
    ratio = 2 * window_bins / SHORTEST_BINS
    steps = torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
    wavelengths = 2 * window_bins / ratio**steps  # the longest first, so that one is always there
    angles = 2 * math.pi * places.double()[:, None] / wavelengths
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def track_codes(tokens: int, channels: int, window_bins: int) -> Float[Tensor, "tokens channels"]:
    """Codes of the tokens of both segments laid end to end; each stands for its centre.

    Parameters
    ----------
    tokens
        Of both segments together.
    channels
        A multiple of 4.
    window_bins
        Bins of a segment.
    """
    centres = (torch.arange(tokens, dtype=torch.float64) + 0.5) * 2 * window_bins / tokens
    in_y = centres >= window_bins
    code = place_code(centres - window_bins * in_y, channels // 2, window_bins)
    halves = torch.cat([code * ~in_y[:, None], code * in_y[:, None]], dim=1)
    return (TRACK_AMPLITUDE * halves).to(torch.get_default_dtype())


def map_codes(channels: int, window_bins: int) -> Float[Tensor, "patches channels"]:
    """Codes of the 2 x 2 patches of a window, by row; each stands for its centre.

    Parameters
    ----------
    channels
        A multiple of 4: half for the row (x segment), half for the column (y segment).
    window_bins
        Bins of a window's side; even.
    """
    side = window_bins // 2
    centres = 2 * torch.arange(side, dtype=torch.float64) + 1
    code = place_code(centres, channels // 2, window_bins)
    rows = code[:, None, :].expand(side, side, -1)
    columns = code[None, :, :].expand(side, side, -1)
    return (MAP_AMPLITUDE * torch.cat([rows, columns], dim=2).flatten(0, 1)).to(torch.get_default_dtype())
