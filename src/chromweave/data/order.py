"""Which windows come when: the batches of an epoch, and the part of them that each process takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from ..errors import ConfigError

__all__ = ["EpochBatches", "Picked"]


class Picked(NamedTuple):
    """The windows of one batch, and the epoch they are picked for.

    Parameters
    ----------
    epoch
        Decides the augmentations.
    windows
        int64 (n,): numbers of windows.
    """

    epoch: int
    windows: np.ndarray


class EpochBatches(Sampler[Picked]):
    """Batches of window numbers, in table order or in an order that depends on seed and epoch only.

    Parameters
    ----------
    sizes
        Windows of each store; they are numbered store after store.
    batch_size
        Windows in a batch: of all processes together when shuffled, of one process otherwise.
    shuffle
        Whether to.
    seed
        Of the order.
    drop_last
        Leave out a last batch that is not full.
    store_weights
        Share of each store in an epoch, which has as many windows as there are; a store's windows then come
        in repeated permutations. None: every window once.

    Attributes
    ----------
    epoch
        Of the next pass.
    first
        Batches that the next passes leave out at their beginning.

    Raises
    ------
    ConfigError
        No positive batch size, or weights that say nothing.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        store_weights: Sequence[float] | None = None,
    ) -> None:
        if batch_size <= 0:
            raise ConfigError(f"batch_size must be positive, not {batch_size}.")
        if store_weights is not None and not shuffle:
            raise ConfigError("store_weights sample windows for training; they need shuffle=True.")
        self.sizes, self.batch_size, self.shuffle, self.seed = tuple(sizes), batch_size, shuffle, seed
        self.drop_last = drop_last
        self.shares = None if store_weights is None else _shares(self.sizes, store_weights)
        self.epoch = self.first = self.rank = 0
        self.world = 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass; Lightning calls this."""
        self.epoch = epoch

    def deal(self, rank: int, world: int) -> None:
        """Yield the part of process `rank` of `world` from now on.

        Shuffled, every process takes its slice of each batch, and an incomplete last batch is left out when
        there are several; in table order, it takes every `world`-th batch from number `rank` on.

        Raises
        ------
        ConfigError
            No such process, or a shuffled batch does not divide by `world`.
        """
        if not 0 <= rank < world:
            raise ConfigError(f"there is no process {rank} among {world}.")
        if self.shuffle and self.batch_size % world:
            raise ConfigError(
                f"a batch of {self.batch_size} windows cannot be divided among {world} processes; "
                f"choose a multiple of {world}."
            )
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return len(self._numbers())

    def __iter__(self) -> Iterator[Picked]:
        # The pass is fixed here: workers fetch ahead, and a new epoch may be named while they do.
        return self._pass(self.epoch, self.first)

    def _numbers(self) -> range:
        """Numbers of the batches that this process has a part in."""
        total, size = sum(self.sizes), self.batch_size
        if self.shuffle:
            return range(total // size if self.drop_last or self.world > 1 else -(-total // size))
        return range(self.rank, total // size if self.drop_last else -(-total // size), self.world)

    def _pass(self, epoch: int, first: int) -> Iterator[Picked]:
        order = self._order(epoch)
        size = self.batch_size
        for number in self._numbers()[first:]:
            batch = order[number * size : (number + 1) * size]
            if self.shuffle and self.world > 1:
                part = size // self.world
                batch = batch[self.rank * part : (self.rank + 1) * part]
            yield Picked(epoch, batch)

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(sum(self.sizes))
        rng = np.random.default_rng([self.seed, epoch])
        if self.shares is None:
            return rng.permutation(sum(self.sizes))
        pieces, first = [], 0
        for size, share in zip(self.sizes, self.shares, strict=True):
            times, more = divmod(share, size) if share else (0, 0)
            pieces.append(np.tile(np.arange(first, first + size), times))
            pieces.append(first + rng.permutation(size)[:more])
            first += size
        order = np.concatenate(pieces)
        rng.shuffle(order)
        return order


def _shares(sizes: Sequence[int], weights: Sequence[float]) -> tuple[int, ...]:
    """Windows of each store in an epoch: in proportion to `weights`, by the largest remainders."""
    if len(weights) != len(sizes):
        raise ConfigError(f"one weight for each store is needed, not {len(weights)} for {len(sizes)}.")
    given = np.asarray(weights, np.float64)
    if not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
        raise ConfigError(
            "store weights are numbers of at least 0, one of them positive, "
            f"not {', '.join(map(str, weights))}."
        )
    empty = [number for number, size in enumerate(sizes) if not size and given[number] > 0]
    if empty:
        raise ConfigError(f"store {empty[0] + 1} has no window in this split; its weight must be 0.")
    exact = sum(sizes) * given / given.sum()
    shares = np.floor(exact).astype(np.int64)
    missing = sum(sizes) - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    return tuple(int(share) for share in shares)
