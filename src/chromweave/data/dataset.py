"""Windows as batches of tensors: a torch dataset that cuts from stores on the fly.

A batch is fetched with one call for each store, so workers pass whole batches, never single windows.
"""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from ..batch import MapTrackBatch
from ..errors import ConfigError, DataError
from .augmentations import draw, jittered
from .cutter import CutChromosome, WindowCutter
from .expected import ExpectedWindows
from .order import EpochBatches, Picked
from .placed import CutTensors, PlacedTensors, PlacedWindows
from .store import RegionStore
from .tables import SPLITS, check_windows, select_split
from .targets import LEAST_KNOWN, BinnedTargets, binned_targets
from .transforms import WindowTransform

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WindowDataset", "WindowLoader", "WindowSource", "loader"]

Part = Literal["train", "valid", "test", "predict"]


class WindowSource(Dataset[MapTrackBatch], ABC):
    """Windows by number, one alone or those that were picked."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, windows: Sequence[int] | np.ndarray, epoch: int = 0) -> MapTrackBatch:
        """The windows with these numbers as one batch, in that order; `epoch` moves the augmentations on."""

    def __getitem__(self, index: int | Picked) -> MapTrackBatch:
        """One window as a batch of one, or the windows that were picked."""
        if isinstance(index, Picked):
            return self.batch(index.windows, index.epoch)
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.batch([index % len(self)])


class WindowDataset(WindowSource):
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
        ``"train"``, ``"valid"`` or ``"test"``, which has to be asked for by name; several as a tuple, such as
        ``("train", "test")``, which leaves no chromosome for a test; ``"predict"`` takes all rows and hides
        their labels.
    seed
        Of the augmentations.
    resolution, window_bins
        Geometry of tables made by hand, which do not say (a bare DataFrame of candidates); bp, bins.
    contacts
        Read contact maps. Without, `contact_map` is 0 and `contact_mask` False throughout, and a store needs
        no layer of the windows' resolution.
    target
        Name of a track whose mean over each bin is the batch's `target` (see :func:`binned_targets`), as
        log2(mean + 1) if the transform's `signal` is ``"log2"``; None for no target.
    least_known
        Part of a bin's 100 bp steps that must have data for the bin to have a target.

    Attributes
    ----------
    chromosomes
        What `MapTrackBatch.chrom` indexes.
    sizes
        Windows of each store; they are numbered store after store.

    Raises
    ------
    ConfigError
        Augmentations outside training, an unknown split, or a number of tables other than of stores.
    DataError
        A table and its store do not fit, a store lacks a track, or no window is in the split.
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
        contacts: bool = True,
        target: str | None = None,
        least_known: float = LEAST_KNOWN,
    ) -> None:
        if len(stores) != len(tables) or not stores:
            raise ConfigError(f"one table for each store is needed, not {len(tables)} for {len(stores)}.")
        if transform.augmentations and split != "train":
            raise ConfigError(f"augmentations are for training; the {split} split takes none.")
        self.transform, self.split, self.seed = transform, split, seed
        self.contacts, self.target, self.least_known = contacts, target, least_known
        self.cutters: list[WindowCutter] = []
        rows = []
        for store, table in zip(stores, tables, strict=True):
            geometry = _geometry(table, store, resolution, window_bins, contacts)
            self.cutters.append(_cutter(store, geometry, transform, contacts, target))
            rows.append(_rows(table, split))
        if len({(cutter.window_bins, cutter.resolution) for cutter in self.cutters}) > 1:
            raise DataError("the tables differ in resolution or window size; give those of one geometry.")
        self.sizes = tuple(len(one) for one in rows)
        self.chromosomes, self._chrom = _numbered([one["chrom"] for one in rows])
        self._store = np.repeat(np.arange(len(rows), dtype=np.int32), self.sizes)
        self._x, self._y = (
            np.concatenate([one[name].to_numpy() // self.resolution for one in rows]).astype(np.int32)
            for name in ("x", "y")
        )
        self._label = np.concatenate([one["label"].to_numpy(np.float32) for one in rows])
        if split == "predict":
            self._label[:] = np.nan
        self._n_bins = _sizes(self.cutters, self.chromosomes) if "jitter" in transform.augmentations else None
        if not len(self):
            raise DataError(f"no window of the tables is in the {split} split; ask for another with split=.")
        self._expected: ExpectedWindows | None = None
        if contacts and transform.contacts == "observed_expected":
            pairs = np.stack(np.divmod(np.unique(self._pairs()), len(self.chromosomes)), axis=1)
            self._expected = ExpectedWindows(self.cutters, self.chromosomes, pairs)

    def _pairs(self) -> np.ndarray:
        """Store and chromosome of each window as one number."""
        return self._store.astype(np.int64) * len(self.chromosomes) + self._chrom

    @property
    def resolution(self) -> int:
        """Bin size of the windows, bp."""
        return self.cutters[0].resolution

    @property
    def window_bins(self) -> int:
        """Side of the windows, bins."""
        return self.cutters[0].window_bins

    def __len__(self) -> int:
        return len(self._x)

    def batch(self, windows: Sequence[int] | np.ndarray, epoch: int = 0) -> MapTrackBatch:
        """The windows with these numbers as one batch, in that order; `epoch` moves the augmentations on."""
        placed = self.placed(windows, epoch)
        return self.assembled(placed.on(torch.device("cpu")), self._cut(placed))

    def placed(self, windows: Sequence[int] | np.ndarray, epoch: int = 0) -> PlacedWindows:
        """Where and how the windows with these numbers are cut in an epoch."""
        chosen = np.asarray(windows, np.int64)
        drawn = draw(self.transform, self.seed, epoch, chosen)
        store, chrom = self._store[chosen], self._chrom[chosen]
        x, y = self._x[chosen].astype(np.int64), self._y[chosen].astype(np.int64)
        if self._n_bins is not None:
            x, y = jittered(x, y, drawn.shift, self.window_bins // 2, self._n_bins[store, chrom])
        return PlacedWindows(store, chrom, x, y, self._label[chosen], drawn.swapped, drawn.changes)

    def assembled(self, placed: PlacedTensors, cut: CutTensors) -> MapTrackBatch:
        """Windows as they were cut, transformed, on the device where they are."""
        inputs = len(self.transform.tracks)  # a target was cut as one more
        target = None if self.target is None else self._target(cut.tracks[..., -1], cut.track_mask[..., -1])
        return MapTrackBatch(
            contact_map=self._maps(placed, cut)[:, None],
            contact_mask=cut.mask[:, None],
            tracks=self.transform.of_signal(cut.tracks[..., :inputs].contiguous()),
            track_mask=cut.track_mask[..., :inputs].contiguous(),
            label=placed.label,
            chrom=placed.chrom,
            x=placed.x,
            y=placed.y,
            store=placed.store,
            target=None if target is None else target.value,
            target_mask=None if target is None else target.known,
        )

    def _maps(self, placed: PlacedTensors, cut: CutTensors) -> Tensor:
        if not self.contacts:
            return cut.maps
        expected = None if self._expected is None else self._expected.diagonals(placed)
        return self.transform.of_contacts(cut.maps, cut.mask, expected)

    def _target(self, track: Tensor, mask: Tensor) -> BinnedTargets:
        means = binned_targets(track, mask, 2 * self.window_bins, self.least_known)
        return replace(means, value=self.transform.of_signal(means.value))

    def checked_chromosomes(self) -> dict[tuple[int, int], CutChromosome]:
        """What the windows are cut from, by store and chromosome, once all of them are known to fit.

        Raises
        ------
        DataError
            A window sticks out of its chromosome, or counts that are no integers are to be thinned.
        ChromosomeError, WeightError
            Not in the store.
        """
        found = {}
        pairs = self._pairs()
        for pair in np.unique(pairs):
            store, chrom = divmod(int(pair), len(self.chromosomes))
            here = self.cutters[store].chromosome(self.chromosomes[chrom])
            rows = np.flatnonzero(pairs == pair)
            here.require_inside(self._x[rows], self._y[rows], self.window_bins // 2)
            here.require_countable(self.placed(rows[:1]).changes)
            found[store, chrom] = here
        return found

    def _cut(self, placed: PlacedWindows) -> CutTensors:
        x, y = placed.rows_and_columns()
        pieces, order = [], []
        for index in np.unique(placed.store):
            rows = np.flatnonzero(placed.store == index)
            changes = placed.changes[rows]
            cutter = self.cutters[index]
            pieces.append(cutter.cut(self.chromosomes, placed.chrom[rows], x[rows], y[rows], changes))
            order.append(rows)
        found = [
            [torch.from_numpy(getattr(piece, name)) for piece in pieces]
            for name in ("maps", "mask", "tracks", "track_mask")
        ]
        if len(pieces) == 1:
            return CutTensors(*(one for (one,) in found))
        back = torch.from_numpy(np.argsort(np.concatenate(order)))
        return CutTensors(*(torch.cat(several)[back] for several in found))


class WindowLoader(DataLoader[MapTrackBatch]):
    """Batches of windows, of which a process may take a part, and which may start in the middle of an epoch.

    Parameters
    ----------
    source
        Makes a batch of the window numbers that it is given.
    batches
        The order; `sampler` of the loader.
    num_workers, pin_memory
        See :func:`loader`.
    """

    sampler: EpochBatches

    def __init__(
        self,
        source: Dataset[MapTrackBatch],
        batches: EpochBatches,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__(
            source,
            batch_size=None,  # the sampler hands out whole batches
            sampler=batches,
            num_workers=num_workers,
            multiprocessing_context=_workers() if num_workers else None,
            persistent_workers=num_workers > 0,  # starting afresh takes a second
            collate_fn=_as_it_is,
            pin_memory=pin_memory,
        )
        self._start = 0

    def deal(self, rank: int, world: int, device: torch.device) -> None:
        """Hand out the part of process `rank` of `world` from now on (see :meth:`EpochBatches.deal`).

        `device`, which the process computes on, is of no concern to windows that are cut on the CPU.
        """
        self.sampler.deal(rank, world)

    def start_at(self, batch: int) -> None:
        """Leave out the first `batch` batches of the next pass, and of no other; `len` stays as it is.

        Raises
        ------
        ConfigError
            There are not so many batches.
        """
        if not 0 <= batch <= len(self):
            raise ConfigError(f"a pass of {len(self)} batches cannot start at batch {batch}.")
        self._start = batch

    def __iter__(self) -> _BaseDataLoaderIter:
        self.sampler.first, self._start = self._start, 0
        return super().__iter__()


def loader(
    dataset: WindowDataset,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
    store_weights: Sequence[float] | None = None,
) -> WindowLoader:
    """Batches of a dataset.

    Parameters
    ----------
    dataset
        The windows.
    batch_size
        Windows in a batch; with `shuffle`, of all processes together.
    shuffle, seed
        Order of the windows; a new one for each epoch that ``loader.sampler.set_epoch`` names.
    num_workers
        Processes that cut windows; 0 for none. The batches do not depend on it. They are started afresh, so a
        script that uses them keeps its work under ``if __name__ == "__main__":``.
    drop_last
        Leave out a last batch that is not full.
    pin_memory
        For copies to a GPU.
    store_weights
        Share of each store in a shuffled epoch, which has as many windows as the dataset; None: every
        window once.

    Raises
    ------
    ConfigError
        No positive batch size, or weights that do not fit the stores.
    """
    batches = EpochBatches(
        dataset.sizes,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        drop_last=drop_last,
        store_weights=store_weights,
    )
    return WindowLoader(dataset, batches, num_workers=num_workers, pin_memory=pin_memory)


def _workers() -> BaseContext:
    """Workers come from a clean process: forking one in which a map has been read is not safe (hictk)."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _as_it_is(batch: Any) -> Any:
    return batch


def _sizes(cutters: Sequence[WindowCutter], chromosomes: Sequence[str]) -> np.ndarray:
    """Bins of each chromosome, int64 (stores, chromosomes)."""
    return np.array(
        [[-(-c.store.assembly.length(chrom) // c.resolution) for chrom in chromosomes] for c in cutters]
    )


def _numbered(columns: Sequence[pd.Series]) -> tuple[tuple[str, ...], np.ndarray]:
    """The chromosomes of all tables in order of appearance, and which of them each row is on."""
    import pandas as pd

    found = [pd.factorize(column) for column in columns]
    names = list(dict.fromkeys(str(name) for _, uniques in found for name in uniques))
    places = [np.array([names.index(str(name)) for name in uniques], np.int32) for _, uniques in found]
    return tuple(names), np.concatenate(
        [place[codes] for place, (codes, _) in zip(places, found, strict=True)]
    )


def _rows(table: pd.DataFrame, split: Part) -> pd.DataFrame:
    if split not in (*SPLITS, "predict"):
        raise ConfigError(f"a split is one of {', '.join(SPLITS)} or predict, not {split!r}.")
    return table if split == "predict" else select_split(table, split)


def _geometry(
    table: pd.DataFrame, store: RegionStore, resolution: int | None, window_bins: int | None, contacts: bool
) -> tuple[int, int]:
    """Resolution and side of a table's windows: its own, or for a table that has none, those given."""
    if not table.attrs and resolution is not None and window_bins is not None:
        return resolution, window_bins
    check_windows(table, store, "the window table", any_store=True, contacts=contacts)
    return int(table.attrs["resolution"]), int(table.attrs["window_bins"])


def _cutter(
    store: RegionStore,
    geometry: tuple[int, int],
    transform: WindowTransform,
    contacts: bool,
    target: str | None,
) -> WindowCutter:
    resolution, window_bins = geometry
    return WindowCutter(
        store,
        resolution,
        tracks=transform.tracks if target is None else (*transform.tracks, target),
        window_bins=window_bins,
        weight=transform.weight,
        scaled=transform.scaled,
        contacts=contacts,
    )
