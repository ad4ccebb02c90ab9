"""A request of the fast lane, and its way: what was decoded becomes feeds, outputs become an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.model import Door, TensorDoor
from service.payloads.oip import InferRequest
from service.routes.gate import timing
from service.routes.oip_infer import reply_headers

_log = logging.getLogger("foldserve.requests")

Array = NDArray[Any]
Tell = Callable[[bytes | None], None]
_JSON = b"content-type: application/json\r\n"


class Reply(NamedTuple):
    """An answer with status 200: its header lines but for the length and the marks, and its body."""

    head: bytes
    body: bytes


class Item:
    """One request that waits for its run. Times are nanoseconds.

    Attributes:
        part: what was decoded.
        begun: when its body was here, by `time.perf_counter_ns`.
        decoded: when it was decoded.
        tell: takes the whole answer; None when the ordinary path must give it.
        left: nobody waits for it any more.
        encode: how long the answers of its run took to write, all of them: it had to wait for them.
    """

    __slots__ = (
        *("begun", "decode", "decoded", "encode", "left", "part", "queue", "request_id", "rows", "run"),
        *("tell", "total"),
    )

    def __init__(self, request_id: str, part: Any, rows: int, begun: int, tell: Tell) -> None:
        self.request_id = request_id
        self.part = part
        self.rows = rows
        self.begun = begun
        self.decoded = perf_counter_ns()
        self.decode = self.decoded - begun
        self.tell = tell
        self.left = False
        self.queue = self.run = self.encode = self.total = 0


class Way(Protocol):
    """How what is gathered becomes feeds, and outputs become answers."""

    def join(self, parts: Sequence[Any]) -> Mapping[str, Array]:
        """The feeds of one run.

        Raises:
            Exception: they do not go together, or one of them not into the graph.
        """

    def write(self, items: Sequence[Item], arrays: Sequence[Array]) -> list[Reply]:
        """The answers, in the order of the items."""


class Rows:
    """The way of /predict; a part is a float64 array (rows, columns)."""

    def __init__(self, door: Door) -> None:
        self.join = door.decode.join
        self._encode = door.encode

    def write(self, items: Sequence[Item], arrays: Sequence[Array]) -> list[Reply]:
        """The answers, in the order of the items."""
        bodies = self._encode.together([item.rows for item in items], *arrays)
        return [Reply(_JSON, body) for body in bodies]


class Tensors:
    """The way of the Open Inference Protocol; a part is a request."""

    def __init__(self, door: TensorDoor) -> None:
        self._encode = door.encode

    def join(self, parts: Sequence[InferRequest]) -> Mapping[str, Array]:
        """The feeds of one run."""
        if len(parts) == 1:
            return parts[0].feeds
        return {name: np.concatenate([part.feeds[name] for part in parts]) for name in parts[0].feeds}

    def write(self, items: Sequence[Item], arrays: Sequence[Array]) -> list[Reply]:
        """The answers, in the order of the items."""
        if len(items) == 1:
            return [self._reply(items[0], arrays)]
        ends = accumulate(item.rows for item in items)
        spans = [slice(end - item.rows, end) for item, end in zip(items, ends, strict=True)]
        return [
            self._reply(item, [array[span] for array in arrays])
            for item, span in zip(items, spans, strict=True)
        ]

    def _reply(self, item: Item, arrays: Sequence[Array]) -> Reply:
        answer = self._encode(item.part, arrays)
        head = b"".join([b"%b: %b\r\n" % header for header in reply_headers(answer)])
        return Reply(head, answer.body)


def hand_over(item: Item, answer: bytes | None) -> None:
    """Tell its connection the answer."""
    try:
        item.tell(answer)
    except Exception:  # one connection's trouble, and others wait for their answers
        _log.exception("an answer could not be handed over")


def written(reply: Reply, item: Item) -> bytes:
    """The answer as uvicorn writes it."""
    marks = f"x-request-id: {item.request_id}\r\nserver-timing: {timing(item)}\r\n\r\n".encode()
    length = b"content-length: %d\r\n" % len(reply.body)
    return b"".join((b"HTTP/1.1 200 OK\r\n", reply.head, length, marks, reply.body))
