"""Where windows may lie: inside a chromosome, inside one block of the split, off the excluded regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..genome import Binning, BlockSplit, ChromSplit, Interval, RandomSplit
from ..progress import track
from .cutter import WindowCutter
from .quality import QualityFilter, WindowStatistics, window_statistics
from .store import RegionStore

__all__ = ["Block", "Placement"]

_AT_ONCE = 1024
_CLIP = 255.0  # contacts are clipped there before a window is judged, as before a model sees it


@dataclass(frozen=True)
class Block:
    """Whole bins first to last - 1 of a chromosome, all of one split."""

    split: str
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """Geometry of windows on a store.

    Parameters
    ----------
    store, resolution, window_bins
        The layer, and the side of a window in bins.
    split
        Which chromosomes or blocks are for training, validation and test; a window, from the start of its
        first segment to the end of its last, lies in one block. Windows that are dealt at random are placed
        for training until all of them are known.
    exclude
        Regions whose bins no window may hold.
    """

    store: RegionStore
    resolution: int
    window_bins: int
    split: ChromSplit | BlockSplit | RandomSplit
    exclude: tuple[Interval, ...] = ()
    _clear: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def half(self) -> int:
        """Bins from a window's first to its anchor."""
        return self.window_bins // 2

    @property
    def judged(self) -> bool:
        """Whether there are maps to judge windows by; a store of tracks only has none."""
        return bool(self.store.resolutions)

    def n_bins(self, chrom: str) -> int:
        """Bins of a chromosome, from its length."""
        return Binning(self.store.assembly, self.resolution).n_bins(chrom)

    def inside(self, chrom: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """bool: which windows (anchor bins x <= y) do not stick out of the chromosome."""
        return (x >= self.half) & (y + self.half <= self.n_bins(chrom))

    def blocks(self, chrom: str) -> tuple[Block, ...]:
        """The blocks of a chromosome."""
        length, n_bins = self.store.assembly.length(chrom), self.n_bins(chrom)
        if isinstance(self.split, RandomSplit):
            return (Block("train", 0, n_bins),) if chrom in self.split.chroms else ()
        if isinstance(self.split, ChromSplit):
            name = self.split.of(Interval(chrom, 0, length))
            return () if name is None else (Block(name, 0, n_bins),)
        return tuple(
            Block(
                name,
                -(-block.start // self.resolution),
                n_bins if block.end >= length else block.end // self.resolution,
            )
            for name, block in self.split.blocks
            if block.chrom == chrom
        )

    def split_of(self, chrom: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Name of the split that holds each window whole, "" where none does; anchor bins x <= y."""
        found = np.full(len(x), "", dtype="<U5")
        for block in reversed(self.blocks(chrom)):
            found[(x - self.half >= block.first) & (y + self.half <= block.last)] = block.split
        return found

    def clear(self, chrom: str) -> np.ndarray:
        """bool by anchor bin: a segment around it holds no excluded base; False where it sticks out."""
        if chrom not in self._clear:
            n_bins = self.n_bins(chrom)
            bad = np.zeros(n_bins + 1, np.int64)
            for region in self.exclude:
                if region.chrom == chrom:
                    bad[region.start // self.resolution + 1 : -(-region.end // self.resolution) + 1] = 1
            before = np.cumsum(bad)
            clear = np.zeros(n_bins, np.bool_)
            anchors = np.arange(self.half, n_bins - self.half + 1)
            clear[anchors] = before[anchors + self.half] == before[anchors - self.half]
            self._clear[chrom] = clear
        return self._clear[chrom]

    def anchors(self, chrom: str, split: str, distance: int) -> np.ndarray:
        """Every x for which the window (x, x + distance) lies in `split` and off the excluded regions."""
        clear = self.clear(chrom)
        pieces = [
            np.arange(block.first + self.half, min(block.last - self.half, len(clear) - 1) - distance + 1)
            for block in self.blocks(chrom)
            if block.split == split
        ]
        x = np.concatenate([np.empty(0, np.int64), *pieces]).astype(np.int64)
        return x[clear[x] & clear[x + distance]]

    @cached_property
    def cutter(self) -> WindowCutter:
        """Cuts the maps of these windows: default balancing vector, scale of counts."""
        return WindowCutter(self.store, self.resolution, window_bins=self.window_bins)

    def statistics(self, chrom: str, x: np.ndarray, y: np.ndarray, quiet: bool = False) -> WindowStatistics:
        """Statistics of windows of one chromosome (see :mod:`quality`)."""
        starts: Sequence[int] = range(0, len(x), _AT_ONCE)
        found = []
        for start in starts if quiet else track(starts, f"judging windows of {chrom}", unit="batches"):
            part = slice(start, start + _AT_ONCE)
            maps = self.cutter.cut((chrom,), np.zeros(len(x[part]), np.int64), x[part], y[part]).maps
            found.append(window_statistics(np.minimum(maps, _CLIP, out=maps)))
        return WindowStatistics(
            *(
                np.concatenate([np.empty(0), *(getattr(one, name) for one in found)])
                for name in ("nonzero", "centre", "corner")
            )
        )

    def passes(self, quality: QualityFilter, chrom: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """bool: which windows pass every rule of `quality`."""
        failed = quality.failures(self.statistics(chrom, x, y, quiet=True))
        passed = np.ones(len(x), np.bool_)
        for failures in failed.values():
            passed &= ~failures
        return passed
