import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.app import create_app
from service.errors import AddressUnavailable
from service.metrics_port import bind
from service.settings import Settings
from service.worker import Worker
from tests import graphs

pytestmark = pytest.mark.anyio

KEY = "a-key-that-is-long-enough"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path / "models", "m")
    return tmp_path / "models"


@asynccontextmanager
async def two_ports(
    folder: Path, worker: Worker | None = None, port: int = 0, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of the main port, in this process, and of the metrics' own, over TCP."""
    app = create_app(Settings(models_dir=folder, metrics_port=port, **settings), worker)
    async with app.router.lifespan_context(app):
        address = f"http://127.0.0.1:{app.state.metrics_port}"
        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://test") as main,
            httpx.AsyncClient(base_url=address) as own,
        ):
            yield main, own


async def test_a_port_of_its_own_has_the_metrics_and_nothing_else(folder: Path) -> None:
    async with two_ports(folder) as (main, own):
        assert (await main.post("/predict", json={"inputs": [[1, 2]]})).status_code == 200
        answer = await own.get("/metrics")
        assert 'nv_inference_request_success{model="m",version="1"} 1.0' in answer.text
        assert answer.headers["x-request-id"]
        assert (await main.get("/metrics")).status_code == 404
        for path in ("/", "/predict", "/docs", "/models"):
            assert (await own.get(path)).status_code == 404
        assert (await own.post("/metrics")).status_code == 405
        assert (await own.get("/metrics", headers={"accept": "image/png"})).status_code == 406


async def test_it_needs_a_key_there_too_unless_it_is_open(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    async with two_ports(folder, api_key_file=tmp_path / "keys") as (_, own):
        assert (await own.get("/metrics")).status_code == 401
        assert (await own.get("/metrics", headers={"x-api-key": KEY})).status_code == 200
    async with two_ports(folder, api_key_file=tmp_path / "keys", metrics_open=True) as (_, own):
        assert (await own.get("/metrics")).status_code == 200


async def test_workers_share_the_port_and_each_answers_for_all(tmp_path: Path, folder: Path) -> None:
    workers = [Worker(number, 2, tmp_path) for number in (0, 1)]
    async with (
        two_ports(folder, workers[0]) as (one, own),
        two_ports(folder, workers[1], own.base_url.port or 0) as (other, _),
    ):
        for client in (one, one, other):
            assert (await client.post("/predict", json={"inputs": [[1, 2]]})).status_code == 200
        for _ in range(4):
            async with httpx.AsyncClient(base_url=own.base_url) as scraper:
                text = (await scraper.get("/metrics")).text
            assert 'nv_inference_request_success{model="m",version="1"} 3.0' in text
            assert "foldserve_workers 2.0" in text


def test_workers_share_the_port_but_not_with_strangers() -> None:
    with bind("127.0.0.1", 0) as first:
        bind("127.0.0.1", first.getsockname()[1]).close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(AddressUnavailable, match=r"Address already in use; .*--metrics-port"):
            bind("127.0.0.1", taken.getsockname()[1])
