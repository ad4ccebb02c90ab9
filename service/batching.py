"""Rows waiting → one run. Knows neither HTTP nor ONNX.

The life of one item: `submit_nowait` puts its rows in the queue, or refuses them when the queue is full or
the answer would come too late. If nothing runs, a run starts in this turn of the event loop, or in the first
that brings nothing more; rows that arrive during a run form the next batch. So batching waits for nothing but
the loop's own work. Items that nobody waits for any more, or whose deadline cannot be met, are dropped before
the run. An item with more rows than fit in one run takes part in several, and small items are let through in
between. When the last of its rows are done, its own promise gets its own part of the results. When a run of
several items fails, each is run again by itself: only the one at fault is refused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial

from service.batch import (
    Array,
    Batch,
    Feeds,
    Item,
    Outcome,
    Promise,
    Run,
    Share,
    computed,
    hand_out,
    rows_of,
)
from service.cost import Cost
from service.errors import DeadlineExceeded, Overloaded

_Ran = Future[dict[str, Array]]
_Ended = Callable[[_Ran], None]

_INERTIA = 0.9
"""How much of the pace is kept when a run tells another."""


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
        beside: whether runs leave the event loop a core. If they do, a run follows the other while the loop
            hands out and reads; if not, it comes after that, and has the rows of those who were quick.
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
        beside: bool = True,
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
        self._beside = beside
        self._waits = waits
        self._ran = ran
        self._queue: deque[Item] = deque()
        self._apart: deque[Share] = deque()
        """Shares of a run that failed: each gets one of its own."""
        self._waiting = self._ahead = self._running = 0
        self._seen, self._patience = 0, 0.0
        """How many rows waited a turn ago, and until when a run may be put off for more."""
        self._busy = False
        """Whether a run is under way, or about to start."""

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return self._waiting

    @property
    def at_hand(self) -> int:
        """How many rows wait or are in a run."""
        return self._waiting + self._running

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

    def _blocking(self, item: Item) -> int:
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
        """The outputs for these rows, as `submit_nowait` promises them; raises what it raises."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.submit_nowait(feeds, outputs, rows, future, timeout, alone=alone)
        return await future

    def submit_nowait(
        self,
        feeds: Feeds,
        outputs: Sequence[str],
        rows: int,
        promise: Promise,
        timeout: float | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """Promise the outputs for these rows, computed together with those of others unless they must be
        `alone`.

        Raises:
            Overloaded: too many rows wait already.
            DeadlineExceeded: the timeout, in seconds, would pass before the rows are done.
        """
        before = self._before(rows)
        if before and before + rows > (most := self._most(rows)):
            raise Overloaded(before, int(most), self.expected(0))
        if timeout is not None and self.expected(rows) > timeout:
            raise DeadlineExceeded
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        item = Item(feeds, outputs, rows, alone or not self._together, promise, deadline, now)
        self._queue.append(item)
        self._ahead += self._blocking(item)
        self._grow(1, rows)
        if not self._busy:
            self._start_soon(now)

    def _grow(self, requests: int, rows: int) -> None:
        self._waiting += rows
        self._waits(requests, rows)

    def _start_soon(self, now: float) -> None:
        # What waiting may save is what another run would cost beside its rows: it shall not cost more.
        self._busy, self._patience = True, now + self._pace * self._cost.fixed
        self._next_turn()

    def _next_turn(self) -> None:
        self._seen = self._waiting
        asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Begin a run, unless this turn of the loop has brought more and the next may do so too."""
        more = self._together and self._seen < self._waiting < self._max_rows
        if more and time.monotonic() < self._patience:
            self._next_turn()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Begin the next run, or rest."""
        batch = self._take()
        self._running = rows_of(batch)
        self._busy = bool(batch)
        if batch:
            self._begin(batch)

    def _take(self) -> Batch:
        """The shares of the next run, in the order their items came."""
        while self._apart:
            share = self._apart.popleft()
            if not share.item.promise.done():
                return [share]
        batch: list[Share] = []
        room, unfinished = self._max_rows, []
        while self._queue and room > 0 and not (batch and self._queue[0].alone):
            item = self._queue.popleft()
            if self._is_dropped(item):
                self._ahead -= self._blocking(item)
                self._grow(-1, -item.waiting)
                continue
            share = self._share(item, room)
            batch.append(share)
            room = 0 if item.alone else room - share.rows
            if item.waiting:
                unfinished.append(item)
        # Behind the others: a large item does not hold up the small ones that came after it.
        self._queue.extend(unfinished)
        return batch

    def _share(self, item: Item, room: int) -> Share:
        """The next rows of an item, now no longer waiting."""
        share = Share(item, item.taken, item.rows if item.alone else min(item.taken + room, item.rows))
        self._ahead -= self._blocking(item)
        item.taken = share.stop
        self._ahead += self._blocking(item)
        self._grow(0 if item.waiting else -1, -share.rows)
        return share

    def _is_dropped(self, item: Item) -> bool:
        if item.promise.done():
            return True
        needed = self._pace * self._cost.of(item.waiting)
        if item.deadline is not None and time.monotonic() + needed > item.deadline:
            item.fail(DeadlineExceeded())
            return True
        return False

    def _begin(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        ended = partial(self._end, batch, time.monotonic())
        try:
            running = self._executor.submit(computed, self._run, batch)
        except RuntimeError as error:  # it takes no more work
            refused: _Ran = Future()
            refused.set_exception(error)
            loop.call_soon(ended, refused)
        else:
            running.add_done_callback(partial(_tell, loop, ended))

    def _end(self, batch: Batch, start: float, ran: _Ran) -> None:
        """A run is over: hand out what it made."""
        now = time.monotonic()
        self._running = 0
        if (error := ran.exception()) is not None:
            self._fail(batch, error)
            self._go_on()
            return
        self._learn(rows_of(batch), now - start)
        if self._beside or self._apart:
            self._go_on()
            _hand_out(batch, ran.result(), now - start)
        else:
            _hand_out(batch, ran.result(), now - start)
            self._start_soon(time.monotonic())

    def _fail(self, batch: Batch, error: BaseException) -> None:
        if len(batch) == 1:
            batch[0].item.fail(error)
        else:
            self._apart.extend(batch)

    def _learn(self, rows: int, seconds: float) -> None:
        self._ran(rows)
        expected = self._cost.of(rows)
        if expected:
            self._pace = _INERTIA * self._pace + (1 - _INERTIA) * seconds / expected


def _hand_out(batch: Batch, results: Mapping[str, Array], seconds: float) -> None:
    try:
        hand_out(batch, results, seconds)
    except Exception as error:  # outputs that have no part for each: nobody shall wait for ever
        for share in batch:
            share.item.fail(error)


def _tell(loop: asyncio.AbstractEventLoop, ended: _Ended, ran: _Ran) -> None:
    """From the executor's thread: the loop shall know; one that is closed needs to know no more."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(ended, ran)
