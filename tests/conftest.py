"""What all tests share: one asyncio backend, a served application, real data when it is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

# Several workers test at once: threads of one that wait for each other would wait for the others' too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from service.app import create_app
from service.settings import Settings

# They need Chromium: `make test-browser` names their folder, which is then collected all the same.
collect_ignore = ["browser"]

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Serving(Protocol):
    """Serve a folder in this process."""

    def __call__(self, folder: Path, **settings: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...


@pytest.fixture
def serving() -> Serving:
    @asynccontextmanager
    async def serve(folder: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(Settings(models_dir=folder, **settings))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                yield client

    return serve


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the data sets of {SHARED} are not here")
    return SHARED
