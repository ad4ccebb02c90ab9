from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.app import create_app
from service.errors import UnreadableKeys
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio

KEY = "a-key-that-is-long-enough"
BEARER = {"authorization": f"Bearer {KEY}"}
ROWS = {"inputs": [[1, 2]]}
TENSOR = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
PAGE = "https://page.example"

CLOSED = [
    ("POST", "/predict", ROWS),
    ("POST", "/models/m/predict", ROWS),
    ("POST", "/models/m/versions/1/predict", ROWS),
    ("POST", "/invocations", ROWS),
    ("POST", "/v2/models/m/infer", TENSOR),
    ("GET", "/v2", None),
    ("GET", "/v2/models/m", None),
    ("GET", "/v2/models/m/ready", None),
    ("GET", "/v2/models/stats", None),
    ("POST", "/v2/repository/index", {}),
    ("GET", "/models", None),
    ("GET", "/models/m", None),
    ("GET", "/version", None),
    ("GET", "/docs", None),
    ("GET", "/openapi.json", None),
    ("GET", "/metrics", None),
]
OPEN = ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping", "/health"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path / "models", "m")
    return tmp_path / "models"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys").write_text(f"# ours\n{KEY}\n")
    return tmp_path / "keys"


async def test_every_door_but_health_needs_a_key(folder: Path, keys: Path, serving: Serving) -> None:
    async with serving(folder, api_key_file=keys) as client:
        for method, path, body in CLOSED:
            without = await client.request(method, path, json=body)
            assert (path, without.status_code) == (path, 401)
            assert without.headers["www-authenticate"] == "Bearer"
            wrong = await client.request(method, path, json=body, headers={"x-api-key": KEY + "x"})
            assert (path, wrong.status_code) == (path, 401)
            assert wrong.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            for headers in (BEARER, {"x-api-key": KEY}):
                assert (await client.request(method, path, json=body, headers=headers)).is_success, path
        for path in OPEN:
            assert (await client.get(path)).status_code == 200, path


async def test_a_path_that_is_not_there_gives_nothing_away(
    folder: Path, keys: Path, serving: Serving
) -> None:
    async with serving(folder, api_key_file=keys) as client:
        paths = (
            "/nowhere",
            "/health/",
            "/health/live/x",
            "//health/live",
            "/HEALTH/live",
            "/metrics/",
            "/%68ealth/x",
        )
        for path in paths:
            assert (path, (await client.get(path)).status_code) == (path, 401)


async def test_each_door_refuses_in_its_own_form(folder: Path, keys: Path, serving: Serving) -> None:
    async with serving(folder, api_key_file=keys) as client:
        plain = (await client.post("/predict", json=ROWS)).json()
        assert set(plain) == {"error", "got", "wanted", "where"}
        assert plain["error"] == "got no API key: send Authorization: Bearer <key>, or X-API-Key: <key>"
        assert set((await client.post("/v2/models/m/infer", json=TENSOR)).json()) == {"error"}
        assert (await client.post("/invocations", json=ROWS)).json()["error_code"] == "UNAUTHENTICATED"


async def test_a_stranger_is_refused_before_the_body_is_read(
    folder: Path, keys: Path, serving: Serving
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(3):
            read += 1
            yield b" " * 1000

    async with serving(folder, api_key_file=keys) as client:
        headers = {"content-type": "application/json"}
        assert (await client.post("/predict", content=body(), headers=headers)).status_code == 401
        assert read == 0


async def test_metrics_are_open_by_choice(folder: Path, keys: Path, serving: Serving) -> None:
    async with serving(folder, api_key_file=keys, metrics_open=True) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/models")).status_code == 401


async def test_without_a_file_everybody_may_ask(folder: Path, serving: Serving) -> None:
    async with serving(folder) as client:
        assert (
            await client.post("/predict", json=ROWS, headers={"x-api-key": "anything"})
        ).status_code == 200


def test_a_file_without_keys_is_no_start(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "none").write_text("# nobody\n")
    with pytest.raises(UnreadableKeys, match="it holds no key"):
        create_app(Settings(models_dir=folder, api_key_file=tmp_path / "none"))


async def test_pages_of_other_origins_may_not_call_by_default(folder: Path, serving: Serving) -> None:
    async with serving(folder) as client:
        answer = await client.post("/predict", json=ROWS, headers={"origin": PAGE})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        preflight = await client.options("/predict", headers=asking("content-type"))
        assert preflight.status_code == 405
        assert not [name for name in preflight.headers if name.startswith("access-control")]


def asking(*headers: str) -> dict[str, str]:
    """What a browser asks before it lets a page send a request."""
    return {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": ", ".join(headers),
    }


async def test_a_page_of_an_origin_that_is_let_in_may_call_with_its_key(
    folder: Path, keys: Path, serving: Serving
) -> None:
    async with serving(folder, api_key_file=keys, cors_origins=f"https://other.example, {PAGE}") as client:
        wanted = (
            "authorization",
            "content-type",
            "inference-header-content-length",
            "x-api-key",
            "x-request-id",
        )
        preflight = await client.options("/predict", headers=asking(*wanted))
        assert preflight.status_code == 200  # a browser sends no key with it
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert preflight.headers["x-request-id"]
        answer = await client.post("/predict", json=ROWS, headers=BEARER | {"origin": PAGE})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed == {"X-Request-Id", "Server-Timing", "Inference-Header-Content-Length", "Retry-After"}
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_sees_why_it_is_refused_or_failed(
    folder: Path, keys: Path, serving: Serving, monkeypatch: Any
) -> None:
    async with serving(folder, api_key_file=keys, cors_origins=PAGE) as client:
        refused = await client.post("/predict", json=ROWS, headers={"origin": PAGE})
        monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
        failed = await client.post("/predict", json=ROWS, headers=BEARER | {"origin": PAGE})
        assert (refused.status_code, failed.status_code) == (401, 500)
        assert {answer.headers["access-control-allow-origin"] for answer in (refused, failed)} == {PAGE}


async def test_a_page_of_another_origin_is_still_not_let_in(folder: Path, serving: Serving) -> None:
    async with serving(folder, cors_origins="https://other.example") as client:
        assert (await client.options("/predict", headers=asking("content-type"))).status_code == 400
        answer = await client.post("/predict", json=ROWS, headers={"origin": PAGE})
        assert "access-control-allow-origin" not in answer.headers


async def test_a_fault_after_the_head_of_an_answer_ends_the_connection(folder: Path) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    app = create_app(Settings(models_dir=folder))
    app.mount("/broken", broken)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            with pytest.raises(ZeroDivisionError):
                await client.get("/broken/")
