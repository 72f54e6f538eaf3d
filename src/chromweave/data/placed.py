"""Where and how the windows of a batch are cut, and the windows as they come out of a store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .augmentations import Changes

__all__ = ["CutTensors", "PlacedTensors", "PlacedWindows"]


@dataclass(frozen=True)
class PlacedWindows:
    """Where and how the windows of a batch are cut; arrays of one value for each.

    Parameters
    ----------
    store, chrom
        Indices.
    x, y
        int64: anchor bins, jittered.
    label
        float32: targets.
    swapped
        bool: rows are to be the y segment.
    changes
        What happens while they are cut.
    """

    store: np.ndarray
    chrom: np.ndarray
    x: np.ndarray
    y: np.ndarray
    label: np.ndarray
    swapped: np.ndarray
    changes: Changes

    def rows_and_columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Anchor bins of the maps' rows and of their columns."""
        return np.where(self.swapped, self.y, self.x), np.where(self.swapped, self.x, self.y)

    def on(self, device: torch.device) -> PlacedTensors:
        """The same on a device, in one copy that does not wait for what the device is at."""
        changes = self.changes
        integers = (
            self.store, self.chrom, self.x, self.y, *self.rows_and_columns(), changes.flipped,
            changes.keys.view(np.int64),
        )  # fmt: skip
        floats = (changes.kept, self.label.astype(np.float64))
        packed = torch.from_numpy(
            np.stack([*(one.astype(np.int64) for one in integers), *(one.view(np.int64) for one in floats)])
        )
        if device.type == "cuda":
            packed = packed.pin_memory()
        store, chrom, x, y, rows, columns, flipped, keys, kept, label = packed.to(device, non_blocking=True)
        return PlacedTensors(
            store, chrom, x, y, rows, columns, flipped.bool(), keys,
            kept.view(torch.float64), label.view(torch.float64).float(),
        )  # fmt: skip


@dataclass(frozen=True)
class PlacedTensors:
    """:class:`PlacedWindows` on a device; `keys` are the bits of unsigned numbers."""

    store: Int[Tensor, " batch"]
    chrom: Int[Tensor, " batch"]
    x: Int[Tensor, " batch"]
    y: Int[Tensor, " batch"]
    rows: Int[Tensor, " batch"]
    columns: Int[Tensor, " batch"]
    flipped: Bool[Tensor, " batch"]
    keys: Int[Tensor, " batch"]
    kept: Float[Tensor, " batch"]
    label: Float[Tensor, " batch"]


@dataclass(frozen=True)
class CutTensors:
    """Windows as they are in the store (see :class:`CutWindows`), as tensors."""

    maps: Float[Tensor, "batch bins bins"]
    mask: Bool[Tensor, "batch bins bins"]
    tracks: Float[Tensor, "batch positions tracks"]
    track_mask: Bool[Tensor, "batch positions tracks"]
