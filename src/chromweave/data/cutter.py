"""Cutting batches of windows from a store: balanced maps and both track segments, straight from the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit

from ..errors import ConfigError, DataError, ResolutionError
from ..genome import Binning
from .augmentations import Changes, thinned
from .layers import TRACK_WIDTH
from .layouts import FAR_LOOKUP, Band
from .store import RegionStore

__all__ = ["CutChromosome", "CutContacts", "CutWindows", "WindowCutter"]

_RAW = "raw"


@dataclass(frozen=True)
class CutWindows:
    """Windows as they are in the store.

    Parameters
    ----------
    maps
        float32 (windows, bins, bins): contacts, rows = x segment, columns = y segment; 0 where not `mask`.
    mask
        bool, like `maps`: both bins are valid and the pixel is stored.
    tracks
        float32 (windows, positions, tracks): 100 bp means, x then y segment; 0 where not `track_mask`.
    track_mask
        bool, like `tracks`: the track has data there (it has none behind the end of a short last bin).
    """

    maps: np.ndarray
    mask: np.ndarray
    tracks: np.ndarray
    track_mask: np.ndarray


@dataclass(frozen=True)
class WindowCutter:
    """Cuts windows around anchor pixels (x, y): rows [x - h, x + h), columns [y - h, y + h), h = half a side.

    The geometry of MIX-HIC: the anchor pixel has index (h, h). It pickles with its store.

    Parameters
    ----------
    store
        The store.
    resolution
        A band layer of it, bp.
    tracks
        Names of tracks, in the order wanted.
    window_bins
        Side of a window, bins; even.
    weight
        Balancing vector, ``"default"``, or ``"raw"`` for raw counts (bins masked by the default vector).
    scaled
        Bring balanced values to the scale of counts, chromosome by chromosome.
    contacts
        Read contact maps. Without, every map is 0 and masked, and the store needs no contacts.

    Raises
    ------
    ConfigError
        An odd or non-positive window.
    ResolutionError
        No such layer, or one that is no band (with `contacts`).
    DataError
        No such track.
    """

    store: RegionStore
    resolution: int
    tracks: tuple[str, ...] = ()
    window_bins: int = 50
    weight: str = "default"
    scaled: bool = True
    contacts: bool = True
    _ready: dict[str, CutChromosome] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.window_bins <= 0 or self.window_bins % 2:
            raise ConfigError(f"a window has an even, positive number of bins, not {self.window_bins}.")
        if self.contacts:
            self._require_band()
        elif self.resolution <= 0:
            raise ConfigError(f"resolution must be a positive number of bp, not {self.resolution}.")
        if self.resolution % TRACK_WIDTH and self.tracks:
            raise ConfigError(
                f"tracks are stored in bins of {TRACK_WIDTH} bp; {self.resolution} is no multiple of that."
            )
        for name in self.tracks:
            self.store.track(name, self.store.chromosomes[0])

    def _require_band(self) -> None:
        if self.resolution not in self.store.resolutions:
            self.store.default_weight(self.resolution)  # the store's own error
        if self.store.manifest["contacts"][str(self.resolution)]["layout"] != Band.name:
            raise ResolutionError(
                f"{self.store.path}: windows are cut from band layers (10 kb and finer), "
                f"and that of {self.resolution:,} bp holds every distance."
            )

    def __reduce__(self) -> tuple[object, ...]:
        geometry = (self.store, self.resolution, self.tracks, self.window_bins)
        return (WindowCutter, (*geometry, self.weight, self.scaled, self.contacts))

    @property
    def positions(self) -> int:
        """Track positions of a window: two segments of `window_bins` bins, in steps of 100 bp."""
        return 2 * self.window_bins * self.resolution // TRACK_WIDTH

    def cut(
        self,
        chroms: Sequence[str],
        chrom: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        changes: Changes | None = None,
    ) -> CutWindows:
        """Cut a batch.

        Parameters
        ----------
        chroms
            Names of chromosomes.
        chrom
            Index into `chroms` of each window.
        x, y
            Anchor bins of each window.
        changes
            Augmentations; none if not given.

        Raises
        ------
        DataError
            A window sticks out of its chromosome, or counts that are no integers are to be thinned.
        ChromosomeError, WeightError
            Not in the store.
        """
        chrom, x, y = (np.ascontiguousarray(values, np.int64) for values in (chrom, x, y))
        side, n = self.window_bins, len(x)
        changes = changes or Changes.none(n)
        blank = np.empty if self.contacts else np.zeros
        maps = blank((n, side, side), np.float32)
        mask = blank((n, side, side), np.bool_)
        tracks = np.empty((n, self.positions, len(self.tracks)), np.float32)
        track_mask = np.empty(tracks.shape, np.bool_)
        starts = (np.stack([x, y]) - side // 2) * self.resolution // TRACK_WIDTH
        for index in np.unique(chrom):
            rows = np.flatnonzero(chrom == index)
            here = self.chromosome(chroms[index])
            here.require_inside(x[rows], y[rows], side // 2)
            here.require_countable(changes)
            if here.contacts is not None:
                band = here.contacts.band
                _cut_maps(
                    band.near,
                    band.far,
                    band.overflow_keys,
                    band.overflow_counts,
                    here.contacts.weight,
                    x,
                    y,
                    changes.flipped,
                    changes.kept,
                    changes.keys,
                    rows,
                    maps,
                    mask,
                )
            for column, stored in enumerate(here.tracks):
                half = stored.dtype == np.float16
                _cut_track(
                    stored.view(np.uint16) if half else stored,
                    _HALF_FLOATS if half else None,
                    starts,
                    changes.flipped,
                    rows,
                    column,
                    tracks,
                    track_mask,
                )
        return CutWindows(maps, mask, tracks, track_mask)

    def chromosome(self, chrom: str) -> CutChromosome:
        """What is needed of one chromosome.

        Raises
        ------
        ChromosomeError, WeightError
            Not in the store.
        """
        if chrom not in self._ready:
            self._ready[chrom] = self._prepare(chrom)
        return self._ready[chrom]

    def _prepare(self, chrom: str) -> CutChromosome:
        chrom = self.store.require(chrom)
        return CutChromosome(
            name=f"{self.store.path}: {chrom}",
            n_bins=Binning(self.store.assembly, self.resolution).n_bins(chrom),
            contacts=self._contacts(chrom) if self.contacts else None,
            tracks=tuple(np.asarray(self.store.track(name, chrom).mean) for name in self.tracks),
        )

    def _contacts(self, chrom: str) -> CutContacts:
        layer = self.store.layer(chrom, self.resolution)
        band = layer.layout
        assert isinstance(band, Band)
        if self.weight == _RAW:
            weight, scale = np.where(layer.valid(), 1.0, np.nan), 1.0
        else:
            weight, scale = layer.weight(self.weight), layer.scale(self.weight) if self.scaled else 1.0
        return CutContacts(band, np.asarray(weight * np.sqrt(scale)))


@dataclass(frozen=True)
class CutContacts:
    """What maps of one chromosome are cut from.

    Parameters
    ----------
    band
        The contacts.
    weight
        float64 (n_bins,): balanced contacts of i and j are counts times the weights of both; NaN if masked.
    """

    band: Band
    weight: np.ndarray


@dataclass(frozen=True)
class CutChromosome:
    """What windows of one chromosome are cut from.

    Parameters
    ----------
    name
        Store and chromosome, for messages.
    n_bins
        Bins, from the chromosome's length.
    contacts
        None where no map is read.
    tracks
        float16 or float32: 100 bp means of each track, NaN where there is no data.
    """

    name: str
    n_bins: int
    contacts: CutContacts | None
    tracks: tuple[np.ndarray, ...]

    def require_inside(self, x: np.ndarray, y: np.ndarray, half: int) -> None:
        """Raise DataError if a window around one of the anchors sticks out of the chromosome."""
        low, high = np.minimum(x, y), np.maximum(x, y)
        outside = np.flatnonzero((low < half) | (high + half > self.n_bins))
        if len(outside):
            first = outside[0]
            raise DataError(
                f"{self.name}: the window at bins ({x[first]}, {y[first]}) sticks out of the chromosome; "
                f"anchors from {half} to {self.n_bins - half} are possible. Make the window table again."
            )

    def require_countable(self, changes: Changes) -> None:
        """Raise DataError if contacts are to be thinned that are no counts."""
        if self.contacts is None:
            return
        if self.contacts.band.near.dtype.kind == "f" and (changes.kept < 1).any():
            raise DataError(
                f"{self.name}: the contacts are no integers, and only counts can be thinned; "
                "leave out the augmentation 'thin', or build the store from counts."
            )


_HALF_FLOATS = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@njit(cache=True, nogil=True)
def _far_count(keys: Any, counts: Any, key: int) -> Any:
    return counts[np.searchsorted(keys, key)]


@njit(cache=True, nogil=True)
def _cut_maps(
    near: Any,
    far: Any,
    keys: Any,
    counts: Any,
    weight: Any,
    x: Any,
    y: Any,
    flipped: Any,
    kept: Any,
    draws: Any,
    rows: Any,
    maps: Any,
    mask: Any,
) -> None:
    """Balanced windows of one chromosome, into rows `rows` of `maps` and `mask`."""
    side = maps.shape[1]
    half = side // 2
    split = near.shape[1]
    width = split + far.shape[1]
    for k in rows:
        values, valid = maps[k], mask[k]
        thin = kept[k] < 1
        first, step = (half - 1, -1) if flipped[k] else (-half, 1)
        for a in range(side):
            i = x[k] + first + a * step
            for b in range(side):
                j = y[k] + first + b * step
                low, d = (i, j - i) if j >= i else (j, i - j)
                factor = weight[i] * weight[j]
                if d >= width or np.isnan(factor):
                    values[a, b] = 0
                    valid[a, b] = False
                    continue
                valid[a, b] = True
                if d < split:
                    count = np.float64(near[low, d])
                else:
                    count = np.float64(far[low, d - split])
                    if count == FAR_LOOKUP:
                        count = np.float64(_far_count(keys, counts, low * width + d))
                if thin and count > 0:
                    count = thinned(int(count), kept[k], draws[k], low * width + d) / kept[k]
                values[a, b] = count * factor


@njit(cache=True, nogil=True)
def _cut_track(
    stored: Any, table: Any, starts: Any, flipped: Any, rows: Any, column: int, tracks: Any, track_mask: Any
) -> None:
    """Both segments of a track into column `column`; the bits of float16 index a table of float32 values.

    numba converts float16 slowly, and a table of all 65,536 values stays in the processor's cache.
    """
    segment = tracks.shape[1] // 2
    for k in rows:
        for part in range(2):
            values = tracks[k, part * segment : (part + 1) * segment]
            valid = track_mask[k, part * segment : (part + 1) * segment]
            here = stored[starts[part, k] : starts[part, k] + segment]
            first, step = (segment - 1, -1) if flipped[k] else (0, 1)
            for p in range(len(here)):
                value = here[p] if table is None else table[here[p]]
                known = value == value
                values[first + p * step, column] = value if known else np.float32(0)
                valid[first + p * step, column] = known
            for p in range(len(here), segment):
                values[first + p * step, column] = 0
                valid[first + p * step, column] = False
