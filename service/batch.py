"""What shares a run: items that wait, the share that each of them has in a run, and what it gets back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Feeds = Mapping[str, Array]
"""Arrays by name; the first dimension of each is the rows."""

Run = Callable[[Feeds, Sequence[str]], Sequence[Array]]
"""Feeds and the names of outputs → the outputs, in that order; their first dimension is the rows."""


class Outcome(NamedTuple):
    """What became of one item: its outputs in the order asked for, and its times in nanoseconds."""

    arrays: list[Array]
    queue: int
    run: int


class Promise(Protocol):
    """Who waits for an item, as an `asyncio.Future` does: told once, on the loop's thread."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, outcome: Outcome, /) -> None:
        """The rows are done."""

    def set_exception(self, error: BaseException, /) -> None:
        """They never will be."""


@dataclass(eq=False)
class Item:
    """Rows that wait, and whoever waits for them.

    Attributes:
        alone: it gets a run of its own, with all of its rows.
        deadline: the clock's time after which nobody wants the answer; None for no limit.
        taken: how many of its rows have been given to a run.
        done: how many have come back.
    """

    feeds: Feeds
    outputs: Sequence[str]
    rows: int
    alone: bool
    promise: Promise
    deadline: float | None
    arrived: float
    taken: int = 0
    done: int = 0
    run: float = 0.0
    parts: list[list[Array]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many of its rows no run has taken."""
        return self.rows - self.taken

    def receive(self, part: list[Array], rows: int, seconds: float) -> None:
        """The outputs of its next rows, from a run that took so long."""
        self.done += rows
        self.run += seconds
        self.parts.append(part)
        if self.done < self.rows or self.promise.done():
            return
        several = len(self.parts) > 1
        arrays = [np.concatenate(a) for a in zip(*self.parts, strict=True)] if several else self.parts[0]
        queued = max(time.monotonic() - self.arrived - self.run, 0)
        self.promise.set_result(Outcome(arrays, round(queued * 1e9), round(self.run * 1e9)))

    def fail(self, error: BaseException) -> None:
        """There will be no outputs."""
        if not self.promise.done():
            self.promise.set_exception(error)


class Share(NamedTuple):
    """The rows of an item that take part in one run."""

    item: Item
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return self.stop - self.start

    @property
    def feeds(self) -> Feeds:
        """The rows themselves."""
        if self.rows == self.item.rows:
            return self.item.feeds
        return {name: array[self.start : self.stop] for name, array in self.item.feeds.items()}


Batch = Sequence[Share]
"""What one run computes."""


def rows_of(batch: Batch) -> int:
    """How many rows it has."""
    return sum(share.rows for share in batch)


def outputs_of(batch: Batch) -> Sequence[str]:
    """What anybody in it wants."""
    if len(batch) == 1:
        return batch[0].item.outputs
    return list(dict.fromkeys(name for share in batch for name in share.item.outputs))


def computed(run: Run, batch: Batch) -> dict[str, Array]:
    """What a run makes of it, by name; on any thread."""
    outputs = outputs_of(batch)
    return dict(zip(outputs, run(_joined(batch), outputs), strict=True))


def hand_out(batch: Batch, results: Mapping[str, Array], seconds: float) -> None:
    """Give every item its own part of what a run made."""
    if len(batch) == 1:
        item = batch[0].item
        item.receive([results[name] for name in item.outputs], batch[0].rows, seconds)
        return
    start = 0
    for share in batch:
        stop = start + share.rows
        part = [results[name][start:stop] for name in share.item.outputs]
        share.item.receive(part, share.rows, seconds)
        start = stop


def _joined(batch: Batch) -> Feeds:
    if len(batch) == 1:
        return batch[0].feeds
    parts = [share.feeds for share in batch]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
