"""Signal to be predicted: a track's mean over each bin of a window's two segments."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["LEAST_KNOWN", "BinnedTargets", "binned_targets"]

LEAST_KNOWN = 0.5
"""Part of a bin's 100 bp steps that must have data for the bin to have a target, unless said otherwise."""


@dataclass(frozen=True)
class BinnedTargets:
    """Means of a track over the bins of windows.

    Parameters
    ----------
    value
        float32 (batch, places): rows' bins, then columns' bins; 0 where not `known`.
    known
        bool, like `value`: enough of the bin's steps have data.
    """

    value: Float[Tensor, "batch places"]
    known: Bool[Tensor, "batch places"]


def binned_targets(
    track: Float[Tensor, "batch positions"],
    mask: Bool[Tensor, "batch positions"],
    places: int,
    least_known: float = LEAST_KNOWN,
) -> BinnedTargets:
    """The mean of each bin over its steps that have data.

    Parameters
    ----------
    track
        100 bp means of both segments, 0 where not `mask`.
    mask
        Steps with data; those behind the end of a short last bin have none.
    places
        Bins of both segments.
    least_known
        Part of a bin's steps that must have data, above 0 and at most 1.
    """
    steps = track.shape[1] // places
    known = mask.reshape(-1, places, steps).sum(-1)
    enough = known >= max(least_known * steps, 1)
    mean = track.reshape(-1, places, steps).sum(-1) / known.clamp(min=1)
    return BinnedTargets(mean.masked_fill_(~enough, 0), enough)
