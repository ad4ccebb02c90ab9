"""The gRPC server: its port, its limits, its certificate, its start and its end.

It runs in the event loop of the HTTP server, on the same models, and begins and ends with the application.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

# What fails is told once, by our own error; the core's lines beside it are for its developers.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.aio
from starlette.datastructures import State

from service.errors import AddressUnavailable, GrpcUnavailable
from service.grpc import health, servicer
from service.grpc.calls import Caller, Judge, Metadata
from service.grpc.infer import Stream, model_infer
from service.grpc.messages import HEALTH, INFERENCE, class_of, methods
from service.settings import Settings

_STEP = 0.02


def everyone(_: Metadata) -> None:
    """The judge that lets every call pass."""


class GrpcDoor:
    """The door of one worker; `opened` opens it.

    Args:
        state: the application's.
        judge: lets a call pass, or raises the error of its refusal, by its metadata. Health is open to all.

    Raises:
        GrpcUnavailable: its certificate cannot be used.
    """

    def __init__(self, state: State, judge: Judge = everyone) -> None:
        self._state = state
        self._settings: Settings = state.settings
        self._caller = Caller(state, judge)
        self._credentials = _credentials(self._settings)
        self._server: Any = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        """Serve on the port that is given; at the end finish calls in flight, unless `drain` was called.

        Raises:
            AddressUnavailable: the port is taken, or the host is not one of this machine's.
        """
        self._server = server = grpc.aio.server(
            options=_options(self._settings), maximum_concurrent_rpcs=self._settings.max_connections
        )
        server.add_generic_rpc_handlers(_handlers(self._caller))
        port = self._bind(server)
        await server.start()
        try:
            yield port
        finally:
            drained = self._caller.closing.is_set()
            self._caller.closing.set()
            await server.stop(None if drained else self._settings.shutdown_timeout)

    async def drain(self, quiet: float) -> None:
        """Refuse calls that begin, and return when those in flight are finished.

        A client is told UNAVAILABLE, which may be tried again, at another server. What comes in the moment
        in which the core stops would be cancelled instead, so it stops after `quiet` seconds of that.
        """
        self._caller.closing.set()
        await asyncio.sleep(quiet)
        while self._caller.running:
            await asyncio.sleep(_STEP)
        await self._server.stop(None)

    def _bind(self, server: Any) -> int:
        host, port = self._settings.host, self._settings.grpc_port or 0
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._credentials is None:
                return int(server.add_insecure_port(address))
            return int(server.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise AddressUnavailable(host, port, "it is taken, or not one of this machine's") from error


def _handlers(caller: Caller) -> tuple[Any, ...]:
    inference = {
        name: caller.unary(
            f"/{INFERENCE}/{name}",
            handler,
            class_of(method.input_type),
            class_of(method.output_type),
            is_open=name in servicer.OPEN,
        )
        for name, method in methods(INFERENCE).items()
        if (handler := {"ModelInfer": model_infer, **servicer.METHODS}.get(name)) is not None
    }
    inference["ModelStreamInfer"] = caller.stream(f"/{INFERENCE}/ModelStreamInfer", Stream(caller.closing))
    check = methods(HEALTH)["Check"]
    probes = {
        "Check": caller.unary(
            f"/{HEALTH}/Check",
            health.check,
            class_of(check.input_type),
            class_of(check.output_type),
            is_open=True,
        )
    }
    return (
        grpc.method_handlers_generic_handler(INFERENCE, inference),
        grpc.method_handlers_generic_handler(HEALTH, probes),
    )


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        # Workers share the port, and the socket that held it for them; strangers were kept out by that one.
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.absolute_max_metadata_size", settings.max_header_bytes),
        ("grpc.max_metadata_size", settings.max_header_bytes),
        ("grpc.max_connection_idle_ms", settings.keep_alive * 1000),
        # A client whose machine is gone says nothing: it is asked, and its calls end.
        ("grpc.keepalive_time_ms", settings.keep_alive * 1000),
    ]


def _credentials(settings: Settings) -> Any:
    """The certificate of HTTPS, for gRPC too; None for a door without one."""
    if settings.ssl_certfile is None:
        return None
    if settings.ssl_keyfile_password is not None:
        raise GrpcUnavailable("its key must not be encrypted: leave out --ssl-keyfile-password")
    certificate = settings.ssl_certfile.read_bytes()
    key = settings.ssl_keyfile.read_bytes() if settings.ssl_keyfile else certificate
    roots = _bytes(settings.ssl_ca_certs)
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=roots, require_client_auth=roots is not None
    )


def _bytes(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
