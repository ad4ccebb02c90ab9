"""A port of its own for /metrics: a second, small server in the same process.

Every worker listens there, and whichever is asked answers for all. It holds few connections, and none for
long; TLS is that of the main port.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from service.errors import AddressUnavailable, RequestError
from service.routes.guard import Answer
from service.routes.metrics import metrics_route
from service.routes.surroundings import surround
from service.settings import Settings

_CONNECTIONS = 32
_IDLE_SECONDS = 65


class _Inner(uvicorn.Server):
    """A server that leaves the signals to the one around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def opened(state: State, answer: Answer) -> AsyncIterator[None]:
    """Answer /metrics on a port of its own meanwhile, if it has one; `state.metrics_port` says which.

    Raises:
        AddressUnavailable: nothing can listen there.
    """
    settings: Settings = state.settings
    if settings.metrics_port is None:
        yield
        return
    with bind(settings.host, settings.metrics_port) as listener:
        state.metrics_port = listener.getsockname()[1]
        server = _Inner(_config(_application(state, answer), settings))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await running


def _application(state: State, answer: Answer) -> Starlette:
    app = Starlette(routes=[metrics_route(state.exposition)])
    for kind in (RequestError, HTTPException):
        app.add_exception_handler(kind, answer)
    surround(app, state, answer)
    return app


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on the address, as those of other workers do.

    Raises:
        AddressUnavailable: the port is taken, or the host is not one of this machine's.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(host, port, error.strerror or str(error), "--metrics-port") from error
    return listener


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        ssl_keyfile_password=settings.ssl_keyfile_password,
        ssl_ca_certs=str(settings.ssl_ca_certs) if settings.ssl_ca_certs else None,
    )
