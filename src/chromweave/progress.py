"""How long work tells where it is, without knowing who listens.

Library code writes ``for item in track(items, "reading pixels", unit="chromosome")``. By default nobody
listens; the command line installs a reporter (a bar on a terminal, plain lines elsewhere). Of several
processes that train one model only the first is heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from .files import is_first_process

__all__ = ["Reporter", "Silent", "notify", "reporting", "track"]

T = TypeVar("T")


class Reporter(Protocol):
    """Somebody who shows progress."""

    def track(self, items: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
        """Yield the items, showing how many of `total` are done, at what rate, and the time left."""
        ...

    def notify(self, message: str) -> None:
        """Show one line."""
        ...


class Silent:
    """The reporter of a library: says nothing."""

    def track(self, items: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
        """Yield the items."""
        yield from items

    def notify(self, message: str) -> None:
        """Drop the message."""


_SILENT = Silent()
_reporter: ContextVar[Reporter] = ContextVar("chromweave_reporter", default=_SILENT)


def track(items: Iterable[T], description: str, *, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Iterate over `items` while the current reporter shows how far it is.

    Parameters
    ----------
    items
        What to go through; `total` is its length where that can be asked.
    description
        What is being done, as a user would say it.
    total
        Number of items, where `items` has no length.
    unit
        What one item is called ("windows", "chromosome").
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    return _listener().track(items, description, total, unit)


def notify(message: str) -> None:
    """Hand one line to the current reporter (where results are, what was left out and why)."""
    _listener().notify(message)


def _listener() -> Reporter:
    return _reporter.get() if is_first_process() else _SILENT


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Make `reporter` the listener inside the block."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)
