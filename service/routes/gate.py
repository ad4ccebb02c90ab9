"""What every request passes on its way in and every answer on its way out, whatever the route.

In: a name for the request, and a watch. Out: that name, and where the time went.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.watch import Watch

WATCH = "foldserve.watch"
"""The key under which a request's scope holds its watch."""

_ID = b"x-request-id"
_SOUND_ID = re.compile(rb"[!-~]{1,128}")


class Gate:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = scope[WATCH] = Watch(request_id(scope["headers"]))

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *marks(watch)]
            await send(message)

        await self._app(scope, receive, send_marked)


def marks(watch: Watch) -> list[tuple[bytes, bytes]]:
    """The headers that every answer carries: X-Request-Id and Server-Timing, in milliseconds."""
    timing = b"decode;dur=%.3f, queue;dur=%.3f, run;dur=%.3f, encode;dur=%.3f" % (
        watch.decode / 1e6,
        watch.queue / 1e6,
        watch.run / 1e6,
        watch.encode / 1e6,
    )
    return [(_ID, watch.request_id.encode()), (b"server-timing", timing)]


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own, when it is short and printable, else one of ours."""
    given = next((value for name, value in headers if name == _ID), b"")
    return given.decode() if _SOUND_ID.fullmatch(given) else secrets.token_hex(8)
