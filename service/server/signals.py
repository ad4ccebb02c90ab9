"""SIGINT and SIGTERM: the first asks for the end, a second one no longer asks."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable

_SAME = 0.1
"""A signal that follows another within so many seconds is the same: some tools send it to a process and then
to its group."""

NUMBERS = (signal.SIGINT, signal.SIGTERM)


def leave_at_once() -> None:
    """Until somebody listens: end, having done what was asked."""
    for number in NUMBERS:
        signal.signal(number, lambda *_: sys.exit(0))


class Signals:
    """Takes both signals in the running loop.

    Args:
        first: called once.
        again: called with the exit code when a signal comes although the end has begun.
    """

    def __init__(self, first: Callable[[], None], again: Callable[[int], None]) -> None:
        self._first = first
        self._again = again
        self._came: float | None = None
        for number in NUMBERS:
            asyncio.get_running_loop().add_signal_handler(number, self._take, number)

    def _take(self, number: int) -> None:
        if self._came is None:
            self._came = time.monotonic()
            self._first()
        elif time.monotonic() - self._came > _SAME:
            self._again(128 + number)
