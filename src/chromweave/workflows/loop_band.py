"""The band of a map in which loops lie, with what is expected at each distance of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..analysis.enrichment import EnrichmentConfig
from ..data.layers import ContactLayer
from ..evaluation.expected import PixelTable, expected_by_distance

__all__ = ["NEAREST", "Band", "read_band"]

NEAREST = 2
"""Bins: what lies nearer holds more of ligation than of folding."""


@dataclass(frozen=True)
class Band:
    """Pixels up to a distance.

    Parameters
    ----------
    pixels
        Upper triangle, raw counts.
    expected
        Mean balanced value at each distance, never rising, float64 (distances,).
    """

    pixels: PixelTable
    expected: np.ndarray

    @property
    def n_diagonals(self) -> int:
        """Distances it holds, 0 included."""
        return len(self.expected)


def read_band(layer: ContactLayer, weight: str, furthest: int, shapes: EnrichmentConfig) -> Band:
    """Read as far as loops and the backgrounds around them reach, and the map does.

    Parameters
    ----------
    layer, weight
        The map, and its balancing vector.
    furthest
        Bins between the anchors of the longest loop.
    shapes
        What surrounds a peak.
    """
    reach = min(furthest + 2 * shapes.background_radius + 1, layer.n_bins, layer.n_diagonals or layer.n_bins)
    pixels = layer.pixels(reach * layer.resolution)
    expected = expected_by_distance(
        pixels, reach, weight=layer.weight(weight), valid=layer.valid(weight), first=NEAREST, monotone=True
    )
    return Band(pixels, expected)
