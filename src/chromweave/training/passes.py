"""Batches as Lightning goes through them: each process its part, a resumed epoch from where it stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch

from ..errors import ConfigError
from .distributed import any_of_us, largest, rank, world

__all__ = ["Dealt", "Passes", "Startable"]


@runtime_checkable
class Dealt(Protocol):
    """A source of batches that several processes can share."""

    def deal(self, rank: int, world: int, device: torch.device) -> None:
        """Hand out the part of process `rank` of `world` from now on, on `device` if it is kept there."""
        ...


@runtime_checkable
class Startable(Protocol):
    """A source of batches that need not begin at the first one."""

    def start_at(self, batch: int) -> None:
        """Leave out the first `batch` batches of the next pass, and of no other."""
        ...


class Passes:
    """A source of batches, to be gone through again and again.

    Nothing is read before a pass asks for its first batch: by then Lightning has told the sampler the epoch.

    Parameters
    ----------
    source
        Any iterable of batches.
    device
        Where this process computes.
    first
        Batches that the first pass leaves out.
    in_step
        Whether every process needs the same number of batches: those that have fewer get some again.

    Attributes
    ----------
    own
        How many of the batches count; None where the source has no length.

    Raises
    ------
    ConfigError
        Several processes train, and the source cannot be dealt out to them, or has no batch for some of them.
    """

    batch_sampler = None  # Lightning looks here once it has found a sampler

    def __init__(
        self, source: Iterable[Any], device: torch.device, first: int = 0, in_step: bool = False
    ) -> None:
        if isinstance(source, Dealt):
            source.deal(rank(), world(), device)
        elif world() > 1:
            raise ConfigError(
                f"these batches ({type(source).__name__}) cannot be dealt out to {world()} processes; train "
                f"on one device."
            )
        self._source, self._first = source, first
        self.own = len(source) if isinstance(source, Sized) else None
        self._extra = 0
        if self.own is not None:
            most = largest(self.own)
            if any_of_us(most > 0 and self.own == 0):  # it would sit out what the others do together
                raise ConfigError(
                    f"there are fewer batches than the {world()} processes that need one each; choose a "
                    f"smaller batch_size, or fewer devices."
                )
            if in_step:
                self._extra = most - self.own

    @property
    def sampler(self) -> Any:
        """What Lightning tells the epoch."""
        return getattr(self._source, "sampler", None)

    def __len__(self) -> int:
        if not isinstance(self._source, Sized):
            raise TypeError(f"{type(self._source).__name__} has no length")
        return len(self._source) + self._extra

    def __iter__(self) -> Iterator[Any]:
        first, self._first = self._first, 0
        if not first:
            yield from self._source
        elif isinstance(self._source, Startable):
            self._source.start_at(first)
            yield from self._source
        else:
            yield from islice(self._source, first, None)
        if self._extra:  # at most one more each, of what is dealt out evenly
            yield from islice(self._source, self._extra)
