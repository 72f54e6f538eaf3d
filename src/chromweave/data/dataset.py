"""Windows as batches of tensors: a torch dataset that cuts from stores on the fly.

A batch is fetched with one call for each store, so workers pass whole batches, never single windows.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..batch import MapTrackBatch
from ..errors import ConfigError, DataError
from .cutter import CutWindows, WindowCutter
from .store import RegionStore
from .tables import SPLITS, check_windows, select_split
from .transforms import WindowTransform

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EpochSampler", "WindowDataset", "loader"]

Part = Literal["train", "valid", "test", "predict"]


class WindowDataset(Dataset[MapTrackBatch]):
    """The windows of one split of one or more tables, each cut from its own store.

    Parameters
    ----------
    stores
        One store for each table.
    tables
        Schema `WINDOWS`, made for that store (or for another of the same assembly and resolution).
    transform
        What is done to contacts and signal.
    split
        ``"train"``, ``"valid"`` or ``"test"``, which has to be asked for by name; ``"predict"`` takes all
        rows and hides their labels.
    seed
        Of the augmentations.
    resolution, window_bins
        Geometry of tables made by hand, which do not say (a bare DataFrame of candidates); bp, bins.

    Attributes
    ----------
    chromosomes
        What `MapTrackBatch.chrom` indexes.
    epoch
        Moves the augmentations on; set by :class:`EpochSampler`.

    Raises
    ------
    ConfigError
        Augmentations outside training, an unknown split, or a number of tables other than of stores.
    DataError
        A table and its store do not fit, or no window is in the split.
    """

    def __init__(
        self,
        stores: Sequence[RegionStore],
        tables: Sequence[pd.DataFrame],
        transform: WindowTransform,
        *,
        split: Part = "train",
        seed: int = 0,
        resolution: int | None = None,
        window_bins: int | None = None,
    ) -> None:
        if len(stores) != len(tables) or not stores:
            raise ConfigError(f"one table for each store is needed, not {len(tables)} for {len(stores)}.")
        if transform.augmentations and split != "train":
            raise ConfigError(f"augmentations are for training; the {split} split takes none.")
        self.transform, self.split, self.seed, self.epoch = transform, split, seed, 0
        self._cutters, rows = [], []
        for store, table in zip(stores, tables, strict=True):
            geometry = _geometry(table, store, resolution, window_bins)
            self._cutters.append(_cutter(store, geometry, transform))
            rows.append(_rows(table, split))
        if len({(cutter.window_bins, cutter.resolution) for cutter in self._cutters}) > 1:
            raise DataError("the tables differ in resolution or window size; give those of one geometry.")
        self.chromosomes = tuple(dict.fromkeys(chrom for one in rows for chrom in one["chrom"]))
        self._store = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
        self._chrom = np.array([self.chromosomes.index(chrom) for one in rows for chrom in one["chrom"]], int)
        self._x, self._y, self._label = (
            np.concatenate([one[name].to_numpy() for one in rows]) for name in ("x", "y", "label")
        )
        self._x, self._y = self._x // self.resolution, self._y // self.resolution
        if split == "predict":
            self._label = np.full(len(self._label), np.nan)
        if not len(self):
            raise DataError(f"no window of the tables is in the {split} split; ask for another with split=.")

    @property
    def resolution(self) -> int:
        """Bin size of the windows, bp."""
        return self._cutters[0].resolution

    @property
    def window_bins(self) -> int:
        """Side of the windows, bins."""
        return self._cutters[0].window_bins

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> MapTrackBatch:
        """One window, as a batch of one."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.__getitems__([index % len(self)])

    def __getitems__(self, indices: Sequence[int]) -> MapTrackBatch:
        """The windows `indices` as one batch, in that order."""
        chosen = np.asarray(indices, np.int64)
        cut = self._cut(chosen)
        swapped = self._swapped(chosen)
        maps = self.transform.of_contacts(cut.maps, cut.mask)
        tracks = self.transform.of_signal(cut.tracks)
        if swapped.any():
            maps[swapped] = maps[swapped].transpose(0, 2, 1)
            cut.mask[swapped] = cut.mask[swapped].transpose(0, 2, 1)
            half = tracks.shape[1] // 2
            tracks[swapped] = np.roll(tracks[swapped], half, axis=1)
            cut.track_mask[swapped] = np.roll(cut.track_mask[swapped], half, axis=1)
        return MapTrackBatch(
            contact_map=torch.from_numpy(maps[:, None]),
            contact_mask=torch.from_numpy(cut.mask[:, None]),
            tracks=torch.from_numpy(tracks),
            track_mask=torch.from_numpy(cut.track_mask),
            label=torch.from_numpy(self._label[chosen].astype(np.float32)),
            chrom=torch.from_numpy(self._chrom[chosen]),
            x=torch.from_numpy(self._x[chosen]),
            y=torch.from_numpy(self._y[chosen]),
            store=torch.from_numpy(self._store[chosen]),
        )

    def _cut(self, chosen: np.ndarray) -> CutWindows:
        owner = self._store[chosen]
        pieces, order = [], []
        for index in np.unique(owner):
            rows = np.flatnonzero(owner == index)
            mine = chosen[rows]
            cutter = self._cutters[index]
            pieces.append(cutter.cut(self.chromosomes, self._chrom[mine], self._x[mine], self._y[mine]))
            order.append(rows)
        if len(pieces) == 1:
            return pieces[0]
        back = np.argsort(np.concatenate(order))
        return CutWindows(
            *(
                np.concatenate([getattr(piece, name) for piece in pieces])[back]
                for name in ("maps", "mask", "tracks", "track_mask")
            )
        )

    def _swapped(self, chosen: np.ndarray) -> np.ndarray:
        """Which windows to mirror: a draw that depends on seed, epoch and window only."""
        if "swap" not in self.transform.augmentations:
            return np.zeros(len(chosen), np.bool_)
        drawn = np.random.default_rng([self.seed, self.epoch]).random(len(self)) < 0.5
        return drawn[chosen]


class EpochSampler(Sampler[int]):
    """Every window once, in table order or in an order that depends on seed and epoch only.

    Parameters
    ----------
    dataset
        Gets the epoch as well.
    shuffle
        Whether to.
    seed
        Seed.
    """

    def __init__(self, dataset: WindowDataset, *, shuffle: bool, seed: int) -> None:
        self.dataset, self.shuffle, self.seed, self.epoch = dataset, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this."""
        self.epoch = self.dataset.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        if not self.shuffle:
            return iter(range(len(self)))
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(len(self)).tolist())


def loader(
    dataset: WindowDataset,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> DataLoader[MapTrackBatch]:
    """Batches of a dataset.

    Parameters
    ----------
    dataset
        The windows.
    batch_size
        Windows in a batch.
    shuffle, seed
        Order of the windows; a new one for each epoch that ``loader.sampler.set_epoch`` names.
    num_workers
        Processes that cut windows; 0 for none. The batches do not depend on it. They are started afresh, so a
        script that uses them keeps its work under ``if __name__ == "__main__":``.
    drop_last
        Leave out a last batch that is not full.
    pin_memory
        For copies to a GPU.
    """
    if batch_size <= 0:
        raise ConfigError(f"batch_size must be positive, not {batch_size}.")
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(dataset, shuffle=shuffle, seed=seed),
        num_workers=num_workers,
        multiprocessing_context=_workers() if num_workers else None,
        # Starting afresh takes a second; only augmentations need workers that learn of the new epoch.
        persistent_workers=num_workers > 0 and not dataset.transform.augmentations,
        collate_fn=_as_it_is,
        drop_last=drop_last,
        pin_memory=pin_memory,
    )


def _workers() -> BaseContext:
    """Workers come from a clean process: forking one in which a map has been read is not safe (hictk)."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _as_it_is(batch: Any) -> Any:
    return batch


def _rows(table: pd.DataFrame, split: Part) -> pd.DataFrame:
    if split not in (*SPLITS, "predict"):
        raise ConfigError(f"a split is one of {', '.join(SPLITS)} or predict, not {split!r}.")
    return table if split == "predict" else select_split(table, split)


def _geometry(
    table: pd.DataFrame, store: RegionStore, resolution: int | None, window_bins: int | None
) -> tuple[int, int]:
    """Resolution and side of a table's windows: its own, or for a table that has none, those given."""
    if not table.attrs and resolution is not None and window_bins is not None:
        return resolution, window_bins
    check_windows(table, store, "the window table", any_store=True)
    return int(table.attrs["resolution"]), int(table.attrs["window_bins"])


def _cutter(store: RegionStore, geometry: tuple[int, int], transform: WindowTransform) -> WindowCutter:
    resolution, window_bins = geometry
    return WindowCutter(
        store,
        resolution,
        tracks=transform.tracks,
        window_bins=window_bins,
        weight=transform.weight,
        scaled=transform.scaled,
    )
