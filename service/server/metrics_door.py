"""A port of its own for /metrics: a second, small server in the same process.

Every worker listens there, and whichever is asked answers for all. It has the certificate of the main port
and its limits, but for fewer connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from service.app import answer
from service.errors import RequestError
from service.routes.metrics import metrics_route
from service.routes.surroundings import surround
from service.server.configuration import configuration
from service.server.patience import Limits, Shared
from service.server.sockets import listen
from service.settings import Settings

_CONNECTIONS = 32


class _Inner(uvicorn.Server):
    """A server that leaves the signals to the one around it."""

    def __init__(self, app: Starlette, settings: Settings) -> None:
        super().__init__(configuration(app, settings, lifespan="off", grace=1))
        self.server_state: Shared = Shared(replace(Limits.of(settings), connections=_CONNECTIONS))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def metrics_door(app: FastAPI) -> AsyncIterator[None]:
    """Answer /metrics on a port of its own meanwhile, if it has one.

    Raises:
        AddressUnavailable: nothing can listen there.
    """
    settings: Settings = app.state.settings
    if settings.metrics_port is None:
        yield
        return
    with listen(settings.host, settings.metrics_port, shared=True, flag="--metrics-port") as listener:
        server = _Inner(_application(app), settings)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await running


def _application(app: FastAPI) -> Starlette:
    own = Starlette(routes=[metrics_route(app.state.ledger, app.state.labels)])
    for kind in (RequestError, HTTPException):
        own.add_exception_handler(kind, answer)
    surround(own, app.state, answer)
    return own
