"""From stored contacts and signal to what a model sees. A transform is saved with the weights it served."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import ConfigError

__all__ = ["Augmentation", "WindowTransform", "refuse_linear"]

Augmentation = Literal["swap", "flip", "jitter", "thin"]

_LEAST_SPREAD = 0.01  # a flat window stays flat


@dataclass(frozen=True)
class WindowTransform:
    """How windows are turned into model input; a plain config that travels with a model.

    Parameters
    ----------
    tracks
        Names of tracks, in the model's order.
    weight
        Balancing vector, ``"default"`` for the store's, ``"raw"`` for raw counts.
    scaled
        Bring balanced values to the scale of counts, without which a clip at 255 means nothing for ICE.
    contacts
        ``"clip"``: min(value, `clip`) / `clip`, as MIX-HIC does. ``"log1p"``: log(1 + value) after the same
        clip, over log(1 + `clip`). Both lie in [0, 1]. ``"standard"``: log(1 + value) less its mean over the
        window's known entries, over their standard deviation; what a small model can learn from few windows,
        as most values of a clipped map lie within a hundredth of each other. ``"observed_expected"``:
        log((value + 1) / (expected + 1)), where the chromosome's mean at the same distance is expected; what
        is left of a map when the decay with distance, the same in every window, is taken away.
        ``"linear"``: contacts as they are, which is what predictions are held against.
    clip
        Contacts.
    signal
        ``"log2"``: log2(value + 1), negative values as 0. ``"raw"``: as it is.
    augmentations
        Changes drawn anew for each training window in each epoch; none by default, and never for validation
        or test. ``"swap"`` exchanges x and y in every second window (transposed map, segments exchanged).
        ``"flip"`` reads every second window from the other strand: rows and columns backwards, and each
        track segment. ``"jitter"`` moves the anchor, on the diagonal along it; a label that speaks of the
        anchor pixel no longer holds then, so it is for pre-training. ``"thin"`` keeps each contact with one
        chance for the window, and scales what is left up to the expectation it had.
    jitter_bins
        Most bins by which ``"jitter"`` moves each anchor; all moves are equally likely.
    thin_least
        ``"thin"`` draws the kept part uniformly from here to 1.
    """

    tracks: tuple[str, ...] = ()
    weight: str = "default"
    scaled: bool = True
    contacts: Literal["clip", "log1p", "standard", "observed_expected", "linear"] = "clip"
    clip: float = 255.0
    signal: Literal["log2", "raw"] = "log2"
    augmentations: tuple[Augmentation, ...] = ()
    jitter_bins: int = 6
    thin_least: float = 0.25

    def __post_init__(self) -> None:
        if self.clip <= 0:
            raise ConfigError(f"clip must be a positive number of contacts, not {self.clip}.")
        if len(set(self.tracks)) != len(self.tracks):
            raise ConfigError(f"a track is named twice in {', '.join(self.tracks)}.")
        unknown = sorted(set(self.augmentations) - set(get_args(Augmentation)))
        if unknown:
            raise ConfigError(
                f"no augmentation {', '.join(unknown)}; there are {', '.join(get_args(Augmentation))}."
            )
        if len(set(self.augmentations)) != len(self.augmentations):
            raise ConfigError(f"an augmentation is named twice in {', '.join(self.augmentations)}.")
        if self.jitter_bins < 0:
            raise ConfigError(f"jitter_bins must be at least 0, not {self.jitter_bins}.")
        if not 0 < self.thin_least <= 1:
            raise ConfigError(f"thin_least must lie above 0 and be at most 1, not {self.thin_least}.")

    def of_contacts(
        self,
        maps: Float[Tensor, "*windows bins bins"],
        mask: Bool[Tensor, "*windows bins bins"] | None = None,
        expected: Float[Tensor, "*windows diagonals"] | None = None,
    ) -> Float[Tensor, "*windows bins bins"]:
        """Transformed contacts, on the device where they are.

        Parameters
        ----------
        maps
            Balanced contacts, 0 where unknown.
        mask
            Known entries; all if not given. Unknown ones stay 0.
        expected
            For ``"observed_expected"``: expected contacts of each window's diagonals, from its lower left
            corner to its upper right (2 bins - 1 of them).

        Raises
        ------
        ConfigError
            There is nothing to hold the contacts against.
        """
        if self.contacts == "linear":
            return maps
        if self.contacts == "observed_expected":
            if expected is None:
                raise ConfigError("contacts over expected ones need the expected ones.")
            over = maps.log1p().sub_(_spread_out(expected.log1p(), maps.shape[-1]))
            return over if mask is None else over.mul_(mask)
        if self.contacts == "standard":
            return _standardised(
                maps.log1p(), torch.ones_like(maps, dtype=torch.bool) if mask is None else mask
            )
        clipped = maps.clamp(max=self.clip)
        if self.contacts == "clip":
            return clipped.div_(self.clip)
        return clipped.log1p_().div_(math.log1p(self.clip))

    def of_signal(
        self, tracks: Float[Tensor, "*windows positions tracks"]
    ) -> Float[Tensor, "*windows positions tracks"]:
        """Transformed signal; 0 stays 0."""
        if self.signal == "raw":
            return tracks
        return tracks.clamp(min=0).add_(1).log2_()


def refuse_linear(transform: WindowTransform) -> None:
    """Raise ConfigError if contacts stay as they are, which no model can learn from."""
    if transform.contacts == "linear":
        raise ConfigError(
            "contacts: linear is for holding predictions against, not for models; take observed_expected, "
            "clip, log1p or standard."
        )


def _spread_out(diagonals: Tensor, side: int) -> Tensor:
    """Values of diagonals, (*, 2 side - 1), as matrices that hold them, (*, side, side)."""
    place = torch.arange(side, device=diagonals.device)
    return diagonals[..., place - place[:, None] + side - 1]


def _standardised(maps: Tensor, mask: Tensor) -> Tensor:
    """Each window's known entries with mean 0 and deviation 1; 0 elsewhere, and where all are equal.

    Overwrites `maps`.
    """
    unknown = ~mask
    known = mask.sum((-2, -1), keepdim=True).clamp_(min=1)
    mean = maps.masked_fill_(unknown, 0).sum((-2, -1), keepdim=True) / known
    centred = maps.sub_(mean).masked_fill_(unknown, 0)
    spread = (centred.square().sum((-2, -1), keepdim=True) / known).sqrt_()
    return centred.div_(spread.clamp_(min=_LEAST_SPREAD))
