"""What the command line shows: progress, news and results, for people or for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..files import is_first_process
from ..progress import Silent

__all__ = ["BarReporter", "LineReporter", "Terminal", "duration"]

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 10.0


def duration(seconds: float) -> str:
    """`seconds` as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class LineReporter:
    """Progress as plain lines on stderr: a start, one every ten seconds, and an end."""

    def track(self, items: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
        """Yield the items; see :func:`chromweave.progress.track`."""
        began = last = time.monotonic()
        done = 0
        for item in items:
            yield item
            done += 1
            now = time.monotonic()
            if now - last >= _SECONDS_BETWEEN_LINES:
                last = now
                self.notify(f"{description}: {_state(done, total, now - began, unit)}")
        if last > began:  # short work leaves no line
            self.notify(f"{description}: done, {done:,} {unit} in {duration(time.monotonic() - began)}")

    def notify(self, message: str) -> None:
        """Print one line to stderr."""
        print(message, file=sys.stderr, flush=True)


def _state(done: int, total: int | None, seconds: float, unit: str) -> str:
    rate = done / seconds if seconds else 0.0
    text = f"{done:,}" + (f"/{total:,}" if total else "") + f" {unit}, {rate:,.1f} {unit}/s"
    if total and rate:
        text += f", {duration((total - done) / rate)} left"
    return text


class BarReporter:
    """Progress as Rich bars on stderr, with rate and time left; nested work gets a bar of its own."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.fields[size]} {task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._open = 0

    def track(self, items: Iterable[T], description: str, total: int | None, unit: str) -> Iterator[T]:
        """Yield the items; see :func:`chromweave.progress.track`."""
        if self._open == 0:
            self._progress.start()
        self._open += 1
        size = "?" if total is None else f"{total:,}"
        task = self._progress.add_task(description, total=total, size=size, unit=unit, rate="")
        began = time.monotonic()
        done = 0
        try:
            for item in items:
                yield item
                done += 1
                rate = done / max(time.monotonic() - began, 1e-9)
                self._progress.update(task, advance=1, rate=f"{rate:,.1f} {unit}/s")
        finally:
            self._progress.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._progress.stop()

    def notify(self, message: str) -> None:
        """Print one line above the bars."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Terminal:
    """How this run talks.

    Parameters
    ----------
    quiet
        No progress and no news; results and errors only.
    as_json
        The result as one JSON object on stdout (errors too), progress still on stderr.
    debug
        Tracebacks are shown.
    """

    quiet: bool = False
    as_json: bool = False
    debug: bool = False

    def reporter(self) -> BarReporter | LineReporter | Silent:
        """The progress reporter that fits this terminal."""
        if self.quiet:
            return Silent()
        return BarReporter() if sys.stderr.isatty() else LineReporter()

    def show(self, result: Mapping[str, Any]) -> None:
        """Print a command's result: one JSON object, or one aligned line per entry.

        Of several processes that train together only the first prints.
        """
        if not is_first_process():
            return
        if self.as_json:
            print(json.dumps(result, default=str, indent=1))
            return
        width = max((len(key) for key in result), default=0)
        for key, value in result.items():
            print(f"{key.replace('_', ' '):<{width}}  {_readable(value)}")

    def fail(self, kind: str, message: str) -> None:
        """Print an error: a sentence on stderr, and with ``--json`` an object on stdout."""
        if self.as_json:
            print(json.dumps({"error": message, "kind": kind}))
        print(f"chromweave: error: {message}", file=sys.stderr)


def _readable(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_readable(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_readable(item) for item in value)
    return str(value)
