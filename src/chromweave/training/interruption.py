"""SIGTERM and Ctrl-C as a wish that training meets when a step is done."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["StopWish"]

_NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopWish:
    """In its block, SIGTERM and a first Ctrl-C are noted; a second Ctrl-C interrupts at once.

    Attributes
    ----------
    signal
        Which of the two came, None as long as neither has.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopWish:
        if threading.current_thread() is threading.main_thread():  # the only one Python's signals reach
            self._before = {number: signal.getsignal(number) for number in _NAMES}
            self.listen()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

    def listen(self) -> None:
        """Listen (again): Lightning puts handlers of its own in place as it starts."""
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = _NAMES[signal.Signals(number)]
