"""What Triton's clients ask about logging, tracing and shared memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    async with serving(tmp_path, log_level="warning", log_format="json") as client:
        yield client


async def test_logging_is_told_as_it_is(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/logging")).json() == {
        "log_file": "",
        "log_info": False,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 0,
        "log_format": "json",
    }


async def test_nothing_is_traced(client: httpx.AsyncClient) -> None:
    for path in ("/v2/trace/setting", "/v2/models/m/trace/setting"):
        assert (await client.get(path)).json()["trace_level"] == ["OFF"]
    assert (await client.get("/v2/models/z/trace/setting")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v2/logging", 405, "log settings are fixed while the server runs: start it with --log-level"),
        ("/v2/trace/setting", 405, "trace settings are fixed"),
        ("/v2/models/m/trace/setting", 405, "trace settings are fixed"),
        ("/v2/systemsharedmemory/region/r/register", 400, "shared memory is not offered"),
        ("/v2/cudasharedmemory/region/r/register", 400, "shared memory is not offered"),
    ],
)
async def test_nothing_is_changed(client: httpx.AsyncClient, path: str, status: int, words: str) -> None:
    answer = await client.post(path, json={})
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]


@pytest.mark.parametrize("kind", ["systemsharedmemory", "cudasharedmemory"])
async def test_there_are_no_regions(client: httpx.AsyncClient, kind: str) -> None:
    assert (await client.get(f"/v2/{kind}/status")).json() == []
    assert (await client.get(f"/v2/{kind}/region/r/status")).status_code == 404
    for path in (f"/v2/{kind}/unregister", f"/v2/{kind}/region/r/unregister"):
        assert (await client.post(path)).status_code == 200
