"""Signal tracks of a region, as figures take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.layers import TRACK_WIDTH
from ..data.store import RegionStore
from ..genome import Interval
from ..plot.tracks import SignalTrack

__all__ = ["named_signals", "region_signals"]


def region_signals(
    store: RegionStore, names: Sequence[str], region: Interval, width: int = TRACK_WIDTH
) -> list[SignalTrack]:
    """Stored tracks in all bins that a region touches.

    Parameters
    ----------
    store, names
        Where the tracks are, and which of them.
    region
        What is shown.
    width
        Of a bin, bp; a multiple of the 100 bp that are stored.

    Raises
    ------
    ChromosomeError, DataError
        Not in the store.
    ConfigError
        No such multiple.
    """
    first, last = region.start // width, -(-region.end // width)
    found = []
    for name in names:
        stored = store.track(name, region.chrom)
        mean = stored.mean if width == TRACK_WIDTH else stored.binned(width).mean
        found.append(SignalTrack(name, np.asarray(mean[first:last], np.float64), first * width, width))
    return found


def named_signals(names: Sequence[str], values: np.ndarray, region: Interval) -> list[SignalTrack]:
    """Values at hand, float (100 bp steps that a region touches, tracks), as tracks."""
    start = region.start // TRACK_WIDTH * TRACK_WIDTH
    return [SignalTrack(name, values[:, i], start, TRACK_WIDTH) for i, name in enumerate(names)]
