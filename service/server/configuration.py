"""What uvicorn is told, the same for every port of HTTP."""

from __future__ import annotations

import ssl
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from service.server.connection import Connection
from service.server.sockets import BACKLOG
from service.settings import Settings


def configuration(
    app: ASGIApp, settings: Settings, *, lifespan: Literal["on", "off"], grace: int | None = None
) -> uvicorn.Config:
    """Our connections, no log of its own, the operator's certificate; `grace` in seconds at the end."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan=lifespan,
        proxy_headers=False,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=grace,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        ssl_keyfile_password=settings.ssl_keyfile_password,
        ssl_ca_certs=str(settings.ssl_ca_certs) if settings.ssl_ca_certs else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.ssl_ca_certs else ssl.CERT_NONE,
    )
