"""The gRPC door of the real application, in this process, and a channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc.aio
import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.grpc.messages import INFERENCE, class_of, methods
from service.settings import Settings


@dataclass(frozen=True)
class Door:
    """Both doors of one application.

    Attributes:
        http: a client of the REST door.
    """

    app: FastAPI
    channel: grpc.aio.Channel
    http: httpx.AsyncClient

    def call(
        self, method: str, *, service: str = INFERENCE, timeout: float | None = None, **fields: Any
    ) -> Any:
        """Call a method with the message of these fields; what is awaited is its answer."""
        described = methods(INFERENCE)[method]
        send = self.channel.unary_unary(
            f"/{INFERENCE}/{method}",
            request_serializer=class_of(described.input_type).SerializeToString,
            response_deserializer=class_of(described.output_type).FromString,
        )
        return send(class_of(described.input_type)(**fields), timeout=timeout)


class Opening(Protocol):
    """Serve a folder in this process."""

    def __call__(self, folder: Path, **settings: Any) -> AbstractAsyncContextManager[Door]: ...


@pytest.fixture
def opening() -> Opening:
    @asynccontextmanager
    async def serve(folder: Path, **settings: Any) -> AsyncIterator[Door]:
        app = create_app(Settings(models_dir=folder, grpc_port=0, **settings))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as http,
            grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel,
        ):
            yield Door(app, channel, http)

    return serve


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    assert "\n" not in (refusal.value.details() or "")
    return refusal.value
