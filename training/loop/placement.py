"""Torch's threads, each on a core of its own while the loop runs.

The threads of one matrix product wait for each other. Where the system lets two of them share a core, which
it does for minutes on end, a step takes half as long again: measured on two cores, 3.4 ms instead of 2.3 ms.
OMP_PROC_BIND would do the same, but for the whole life of the process and for all processes that it starts;
here every thread gets its old freedom back in the end. Where anything is not as expected, nothing is done.

On a core that others use too, a thread that may not leave it waits for them, and all others for it. So the
threads are set free as soon as they wait.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import torch

TASKS = Path("/proc/self/task")
BUSY = 0.3
"""A thread that worked this share of the main thread's time took part."""

CROWDED = 0.05
"""A thread that waits for its core so long, as a share of the time that it works, shares it with others."""


class Times(NamedTuple):
    """Nanoseconds of a thread: on a core, and ready but waiting for one."""

    worked: int
    waited: int

    def since(self, before: Times) -> Times:
        """What was added."""
        return Times(self.worked - before.worked, self.waited - before.waited)

    @property
    def is_crowded(self) -> bool:
        """Whether it waited more than a thread does that has a core for itself."""
        return self.waited > CROWDED * max(self.worked, 1)


class Placement:
    """Threads that are held on cores, with the cores that each may use otherwise.

    Attributes:
        gave_up: whether they were set free because others use these cores too.
    """

    def __init__(self, before: dict[int, set[int]]) -> None:
        self._before = before
        self._times: dict[int, Times] = {}
        self.gave_up = False

    def review(self) -> None:
        """Set the threads free if one of them waited for its core since the last review."""
        if not self._before:
            return
        with suppress(OSError):
            now = _times()
            seen, self._times = self._times, now
            if any(t in seen and now[t].since(seen[t]).is_crowded for t in self._before if t in now):
                self.gave_up = True
                self.release()

    def release(self) -> None:
        """Every thread may go where it could go before."""
        for thread, cores in self._before.items():
            with suppress(OSError):
                os.sched_setaffinity(thread, cores)
        self._before = {}


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """So many threads for one matrix product; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def spread_threads() -> Iterator[Placement]:
    """One core for each of torch's threads; on systems other than Linux it does nothing."""
    placement = Placement({})
    with suppress(OSError):
        placement = Placement(_pin())
    placement.review()
    try:
        yield placement
    finally:
        placement.release()


def _pin() -> dict[int, set[int]]:
    """Pin the threads; each with the cores that it had before."""
    count = torch.get_num_threads()
    if sys.platform != "linux" or count < 2:
        return {}
    cores = _cores(os.sched_getaffinity(0))
    # With fewer threads than cores others may train beside us: the system knows better where.
    if len(cores) != count:
        return {}
    threads = _working_threads()
    if len(threads) != count:
        return {}
    before = {thread: os.sched_getaffinity(thread) for thread in threads}
    for thread, core in zip(threads, cores, strict=True):
        os.sched_setaffinity(thread, {core})
    return before


def _cores(allowed: set[int]) -> list[int]:
    """One processor of each core, as two that share a core's arithmetic are no faster than one."""
    cores: dict[str, int] = {}
    for number in sorted(allowed):
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text() if siblings.exists() else str(number), number)
    return list(cores.values())


def _working_threads() -> list[int]:
    """This thread and those that help it in a matrix product; none where one of them shares a core."""
    square = torch.ones(768, 768)
    torch.mm(square, square)
    before = _times()
    for _ in range(3):
        torch.mm(square, square)
    added = {thread: now.since(before.get(thread, Times(0, 0))) for thread, now in _times().items()}
    this = threading.get_native_id()
    helpers = [t for t, time in added.items() if t != this and time.worked > BUSY * added[this].worked]
    working = [this, *helpers]
    return [] if any(added[thread].is_crowded for thread in working) else working


def _times() -> dict[int, Times]:
    """Of every thread of this process."""
    fields = {int(task.name): (task / "schedstat").read_text().split() for task in TASKS.iterdir()}
    return {thread: Times(int(worked), int(waited)) for thread, (worked, waited, *_) in fields.items()}
