"""A store in which one chromosome's contacts are others: for what is scored on a map that is in no file."""

from __future__ import annotations

from dataclasses import replace

from ..io.pixels import Pixels
from .layers import ContactLayer
from .layouts import pack_band
from .store import RegionStore

__all__ = ["ReplacedContacts", "replaced_layer"]


def replaced_layer(layer: ContactLayer, pixels: Pixels, n_diagonals: int) -> ContactLayer:
    """A layer of other contacts with the weights and scales of `layer`.

    Parameters
    ----------
    layer
        Where bins, weights and scales come from.
    pixels
        The contacts; those at `n_diagonals` bins and further are left out.
    n_diagonals
        Distances the layer holds, the main diagonal included.
    """
    return replace(layer, layout=pack_band(pixels, n_diagonals))


class ReplacedContacts(RegionStore):
    """A store as it is, but for one layer of one chromosome, which is held in memory.

    Parameters
    ----------
    store
        The store.
    layer
        Handed out for its chromosome at its resolution.
    """

    def __init__(self, store: RegionStore, layer: ContactLayer) -> None:
        super().__init__(store.path, store.manifest)
        self._layer = layer

    def __reduce__(self) -> tuple[object, ...]:
        return (ReplacedContacts, (RegionStore(self.path, self.manifest), self._layer))

    def layer(self, chrom: str, resolution: int) -> ContactLayer:
        """Contacts of one chromosome at one resolution."""
        if (self.require(chrom), resolution) == (self._layer.chrom, self._layer.resolution):
            return self._layer
        return super().layer(chrom, resolution)
