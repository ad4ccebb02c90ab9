"""Rows waiting → one run. Knows neither HTTP nor ONNX.

The life of one item: `submit` puts its rows in the queue, or refuses them when the queue is full or the
answer would come too late. If nothing runs, a run starts at once with what is there; rows that arrive during
a run form the next batch, so batching never waits. Items that were cancelled or whose deadline cannot be met
any more are dropped before the run. An item with more rows than fit in one run takes part in several, and
small items are let through in between. When the last of its rows are done, its own future gets its own part
of the results. When a run of several items fails, each is run again by itself: only the one at fault is
refused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, Overloaded

Array = NDArray[Any]
Feeds = Mapping[str, Array]
"""Arrays by name; the first dimension of each is the rows."""

Run = Callable[[Feeds, Sequence[str]], Sequence[Array]]
"""Feeds and the names of outputs → the outputs, in that order; their first dimension is the rows."""

_INERTIA = 0.9
"""How much of the pace is kept when a run tells another."""


class Cost(NamedTuple):
    """What a run costs, in seconds: cost = fixed + rows · per_row."""

    fixed: float
    per_row: float

    def of(self, rows: int) -> float:
        """The expected time of a run."""
        return self.fixed + rows * self.per_row


class Limits(NamedTuple):
    """What bounds a model's batches and its queue.

    Attributes:
        batch_rows: the most rows of one run; None for as many as take `run_seconds`.
        wait_seconds: how long the rows in the queue may take together, by the measured cost of a row.
        run_seconds: how long a run may hold up those that come after it.
    """

    batch_rows: int | None = None
    wait_seconds: float = 1.0
    run_seconds: float = 0.02

    def rows_of_a_run(self, cost: Cost) -> int:
        """The most rows of one run."""
        if self.batch_rows is not None:
            return self.batch_rows
        return max(16, min(16384, int(self.run_seconds / max(cost.per_row, 1e-9))))


class Outcome(NamedTuple):
    """What became of one item: its outputs in the order asked for, and its times in nanoseconds."""

    arrays: list[Array]
    queue: int
    run: int


@dataclass(eq=False)
class _Item:
    """Rows that wait, and whoever waits for them.

    Attributes:
        alone: it gets a run of its own, with all of its rows.
        deadline: the clock's time after which nobody wants the answer; None for no limit.
        taken: how many of its rows have been given to a run.
    """

    feeds: Feeds
    outputs: Sequence[str]
    rows: int
    alone: bool
    future: asyncio.Future[Outcome]
    deadline: float | None
    arrived: float
    taken: int = 0
    run: float = 0.0
    parts: list[list[Array]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return self.rows - self.taken


class _Share(NamedTuple):
    """The rows of an item that take part in one run."""

    item: _Item
    start: int
    stop: int

    @property
    def feeds(self) -> Feeds:
        if self.stop - self.start == self.item.rows:
            return self.item.feeds
        return {name: array[self.start : self.stop] for name, array in self.item.feeds.items()}


class Batcher:
    """Gathers rows for a function that is cheaper by the batch; belongs to one event loop.

    Args:
        run: called in the executor, one call at a time.
        max_rows: the most rows of one run.
        max_waiting: the most rows that may wait; an item is always taken when none wait.
        max_wait: how many seconds the rows that wait may take, at the pace of the runs so far.
        together: whether a row's results do not depend on the rows beside it. If they may, each item is run
            by itself and as a whole.
        cost: what a run is expected to cost; corrected by what runs take.
        waits: told by how many requests and rows the queue has grown or shrunk.
        ran: told of each run, and how many rows it had.
    """

    def __init__(
        self,
        run: Run,
        executor: Executor,
        max_rows: int,
        max_waiting: int | None = None,
        *,
        max_wait: float = math.inf,
        together: bool = True,
        cost: Cost = Cost(0.0, 0.0),  # noqa: B008 - a tuple
        waits: Callable[[int, int], None] = lambda _requests, _rows: None,
        ran: Callable[[int], None] = lambda _rows: None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._max_wait = max_wait
        self._together = together
        self._cost = cost
        self._pace = 1.0
        self._waits = waits
        self._ran = ran
        self._queue: deque[_Item] = deque()
        self._waiting = self._ahead = self._running = 0
        self._pump: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self._waiting

    @property
    def together(self) -> int:
        """The most rows of several items that one run computes; 0 when each item gets its own run."""
        return self._max_rows if self._together else 0

    def expected(self, rows: int) -> float:
        """How many seconds it would take to compute these rows and all that is run before they are done."""
        whole = self._running + self._before(rows) + rows
        runs = -(-whole // self._max_rows) if self._together else len(self._queue) + 1
        return self._pace * (runs * self._cost.fixed + whole * self._cost.per_row)

    def _before(self, rows: int) -> int:
        """How many of the rows that wait are run before an item of so many is done.

        Large items take turns: a small one that comes later waits for one run of each, no more.
        """
        return self._ahead if rows <= self._max_rows else self._waiting

    def _blocking(self, item: _Item) -> int:
        return item.waiting if item.alone else min(item.waiting, self._max_rows)

    def _most(self, rows: int) -> float:
        """The most rows that may wait, when requests are like this one."""
        unit = self._max_rows if self._together else rows
        per_row = self._pace * self._cost.of(unit) / max(unit, 1)
        by_time = max(unit, self._max_wait / per_row) if per_row else math.inf
        return by_time if self._max_waiting is None else min(by_time, self._max_waiting)

    async def submit(
        self,
        feeds: Feeds,
        outputs: Sequence[str],
        rows: int,
        timeout: float | None = None,
        *,
        alone: bool = False,
    ) -> Outcome:
        """The outputs for these rows, computed together with those of others unless they must be `alone`.

        Raises:
            Overloaded: too many rows wait already.
            DeadlineExceeded: the timeout, in seconds, would pass before the rows are done.
        """
        before = self._before(rows)
        if before and before + rows > (most := self._most(rows)):
            raise Overloaded(before, int(most), self.expected(0))
        if timeout is not None and self.expected(rows) > timeout:
            raise DeadlineExceeded
        loop, now = asyncio.get_running_loop(), time.monotonic()
        deadline = None if timeout is None else now + timeout
        alone = alone or not self._together
        item = _Item(feeds, outputs, rows, alone, loop.create_future(), deadline, now)
        self._queue.append(item)
        self._ahead += self._blocking(item)
        self._grow(1, rows)
        if self._pump is None:
            self._pump = loop.create_task(self._work())
        return await item.future

    def _grow(self, requests: int, rows: int) -> None:
        self._waiting += rows
        self._waits(requests, rows)

    async def _work(self) -> None:
        try:
            while batch := self._take():
                await self._run_batch(batch)
        finally:
            self._pump = None

    def _take(self) -> list[_Share]:
        """The shares of the next run, in the order their items came."""
        batch: list[_Share] = []
        room, unfinished = self._max_rows, []
        while self._queue and room > 0 and not (batch and self._queue[0].alone):
            item = self._queue.popleft()
            if self._is_dropped(item):
                self._ahead -= self._blocking(item)
                self._grow(-1, -item.waiting)
                continue
            share = self._share(item, room)
            batch.append(share)
            room = 0 if item.alone else room - (share.stop - share.start)
            if item.waiting:
                unfinished.append(item)
        # Behind the others: a large item does not hold up the small ones that came after it.
        self._queue.extend(unfinished)
        self._running = sum(share.stop - share.start for share in batch)
        return batch

    def _share(self, item: _Item, room: int) -> _Share:
        """The next rows of an item, now no longer waiting."""
        share = _Share(item, item.taken, item.rows if item.alone else min(item.taken + room, item.rows))
        self._ahead -= self._blocking(item)
        item.taken = share.stop
        self._ahead += self._blocking(item)
        self._grow(0 if item.waiting else -1, share.start - share.stop)
        return share

    def _is_dropped(self, item: _Item) -> bool:
        if item.future.done():
            return True
        needed = self._pace * self._cost.of(item.waiting)
        if item.deadline is not None and time.monotonic() + needed > item.deadline:
            item.future.set_exception(DeadlineExceeded())
            return True
        return False

    async def _run_batch(self, batch: list[_Share]) -> None:
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        outputs = _union(batch)
        try:
            arrays = await loop.run_in_executor(self._executor, self._run, _joined(batch), outputs)
        except Exception as error:
            await self._run_apart(batch, error)
            return
        finally:
            self._running = 0
        seconds = time.monotonic() - start
        self._learn(sum(share.stop - share.start for share in batch), seconds)
        _hand_out(batch, dict(zip(outputs, arrays, strict=True)), seconds)

    async def _run_apart(self, batch: list[_Share], error: Exception) -> None:
        """A batch failed: each share gets a run of its own, so that only the one at fault is refused."""
        if len(batch) == 1:
            _fail(batch[0].item, error)
            return
        for share in batch:
            if not share.item.future.done():
                await self._run_batch([share])

    def _learn(self, rows: int, seconds: float) -> None:
        self._ran(rows)
        expected = self._cost.of(rows)
        if expected:
            self._pace = _INERTIA * self._pace + (1 - _INERTIA) * seconds / expected


def _joined(batch: Sequence[_Share]) -> Feeds:
    if len(batch) == 1:
        return batch[0].feeds
    parts = [share.feeds for share in batch]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _union(batch: Sequence[_Share]) -> Sequence[str]:
    """What anybody in the batch wants."""
    if len(batch) == 1:
        return batch[0].item.outputs
    return list(dict.fromkeys(name for share in batch for name in share.item.outputs))


def _hand_out(batch: Sequence[_Share], results: Mapping[str, Array], seconds: float) -> None:
    start = 0
    for item, first, last in batch:
        stop = start + last - first
        item.run += seconds
        whole = len(batch) == 1
        _deliver(item, [results[name] if whole else results[name][start:stop] for name in item.outputs])
        start = stop


def _deliver(item: _Item, part: list[Array]) -> None:
    item.parts.append(part)
    if not item.waiting and not item.future.done():
        several = len(item.parts) > 1
        arrays = [np.concatenate(a) for a in zip(*item.parts, strict=True)] if several else item.parts[0]
        spent = time.monotonic() - item.arrived
        item.future.set_result(Outcome(arrays, round(max(spent - item.run, 0) * 1e9), round(item.run * 1e9)))


def _fail(item: _Item, error: Exception) -> None:
    if not item.future.done():
        item.future.set_exception(error)
