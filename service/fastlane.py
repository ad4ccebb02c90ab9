"""The fast lane: predictions of light models, answered where the parser completes the message.

No ASGI scope, no task, no middleware. What is not the usual request for a light model is left to the ordinary
path, with nothing done that could not be done again: a refusal, too, is always that path's. The bytes of an
answer are the ordinary path's, and so are keys, limits, counts and times.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.datastructures import State

from service import telemetry
from service.keys import Keys
from service.model import ServedModel
from service.repository import Repository
from service.routes.compression import wanted
from service.routes.gate import marks, request_id
from service.routes.hot import INLINE_BYTES, STRICT_BYTES
from service.routes.oip_infer import reply_headers
from service.settings import Settings
from service.tally import Tally
from service.watch import Watch

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
_KEPT = {b"content-type": 0, b"accept": 1, b"accept-encoding": 2, b"inference-header-content-length": 3}
_PREDICT_HEADERS = [(b"content-type", _JSON)]

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


class _Reply(NamedTuple):
    headers: list[tuple[bytes, bytes]]
    body: bytes


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
        self.longest = min(INLINE_BYTES, settings.max_body_bytes)

    @classmethod
    def of(cls, state: State) -> FastLane | None:
        """The lane, unless it is switched off or every request must pass what only the ordinary path has."""
        settings: Settings = state.settings
        observed = telemetry.configuration(()) is not telemetry.OFF
        return cls(state) if settings.fast_lane and not settings.cors_origins and not observed else None

    def answer(self, target: Target, headers: Headers, body: bytes) -> bytes | None:
        """The whole answer, or None when the ordinary path must give it."""
        if _log.isEnabledFor(logging.DEBUG):  # it tells of each request
            return None
        watch = Watch(request_id(headers))
        try:
            return self._answer(target, headers, body, watch)
        except Exception:
            # Whatever it is: the ordinary path meets it again, tells it and counts it.
            return None

    def _answer(self, target: Target, headers: Headers, body: bytes, watch: Watch) -> bytes | None:
        if self._keys is not None:
            self._keys.check(headers)
        model = self._repository.find(target.name, target.version)
        if not model.is_light(1):
            return None
        watch.begin()
        reply = (_infer if target.tensors else _predict)(model, headers, body, watch, self._most_rows)
        if reply is None:
            return None
        watch.end()
        model.counters.answered(watch)
        self._tally.answered(200)
        return _written(reply, watch)


@lru_cache(1024)
def target(url: bytes) -> Target | None:
    """What an address asks for; None for one that is not a prediction's."""
    found = _PATH.fullmatch(url)
    if found is None:
        return None
    parts = [None if part is None else part.decode() for part in found.groups()]
    return Target(parts[2] is not None, parts[0] or parts[2], parts[1] or parts[3])


def _predict(
    model: ServedModel, headers: Headers, body: bytes, watch: Watch, most_rows: int
) -> _Reply | None:
    kept = _kept(headers)
    if kept is None or kept[0] != _JSON or kept[1] not in _ANY_JSON:
        return None
    door = model.door
    feeds = door.decode.usual(body)
    if feeds is None:
        return None
    watch.rows = rows = door.signature.count(feeds)
    watch.decode = watch.lap()
    if rows > most_rows or not model.is_light(rows):
        return None
    arrays = model.run_at_once(feeds, door.signature.outputs, rows, watch)
    watch.lap()
    answer = door.encode(*arrays)
    watch.encode = watch.lap()
    return _Reply(_PREDICT_HEADERS, answer)


def _infer(model: ServedModel, headers: Headers, body: bytes, watch: Watch, most_rows: int) -> _Reply | None:
    kept = _kept(headers)
    if kept is None or kept[0] not in (None, _JSON, _BINARY) or _wants_packing(kept[2]):
        return None
    tensors = model.tensors
    if len(body) > STRICT_BYTES and tensors.decode.has_text:
        return None
    request = tensors.decode.usual(body, None if kept[3] is None else kept[3].decode("latin-1"))
    if request is None or request.timeout is not None:
        return None
    watch.rows = rows = request.rows
    watch.decode = watch.lap()
    if rows > most_rows or not model.is_light(rows):
        return None
    names = [output.name for output in request.outputs]
    arrays = model.run_at_once(request.feeds, names, rows, watch)
    watch.lap()
    answer = tensors.encode(request, arrays)
    watch.encode = watch.lap()
    return _Reply(reply_headers(answer), answer.body)


def _kept(headers: Headers) -> list[bytes | None] | None:
    """The headers that decide, each at most once; None when there is one that is not for this lane."""
    kept: list[bytes | None] = [None, None, None, None]
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


def _written(reply: _Reply, watch: Watch) -> bytes:
    """The answer as uvicorn writes it."""
    length = (b"content-length", b"%d" % len(reply.body))
    head = [b"%s: %s\r\n" % header for header in (*reply.headers, length, *marks(watch))]
    return b"".join((b"HTTP/1.1 200 OK\r\n", *head, b"\r\n", reply.body))
