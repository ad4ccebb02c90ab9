"""Light requests that came in one turn of the event loop share a run, and nobody waits for more.

The loop hands over all the requests that have arrived before it does anything else. Each is decoded where it
arrives; when the last of them is, what was gathered for a model is joined, run once, and taken apart. A lone
request is run as it is. Of a turn with many, each pays its share of what a run costs beside its arithmetic,
and the weights are read once. Where that share is so large that more rows should be joined than are light,
they are run beside the loop, as those of a heavy model are.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

from service.model import ServedModel
from service.place import Place
from service.tally import Tally
from service.ways import Item, Reply, Way, hand_over, written


class Gathering:
    """The requests of one turn for the same outputs of one model, through one door."""

    __slots__ = ("_items", "_model", "_outputs", "_rows", "_tally", "_way")

    def __init__(self, model: ServedModel, way: Way, outputs: Sequence[str], tally: Tally) -> None:
        self._model = model
        self._tally = tally
        self._way = way
        self._outputs = outputs
        self._items: list[Item] = []
        self._rows = 0

    def has_room(self, rows: int) -> bool:
        """Whether so many rows may join: the run is still a light one, or much dearer for each alone."""
        model, together = self._model, self._rows + rows
        return model.is_row_wise and (model.is_light(together) or model.is_worth_sharing(together))

    def add(self, item: Item) -> None:
        """One more."""
        self._items.append(item)
        self._rows += item.rows

    def end(self) -> None:
        """Answer all of them, or have them wait for a run together."""
        if self._model.is_light(self._rows) and not self._model.joins(self._rows):
            self._answer(self._items)
            return
        for item in self._items:
            try:
                Place(item, self._model, self._way, self._tally).take(self._outputs)
            except Exception:  # no room, or no rows for the graph: that is told elsewhere
                hand_over(item, None)

    def _answer(self, items: list[Item]) -> None:
        try:
            replies = self._replies(items)
        except Exception:
            self._apart(items)
            return
        now = perf_counter_ns()
        for item in items:
            item.total = now - item.begun
        self._model.counters.answered_together(items, items[0].run, items[0].encode)
        self._tally.answered(200, len(items))
        for item, reply in zip(items, replies, strict=True):
            hand_over(item, written(reply, item))

    def _replies(self, items: list[Item]) -> list[Reply]:
        start = perf_counter_ns()
        arrays = self._model.run(self._way.join([item.part for item in items]), self._outputs)
        ran = perf_counter_ns()
        replies = self._way.write(items, arrays)
        run, encode = ran - start, perf_counter_ns() - ran
        for item in items:
            item.queue, item.run, item.encode = start - item.decoded, run, encode
        self._model.counters.ran(sum(item.rows for item in items))
        return replies

    def _apart(self, items: list[Item]) -> None:
        """One of them is at fault: each by itself. That one is left to the ordinary path, which meets the
        fault again, tells it and counts it."""
        if len(items) == 1:
            hand_over(items[0], None)
            return
        for item in items:
            self._answer([item])
