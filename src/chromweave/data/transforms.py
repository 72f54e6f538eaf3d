"""From stored contacts and signal to what a model sees. A transform is saved with the weights it served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ConfigError

__all__ = ["WindowTransform"]

_LEAST_SPREAD = np.float32(0.01)  # a flat window stays flat


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
        as most values of a clipped map lie within a hundredth of each other.
    clip
        Contacts.
    signal
        ``"log2"``: log2(value + 1), negative values as 0. ``"raw"``: as it is.
    augmentations
        Changes drawn anew for each training window in each epoch; ``"swap"`` exchanges x and y (transposed
        map, segments exchanged). None by default, and never for validation or test.
    """

    tracks: tuple[str, ...] = ()
    weight: str = "default"
    scaled: bool = True
    contacts: Literal["clip", "log1p", "standard"] = "clip"
    clip: float = 255.0
    signal: Literal["log2", "raw"] = "log2"
    augmentations: tuple[Literal["swap"], ...] = ()

    def __post_init__(self) -> None:
        if self.clip <= 0:
            raise ConfigError(f"clip must be a positive number of contacts, not {self.clip}.")
        if len(set(self.tracks)) != len(self.tracks):
            raise ConfigError(f"a track is named twice in {', '.join(self.tracks)}.")

    def of_contacts(self, maps: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Transformed contacts, float32 (windows, bins, bins).

        Parameters
        ----------
        maps
            Balanced contacts, 0 where unknown.
        mask
            Known entries, bool; all if not given. Unknown ones stay 0.
        """
        if self.contacts == "standard":
            return _standardised(np.log1p(maps), np.ones(maps.shape, np.bool_) if mask is None else mask)
        clipped = np.minimum(maps, np.float32(self.clip))
        if self.contacts == "clip":
            clipped /= np.float32(self.clip)
            return clipped
        np.log1p(clipped, out=clipped)
        clipped /= np.float32(np.log1p(self.clip))
        return clipped

    def of_signal(self, tracks: np.ndarray) -> np.ndarray:
        """Transformed signal, float32; 0 stays 0."""
        if self.signal == "raw":
            return tracks
        positive = np.maximum(tracks, np.float32(0))
        positive += np.float32(1)
        return np.log2(positive, out=positive)


def _standardised(maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Each window's known entries with mean 0 and deviation 1; 0 elsewhere, and where all are equal."""
    known = np.maximum(mask.sum(axis=(-2, -1), keepdims=True), 1).astype(np.float32)
    mean = np.where(mask, maps, 0).sum(axis=(-2, -1), keepdims=True) / known
    centred = np.where(mask, maps - mean, np.float32(0))
    spread = np.sqrt((centred**2).sum(axis=(-2, -1), keepdims=True) / known)
    return np.asarray(centred / np.maximum(spread, _LEAST_SPREAD), dtype=np.float32)
