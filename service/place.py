"""A place in the queue of a heavy model, for a request that was decoded where it arrived.

To the batcher it is a promise like any other, but no task waits for it: the answer is written when it is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

from service.batch import Outcome
from service.model import ServedModel
from service.tally import Tally
from service.ways import Item, Reply, Way, hand_over, written


class Place:
    """Holds a request's place until its rows are done, or nobody waits for them."""

    __slots__ = ("_item", "_model", "_tally", "_way")

    def __init__(self, item: Item, model: ServedModel, way: Way, tally: Tally) -> None:
        self._item = item
        self._model = model
        self._way = way
        self._tally = tally

    def take(self, outputs: Sequence[str]) -> None:
        """Wait from now on.

        Raises:
            Exception: the rows do not go into the graph, or there is no room for them.
        """
        feeds = self._way.join([self._item.part])
        self._model.enqueue(feeds, outputs, self._item.rows, self)

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self._item.left

    def set_result(self, outcome: Outcome, /) -> None:
        """The rows are done: answer."""
        item = self._item
        item.left = True
        try:
            reply = self._reply(outcome)
        except Exception:
            hand_over(item, None)
            return
        self._model.counters.answered_together([item], item.run, item.encode)
        self._tally.answered(200)
        hand_over(item, written(reply, item))

    def set_exception(self, _: BaseException, /) -> None:
        """They will never be: the ordinary path meets the fault again, tells it and counts it."""
        self._item.left = True
        hand_over(self._item, None)

    def _reply(self, outcome: Outcome) -> Reply:
        item, start = self._item, perf_counter_ns()
        [reply] = self._way.write([item], outcome.arrays)
        now = perf_counter_ns()
        item.queue, item.run = outcome.queue, outcome.run
        item.encode, item.total = now - start, now - item.begun
        return reply
