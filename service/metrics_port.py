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
from starlette.types import ASGIApp

from service.errors import AddressUnavailable
from service.settings import Settings

_CONNECTIONS = 32
_IDLE_SECONDS = 65


class _Inner(uvicorn.Server):
    """A server that leaves the signals to the one around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(app: ASGIApp, settings: Settings, *, shared: bool) -> AsyncIterator[int]:
    """Serve an application on `metrics_port` meanwhile; the value is the port.

    Args:
        shared: other workers listen on the same port.

    Raises:
        AddressUnavailable: nothing can listen there.
    """
    with bind(settings.host, settings.metrics_port or 0, shared=shared) as listener:
        port: int = listener.getsockname()[1]
        server = _Inner(_config(app, settings))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield port
        finally:
            server.should_exit = True
            await running


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket on the address.

    Raises:
        AddressUnavailable: the port is taken, or the host is not one of this machine's.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(host, port, error.strerror or str(error)) from error
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
