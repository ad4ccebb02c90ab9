"""Rows waiting → one run. Knows neither HTTP nor ONNX.

The life of one item: `submit` puts its rows in the queue, or refuses them when the queue is full. If nothing
runs, a run starts at once with what is there; rows that arrive during a run form the next batch, so batching
never waits. Items that were cancelled or whose deadline has passed are dropped before the run. An item with
more rows than fit in one run takes part in several, and small items are let through in between. When the last
of its rows are done, its own future gets its own part of the results; a run that fails fails only the items
in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, Overloaded

Array = NDArray[Any]
Run = Callable[[Array], Array]


@dataclass(eq=False)
class _Item:
    """Rows that wait, and whoever waits for them.

    Attributes:
        deadline: the loop's time after which nobody wants the answer; None for no limit.
        taken: how many of its rows have been given to a run.
    """

    rows: Array
    future: asyncio.Future[Array]
    deadline: float | None
    taken: int = 0
    parts: list[Array] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return len(self.rows) - self.taken


class Batcher:
    """Gathers rows for a function that is cheaper by the batch; belongs to one event loop.

    Args:
        run: rows (rows, features) → results (rows, ...); called in the executor, one call at a time.
        max_rows: the most rows of one run.
        max_waiting: the most rows that may wait; an item is always taken when none wait.
    """

    def __init__(self, run: Run, executor: Executor, max_rows: int, max_waiting: int) -> None:
        self._run = run
        self._executor = executor
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._queue: deque[_Item] = deque()
        self._waiting = 0
        self._pump: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self._waiting

    async def submit(self, rows: Array, timeout: float | None = None) -> Array:
        """The results for these rows, computed together with those of others.

        Shape: rows (rows, features) → (rows, ...).

        Raises:
            Overloaded: too many rows wait already.
            DeadlineExceeded: the timeout, in seconds, passed before all rows were given to a run.
        """
        if self._waiting and self._waiting + len(rows) > self._max_waiting:
            raise Overloaded(self._waiting, self._max_waiting)
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        item = _Item(rows, loop.create_future(), deadline)
        self._queue.append(item)
        self._waiting += len(rows)
        if self._pump is None:
            self._pump = loop.create_task(self._work())
        return await item.future

    async def _work(self) -> None:
        try:
            while batch := self._take():
                await self._run_batch(batch)
        finally:
            self._pump = None

    def _take(self) -> list[tuple[_Item, Array]]:
        """The items of the next run, each with its share of rows, in the order they came."""
        batch: list[tuple[_Item, Array]] = []
        room, unfinished = self._max_rows, []
        while self._queue and room:
            item = self._queue.popleft()
            if self._is_dropped(item):
                self._waiting -= item.waiting
                continue
            share = item.rows[item.taken : item.taken + room]
            batch.append((item, share))
            item.taken += len(share)
            room -= len(share)
            self._waiting -= len(share)
            if item.waiting:
                unfinished.append(item)
        # Behind the others: a large item does not hold up the small ones that came after it.
        self._queue.extend(unfinished)
        return batch

    def _is_dropped(self, item: _Item) -> bool:
        if item.future.done():
            return True
        if item.deadline is not None and asyncio.get_running_loop().time() > item.deadline:
            item.future.set_exception(DeadlineExceeded())
            return True
        return False

    async def _run_batch(self, batch: list[tuple[_Item, Array]]) -> None:
        shares = [share for _, share in batch]
        rows = shares[0] if len(shares) == 1 else np.concatenate(shares)
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._executor, self._run, rows)
        except Exception as error:
            for item, _ in batch:
                _fail(item, error)
            return
        start = 0
        for item, share in batch:
            _deliver(item, results[start : start + len(share)])
            start += len(share)


def _deliver(item: _Item, part: Array) -> None:
    item.parts.append(part)
    if sum(map(len, item.parts)) == len(item.rows) and not item.future.done():
        item.future.set_result(item.parts[0] if len(item.parts) == 1 else np.concatenate(item.parts))


def _fail(item: _Item, error: Exception) -> None:
    if not item.future.done():
        item.future.set_exception(error)
