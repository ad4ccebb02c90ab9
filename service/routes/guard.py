"""What stands between the gate and the routes: nobody without a key gets in, no traceback gets out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Unauthorized
from service.keys import Keys
from service.routes.gate import WATCH
from service.watch import Watch

Answer = Callable[[Request, Exception], Awaitable[Response]]

OPEN_PATHS = frozenset(
    {"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/health", "/ping"}
)
"""The doors that need no key: whoever asks them has none, and learns only whether there is an answer."""


class Guard:
    """ASGI middleware inside the gate.

    Args:
        keys: who gets in; None lets everybody in.
        open_paths: what is answered without a key.
        answer: how an error is told to the caller.
    """

    def __init__(self, app: ASGIApp, keys: Keys | None, open_paths: Collection[str], answer: Answer) -> None:
        self._app = app
        self._keys = keys
        self._open_paths = open_paths
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or tell why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if self._keys is not None and scope["path"] not in self._open_paths:
                self._keys.check(scope["headers"])
            await self._app(scope, receive, send)
        except Exception as error:
            watch: Watch = scope[WATCH]
            if not isinstance(error, Unauthorized):
                watch.fault = error
            if watch.status:
                # Too late for another answer: the server closes the connection.
                raise
            answer = await self._answer(Request(scope, receive), error)
            await answer(scope, receive, send)
