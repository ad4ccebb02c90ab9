"""The fast lane: predictions that are decoded where the parser completes the message.

No ASGI scope, no task, no middleware. What light models are asked is answered in the same turn of the event
loop, what heavy ones are asked when their run is done. What is not the usual request is left to the ordinary
path, with nothing done that could not be done again: a refusal, too, is always that path's. The bytes of an
answer are the ordinary path's, and so are keys, limits, counts and times.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from time import perf_counter_ns
from typing import Any, NamedTuple

from starlette.datastructures import State

from service import telemetry
from service.gathering import Gathering
from service.keys import Keys
from service.model import ServedModel
from service.place import Place
from service.repository import Repository
from service.routes.compression import wanted
from service.routes.gate import request_id
from service.routes.hot import INLINE_BYTES, STRICT_BYTES
from service.settings import Settings
from service.tally import Tally
from service.ways import Item, Rows, Tell, Tensors, Way

Headers = Sequence[tuple[bytes, bytes]]

_PATH = re.compile(
    rb"/predict|/models/([\w.-]+)(?:/versions/([\w.-]+))?/predict"
    rb"|/v2/models/([\w.-]+)(?:/versions/([\w.-]+))?/infer"
)
_JSON = b"application/json"
_BINARY = b"application/octet-stream"
_ANY_JSON = (None, b"*/*", _JSON)
_NOT_HERE = frozenset(
    {b"content-encoding", b"expect", b"transfer-encoding", b"upgrade", b"x-request-timeout-ms"}
)
_KEPT = {
    b"content-type": 0,
    b"accept": 1,
    b"accept-encoding": 2,
    b"inference-header-content-length": 3,
    b"x-request-id": 4,
}

_log = logging.getLogger("foldserve.requests")


class Target(NamedTuple):
    """What a request asks for.

    Attributes:
        tensors: through the door of the Open Inference Protocol rather than through /predict.
        name: the model; None for the default one.
    """

    tensors: bool
    name: str | None
    version: str | None


class FastLane:
    """The fast lane of one application; `longest` is the longest body that it takes.

    Args:
        state: the application's.
    """

    def __init__(self, state: State) -> None:
        settings: Settings = state.settings
        self._repository: Repository = state.repository
        self._keys: Keys | None = state.keys
        self._tally: Tally = state.tally
        self._most_rows = settings.max_rows
        self._gathered: dict[tuple[int, bool, tuple[str, ...]], Gathering] = {}
        self.longest = min(INLINE_BYTES, settings.max_body_bytes)

    @classmethod
    def of(cls, state: State) -> FastLane | None:
        """The lane, unless it is switched off or every request must pass what only the ordinary path has."""
        settings: Settings = state.settings
        observed = telemetry.configuration(()) is not telemetry.OFF
        return cls(state) if settings.fast_lane and not settings.cors_origins and not observed else None

    def take(self, target: Target, headers: Headers, body: bytes, tell: Tell) -> Item | None:
        """The request, when it is taken. `tell` gets its answer at the end of this turn of the loop, or when
        the run of a heavy model is done; None when it is the ordinary path that must give it after all."""
        if _log.isEnabledFor(logging.DEBUG):  # it tells of each request
            return None
        try:
            return self._take(target, headers, body, tell)
        except Exception:
            # Whatever it is: the ordinary path meets it again, tells it and counts it.
            return None

    def flush(self) -> None:
        """Answer what light models were asked in this turn, now."""
        gathered, self._gathered = self._gathered, {}
        for gathering in gathered.values():
            gathering.end()

    def _take(self, target: Target, headers: Headers, body: bytes, tell: Tell) -> Item | None:
        begun = perf_counter_ns()
        kept = _kept(headers)
        if kept is None:
            return None
        if self._keys is not None:
            self._keys.check(headers)
        model = self._repository.find(target.name, target.version)
        part = (_tensors if target.tensors else _rows)(model, kept, body)
        if part is None or part.rows > self._most_rows:
            return None
        item = Item(_name(kept[4]), part.content, part.rows, begun, tell)
        if model.is_light(part.rows):
            self._gather(model, target, part, item)
        else:
            Place(item, model, _way(model, target), self._tally).take(part.outputs)
        return item

    def _gather(self, model: ServedModel, target: Target, part: _Part, item: Item) -> None:
        """Put it to those that it can share a run with."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self.flush)
        key = (id(model), target.tensors, part.outputs)
        gathering = self._gathered.get(key)
        if gathering is None or not (part.joins and gathering.has_room(part.rows)):
            if gathering is not None:
                del self._gathered[key]
                gathering.end()
            way = _way(model, target)
            gathering = self._gathered[key] = Gathering(model, way, part.outputs, self._tally)
        gathering.add(item)


@lru_cache(1024)
def target(url: bytes) -> Target | None:
    """What an address asks for; None for one that is not a prediction's."""
    found = _PATH.fullmatch(url)
    if found is None:
        return None
    parts = [None if part is None else part.decode() for part in found.groups()]
    return Target(parts[2] is not None, parts[0] or parts[2], parts[1] or parts[3])


def _way(model: ServedModel, target: Target) -> Way:
    return Tensors(model.tensors) if target.tensors else Rows(model.door)


class _Part(NamedTuple):
    """What was decoded.

    Attributes:
        outputs: what is wanted of the graph.
        joins: whether its rows may stand among those of others.
    """

    content: Any
    rows: int
    outputs: tuple[str, ...]
    joins: bool = True


def _rows(model: ServedModel, kept: Sequence[bytes | None], body: bytes) -> _Part | None:
    if kept[0] != _JSON or kept[1] not in _ANY_JSON:
        return None
    door = model.door
    values = door.decode.part(body)
    return None if values is None else _Part(values, len(values), door.signature.outputs)


def _tensors(model: ServedModel, kept: Sequence[bytes | None], body: bytes) -> _Part | None:
    if kept[0] not in (None, _JSON, _BINARY) or _wants_packing(kept[2]):
        return None
    decode = model.tensors.decode
    if len(body) > STRICT_BYTES and decode.has_text:
        return None
    request = decode.usual(body, None if kept[3] is None else kept[3].decode("latin-1"))
    if request is None or request.timeout is not None:
        return None
    outputs = tuple(output.name for output in request.outputs)
    joins = all(array.ndim and len(array) == request.rows for array in request.feeds.values())
    return _Part(request, request.rows, outputs, joins)


def _name(given: bytes | None) -> str:
    return request_id(() if given is None else ((b"x-request-id", given),))


def _kept(headers: Headers) -> list[bytes | None] | None:
    """The headers that decide, each at most once; None when there is one that is not for this lane."""
    kept: list[bytes | None] = [None] * len(_KEPT)
    for name, value in headers:
        if (place := _KEPT.get(name)) is not None:
            if kept[place] is not None:
                return None
            kept[place] = value
        elif name in _NOT_HERE:
            return None
    return kept


def _wants_packing(accept: bytes | None) -> bool:
    return accept is not None and wanted(accept.decode("latin-1")) is not None
