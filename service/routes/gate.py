"""What every request passes on its way in and every answer on its way out, whatever the route.

In: a name for the request, and a watch. Out: that name, where the time went, a count and a line in the log.
The line is written for every request at debug; for one that the server could not answer, always.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import telemetry
from service.tally import Tally
from service.watch import Watch

WATCH = "foldserve.watch"
"""The key under which a request's scope holds its watch."""

_ID = b"x-request-id"
_SOUND_ID = re.compile(rb"[!-~]{1,128}")

_log = logging.getLogger("foldserve.requests")


class Gate:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, tally: Tally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = scope[WATCH] = Watch(request_id(scope["headers"]))

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                watch.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *marks(watch)]
                if telemetry.REQUEST in scope:
                    telemetry.describe(scope, watch)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            self._tally.answered(watch.status)
            if is_told(watch):
                _report(scope, watch)


class Timed(Protocol):
    """Who asked, and where the time went, in nanoseconds."""

    request_id: str
    decode: int
    queue: int
    run: int
    encode: int


def marks(watch: Timed) -> list[tuple[bytes, bytes]]:
    """The headers that every answer carries: X-Request-Id and Server-Timing, in milliseconds."""
    return [(_ID, watch.request_id.encode()), (b"server-timing", timing(watch).encode())]


def timing(watch: Timed) -> str:
    """Where the time went, as the header Server-Timing has it."""
    return (
        f"decode;dur={watch.decode / 1e6:.3f}, queue;dur={watch.queue / 1e6:.3f}, "
        f"run;dur={watch.run / 1e6:.3f}, encode;dur={watch.encode / 1e6:.3f}"
    )


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own, when it is short and printable, else one of ours."""
    for name, value in headers:
        if name == _ID:
            if _SOUND_ID.fullmatch(value):
                return value.decode()
            break
    return f"{random.getrandbits(64):016x}"  # a name, not a secret


def is_told(watch: Watch) -> bool:
    """Whether the log tells of a request that has ended."""
    return watch.status >= 500 or _log.isEnabledFor(logging.DEBUG)


def report(watch: Watch, method: str, path: str, client: str | None, **more: str) -> None:
    """Tell of a request: never its body, its query or who it claims to be."""
    level = logging.DEBUG if watch.status < 500 else logging.WARNING
    level = logging.ERROR if watch.fault is not None else level
    told = {
        "request_id": watch.request_id,
        "method": method,
        "path": path,
        "status": watch.status or None,
        "model": watch.model,
        "version": watch.version,
        "rows": watch.rows or None,
        "error": watch.error,
        "client": client,
        **more,
        "total_ms": round(watch.since_arrival() / 1e6, 3),
    }
    times = {f"{phase}_ms": round(spent / 1e6, 3) for phase, spent in watch.phases().items() if spent}
    facts = {name: value for name, value in told.items() if value is not None} | times
    message = f"{method} {path} {watch.status or 'got no answer'}"
    _log.log(level, message, extra={"facts": facts}, exc_info=watch.fault)


def _report(scope: Scope, watch: Watch) -> None:
    client = ":".join(map(str, scope.get("client") or ())) or None
    more = {"trace_id": telemetry.trace_id(scope)} if telemetry.REQUEST in scope else {}
    report(watch, scope["method"], scope["path"], client, **more)
