"""What a stored map holds at each distance: the expectation that windows are held against.

The mean over a band as it lies in the store, in one pass; `evaluation.expected` does the same for pixels
from anywhere, with more choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor

from .cutter import WindowCutter
from .layouts import FAR_LOOKUP, Band
from .placed import PlacedTensors

__all__ = ["ExpectedWindows", "expected_of_band"]


class ExpectedWindows:
    """What windows would hold if contacts depended on nothing but distance, chromosome by chromosome.

    It is worked out when the first batch asks, for all chromosomes at once.

    Parameters
    ----------
    cutters
        One for each store; they say how contacts are balanced and scaled.
    chromosomes
        What windows' chromosomes index.
    pairs
        Store and chromosome of all windows there may be, int (pairs, 2).
    """

    def __init__(
        self, cutters: Sequence[WindowCutter], chromosomes: Sequence[str], pairs: np.ndarray
    ) -> None:
        self.cutters, self.chromosomes, self.pairs = tuple(cutters), tuple(chromosomes), pairs
        self._by_distance: Tensor | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_by_distance": None}  # a worker works it out where it is

    def diagonals(self, placed: PlacedTensors) -> Float[Tensor, "batch diagonals"]:
        """Expected contacts of each diagonal of each window, from its lower left corner to its upper right.

        Entry (a, b) of a window lies on diagonal b - a + bins - 1; 0 beyond what is stored.
        """
        device = placed.rows.device
        if self._by_distance is None or self._by_distance.device != device:
            self._by_distance = torch.from_numpy(self._learn()).to(device)
        side = self.cutters[0].window_bins
        steps = torch.arange(1 - side, side, device=device)
        backwards = 1 - 2 * placed.flipped.long()  # both axes the other way round
        distance = ((placed.columns - placed.rows)[:, None] + backwards[:, None] * steps).abs()
        longest = self._by_distance.shape[-1] - 1  # of which nothing is stored
        return self._by_distance[placed.store[:, None], placed.chrom[:, None], distance.clamp(max=longest)]

    def _learn(self) -> np.ndarray:
        found = {}
        for store, chrom in self.pairs.tolist():
            contacts = self.cutters[store].chromosome(self.chromosomes[chrom]).contacts
            assert contacts is not None
            found[store, chrom] = expected_of_band(contacts.band, contacts.weight)
        longest = max(len(expected) for expected in found.values())
        table = np.zeros((len(self.cutters), len(self.chromosomes), longest + 1), np.float32)
        for place, expected in found.items():
            # No entry of a window can lie where nothing is valid.
            table[place][: len(expected)] = np.where(np.isfinite(expected), expected, 0)
        return table


def expected_of_band(band: Band, weight: np.ndarray) -> np.ndarray:
    """Mean balanced value of each stored diagonal, over all pixels whose two bins are valid.

    Parameters
    ----------
    band
        Raw contacts of a chromosome.
    weight
        Multiplicative vector, float (n_bins,), NaN at masked bins.

    Returns
    -------
    numpy.ndarray
        float64 (n_diagonals,); NaN where a diagonal has no valid pixel.
    """
    total, pixels = _sums(band.near, band.far, np.asarray(weight, np.float64))
    width = band.n_diagonals
    row, diagonal = np.divmod(band.overflow_keys, width)
    factor = weight[row] * weight[row + diagonal]
    known = np.isfinite(factor)
    # The band itself gave these pixels the marker's value.
    excess = (band.overflow_counts.astype(np.float64) - FAR_LOOKUP) * factor
    np.add.at(total, diagonal[known], excess[known])
    return np.divide(total, pixels, out=np.full(width, np.nan), where=pixels > 0)


@njit(cache=True, nogil=True)
def _sums(near: Any, far: Any, weight: Any) -> Any:
    n_bins, split = near.shape
    width = split + far.shape[1]
    total, pixels = np.zeros(width), np.zeros(width)
    for i in range(n_bins):
        if np.isnan(weight[i]):
            continue
        for d in range(min(width, n_bins - i)):
            factor = weight[i] * weight[i + d]
            if np.isnan(factor):
                continue
            pixels[d] += 1
            total[d] += factor * (near[i, d] if d < split else far[i, d - split])
    return total, pixels
