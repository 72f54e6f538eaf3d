"""Stores that lie on a device whole: the windows of a batch are gathered there at once by index arithmetic.

A cell line of hg38 at 5 kb takes about half a gigabyte: a byte or two for each pixel of its band, 4 bytes a
bin for the weights, 2 bytes for each track and 100 bp. The batches are those of the same `WindowDataset`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..batch import MapTrackBatch
from .augmentations import FEW, MOST_FEW
from .cutter import CutChromosome
from .dataset import WindowDataset, WindowLoader, WindowSource
from .layers import TRACK_WIDTH
from .layouts import FAR_LOOKUP
from .order import EpochBatches
from .placed import CutTensors, PlacedTensors

__all__ = ["ResidentLoader", "ResidentWindows", "resident_loader"]


class ResidentWindows(WindowSource):
    """The windows of a dataset, gathered from its stores on one device.

    Parameters
    ----------
    dataset
        The windows; only the chromosomes they lie on are put on the device.
    device
        Where to, once the first batch is asked for.

    Raises
    ------
    DataError
        A window sticks out of its chromosome, or counts that are no integers are to be thinned.
    ChromosomeError, WeightError
        Not in the store.
    """

    def __init__(self, dataset: WindowDataset, device: torch.device | str = "cpu") -> None:
        self.windows, self.device = dataset, torch.device(device)
        self._thin = "thin" in dataset.transform.augmentations
        self._chromosomes = dataset.checked_chromosomes()
        self._bands: _Bands | None = None
        self._tracks: _Tracks | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def put_on(self, device: torch.device | str) -> None:
        """Gather on `device` from now on; the stores are copied there when the next batch is asked for."""
        if torch.device(device) != self.device:
            self._bands = self._tracks = None
            self.device = torch.device(device)

    @property
    def nbytes(self) -> int:
        """Bytes that the stores take on the device."""
        bands, tracks = self._arrays()
        return (bands.nbytes if bands is not None else 0) + tracks.values.nbytes

    def batch(self, windows: Sequence[int] | np.ndarray, epoch: int = 0) -> MapTrackBatch:
        """The windows with these numbers as one batch (see :meth:`WindowDataset.batch`)."""
        bands, tracks = self._arrays()
        placed = self.windows.placed(windows, epoch).on(self.device)
        side = self.windows.window_bins
        if bands is None:
            maps = torch.zeros(len(placed.rows), side, side, device=self.device)
            mask = torch.zeros_like(maps, dtype=torch.bool)
        else:
            maps, mask = bands.gather(placed, side, self._thin)
        signal, known = tracks.gather(placed, side)
        return self.windows.assembled(placed, CutTensors(maps, mask, signal, known))

    def _arrays(self) -> tuple[_Bands | None, _Tracks]:
        if self._tracks is None:
            shape = (len(self.windows.cutters), len(self.windows.chromosomes))
            if self.windows.contacts:
                self._bands = _Bands.of(self._chromosomes, shape, self.device)
            self._tracks = _Tracks.of(self._chromosomes, shape, self.windows.resolution, self.device)
        return self._bands, self._tracks


class ResidentLoader(WindowLoader):
    """A :class:`WindowLoader` whose windows are gathered on the device of the process that takes them."""

    def __init__(self, windows: ResidentWindows, batches: EpochBatches) -> None:
        super().__init__(windows, batches)
        self._windows = windows

    def deal(self, rank: int, world: int, device: torch.device) -> None:
        """Hand out the part of process `rank` of `world` from now on, on `device`."""
        super().deal(rank, world, device)
        self._windows.put_on(device)


def resident_loader(
    dataset: WindowDataset,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    drop_last: bool = False,
    store_weights: Sequence[float] | None = None,
) -> ResidentLoader:
    """Batches of a dataset, gathered on the device that :meth:`ResidentLoader.deal` names.

    Parameters as in :func:`loader`; the windows of each batch are the same.
    """
    batches = EpochBatches(
        dataset.sizes,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        drop_last=drop_last,
        store_weights=store_weights,
    )
    return ResidentLoader(ResidentWindows(dataset), batches)


# --- contact maps

Chromosomes = dict[tuple[int, int], CutChromosome]
"""By store and chromosome."""


@dataclass(frozen=True)
class _Bands:
    """The bands of several chromosomes laid end to end.

    Parameters
    ----------
    near, far
        (pixels,): rows of each band's arrays; unsigned counts as the bits of a signed type.
    keys, counts
        (pixels,): overflow, ascending; a key is `key_start` of the chromosome and the band's own key.
    weight
        float32 (bins,).
    near_start, far_start, key_start, weight_start
        int64 (stores, chromosomes): where each chromosome's part begins; 0 for those that are not here.
    split, width
        int64 (stores, chromosomes): near diagonals, and all.
    """

    near: Tensor
    far: Tensor
    keys: Int[Tensor, " over"]
    counts: Tensor
    weight: Float[Tensor, " bins"]
    near_start: Int[Tensor, "stores chromosomes"]
    far_start: Int[Tensor, "stores chromosomes"]
    key_start: Int[Tensor, "stores chromosomes"]
    weight_start: Int[Tensor, "stores chromosomes"]
    split: Int[Tensor, "stores chromosomes"]
    width: Int[Tensor, "stores chromosomes"]

    @classmethod
    def of(cls, chromosomes: Chromosomes, shape: tuple[int, int], device: torch.device) -> _Bands:
        contacts = [one.contacts for one in chromosomes.values() if one.contacts is not None]
        bands = [one.band for one in contacts]
        key_starts = _starts([band.n_bins * band.n_diagonals for band in bands])
        keys = [band.overflow_keys + start for band, start in zip(bands, key_starts, strict=True)]

        def table(values: Sequence[int]) -> Tensor:
            return _table(chromosomes, values, shape, device)

        return cls(
            near=_end_to_end([band.near for band in bands], device),
            far=_end_to_end([band.far for band in bands], device),
            keys=torch.from_numpy(np.concatenate(keys)).to(device),
            counts=_end_to_end([band.overflow_counts for band in bands], device),
            weight=_end_to_end([one.weight.astype(np.float32) for one in contacts], device),
            near_start=table(_starts([band.near.size for band in bands])),
            far_start=table(_starts([band.far.size for band in bands])),
            key_start=table(key_starts),
            weight_start=table(_starts([one.n_bins for one in chromosomes.values()])),
            split=table([band.near.shape[1] for band in bands]),
            width=table([band.n_diagonals for band in bands]),
        )

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def gather(self, placed: PlacedTensors, side: int, thin: bool) -> tuple[Tensor, Tensor]:
        """Balanced contacts and their mask, (batch, side, side) each."""

        def own(table: Tensor) -> Tensor:
            return table[placed.store, placed.chrom][:, None, None]

        steps = torch.arange(side, device=placed.rows.device) - side // 2
        steps = torch.where(placed.flipped[:, None], -1 - steps, steps)
        i, j = (placed.rows[:, None] + steps)[:, :, None], (placed.columns[:, None] + steps)[:, None, :]
        factor = self.weight[own(self.weight_start) + i] * self.weight[own(self.weight_start) + j]
        low, distance, width = torch.minimum(i, j), (i - j).abs(), own(self.width)
        mask = (distance < width) & ~factor.isnan()
        count = self._counts(low, distance, own, width)
        if thin:
            kept = placed.kept[:, None, None]
            count = _thinned(count, kept, placed.keys[:, None, None], low * width + distance) / kept
        return torch.where(mask, count * factor, 0).float(), mask

    def _counts(self, low: Tensor, distance: Tensor, own: Any, width: Tensor) -> Tensor:
        """Raw counts; anything beyond the band."""
        split = own(self.split)
        is_near, inside = distance < split, distance < width
        near_at = own(self.near_start) + low * split + distance
        far_at = own(self.far_start) + low * (width - split) + distance - split
        near = _unsigned(self.near[torch.where(is_near, near_at, 0)])
        far = self.far[torch.where(inside & ~is_near, far_at, 0)]
        count = torch.where(is_near, near, far.to(near.dtype))
        if not len(self.keys):
            return count
        at = torch.searchsorted(self.keys, own(self.key_start) + low * width + distance)
        over = _unsigned(self.counts[at.clamp_(max=len(self.keys) - 1)])
        return torch.where(inside & ~is_near & (far == FAR_LOOKUP), over, count)


def _unsigned(values: Tensor) -> Tensor:
    """int64 of unsigned counts whose bits are those of a signed type; floats as they are."""
    if values.is_floating_point():
        return values
    bits = 8 * values.element_size()
    return values.long() & ((1 << bits) - 1) if bits < 64 else values


# --- tracks


@dataclass(frozen=True)
class _Tracks:
    """The tracks of several chromosomes laid end to end.

    Parameters
    ----------
    values
        float16, or float32 where a store needs it, (steps of 100 bp, tracks); NaN where there is no data, and
        behind the end of a chromosome up to that of its last bin.
    start
        int64 (stores, chromosomes): where each chromosome begins.
    bin_steps
        Steps of a bin.
    """

    values: Float[Tensor, "steps tracks"]
    start: Int[Tensor, "stores chromosomes"]
    bin_steps: int

    @classmethod
    def of(
        cls, chromosomes: Chromosomes, shape: tuple[int, int], resolution: int, device: torch.device
    ) -> _Tracks:
        steps = resolution // TRACK_WIDTH
        starts = _starts([one.n_bins * steps for one in chromosomes.values()])
        several = [one.tracks for one in chromosomes.values()]
        half = all(track.dtype == np.float16 for tracks in several for track in tracks)
        total = sum(one.n_bins * steps for one in chromosomes.values())
        dtype = torch.float16 if half else torch.float32
        values = torch.full((total, len(several[0])), torch.nan, dtype=dtype, device=device)
        for start, tracks in zip(starts, several, strict=True):
            for column, track in enumerate(tracks):
                values[start : start + len(track), column] = torch.from_numpy(np.array(track)).to(device)
        return cls(values, _table(chromosomes, starts, shape, device), steps)

    def gather(self, placed: PlacedTensors, side: int) -> tuple[Tensor, Tensor]:
        """Signal of the rows' and then of the columns' segment, and its mask: (batch, positions, tracks)."""
        segment = side * self.bin_steps
        steps = torch.arange(segment, device=placed.rows.device)
        steps = torch.where(placed.flipped[:, None], segment - 1 - steps, steps)
        anchors = torch.stack([placed.rows, placed.columns], 1) - side // 2
        starts = self.start[placed.store, placed.chrom][:, None] + anchors * self.bin_steps
        found = self.values[(starts[:, :, None] + steps[:, None]).flatten(1)].float()
        known = ~found.isnan()
        return found.masked_fill_(~known, 0), known


# --- arrays end to end


def _starts(sizes: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(sizes).tolist()[:-1]]


def _table(
    chromosomes: Chromosomes, values: Sequence[int], shape: tuple[int, int], device: torch.device
) -> Tensor:
    table = torch.zeros(shape, dtype=torch.int64)
    for (store, chrom), value in zip(chromosomes, values, strict=True):
        table[store, chrom] = value
    return table.to(device)


def _end_to_end(pieces: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """All values of `pieces` in one type; one more, so that an index to nothing is an index."""
    dtype = np.result_type(*pieces)
    signed = np.dtype(f"i{dtype.itemsize}") if dtype.kind == "u" and dtype.itemsize > 1 else dtype
    total = sum(piece.size for piece in pieces)
    flat = torch.zeros(total + 1, dtype=torch.from_numpy(np.empty(0, signed)).dtype, device=device)
    for piece, start in zip(pieces, _starts([piece.size for piece in pieces]), strict=True):
        # Piece by piece: the host holds a copy of one chromosome at a time.
        values = torch.from_numpy(np.array(piece, dtype).reshape(-1).view(signed))
        flat[start : start + piece.size] = values.to(device)
    return flat


# --- thinning: the draws of `augmentations.thinned`, for all pixels of a batch


def _int64(value: int) -> int:
    """The signed number with the bits of an unsigned one."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN, _FIRST, _SECOND = (
    _int64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shift right without the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


def _thinned(count: Tensor, kept: Tensor, keys: Tensor, pixel: Tensor) -> Tensor:
    """How many contacts stay, float64 (see :func:`augmentations.thinned`)."""
    bits = _mixed(keys + pixel * _GOLDEN)
    n, chance = count.double(), torch.minimum(kept, 1 - kept)
    few = _few(n, chance, _shifted(bits, 11).double() * 2.0**-53)
    drawn = torch.where(n * chance <= FEW, few, _many(n, chance, bits))
    return torch.where(kept <= 0.5, drawn, n - drawn)


def _few(n: Tensor, chance: Tensor, uniform: Tensor) -> Tensor:
    """How often the distribution function is passed, in as few steps of the device as there are terms."""
    odds = chance / (1 - chance)
    rising = (n + 1) * odds
    term = (n * torch.log1p(-chance)).exp_()
    below, drawn = term.clone(), torch.zeros_like(n)
    for k in range(1, MOST_FEW + 1):
        drawn += uniform >= below
        term *= torch.add(-odds, rising, alpha=1 / k)  # (n - k + 1) / k * odds
        below += term
    return torch.minimum(drawn, n)


def _many(n: Tensor, chance: Tensor, bits: Tensor) -> Tensor:
    angle = 2 * math.pi * (bits & 0xFFFFFFFF) * 2.0**-32
    normal = (-2 * ((_shifted(bits, 32) + 1.0) * 2.0**-32).log()).sqrt() * angle.cos()
    skew = (1 - 2 * chance) / 6
    spread = (n * chance * (1 - chance) - 1 / 12 - 2 * skew**2).clamp(min=0).sqrt()
    value = (n * chance + spread * normal + skew * (normal**2 - 1) + 0.5).floor()
    return torch.minimum(value.clamp(min=0), n)
