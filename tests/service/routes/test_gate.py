import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio

PARTS = re.compile(r"decode;dur=(\S+), queue;dur=(\S+), run;dur=(\S+), encode;dur=(\S+)")
TENSOR = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
SECRET = "a-key-that-is-long-enough"  # noqa: S105


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path / "models", "m")
    return tmp_path / "models"


def times(answer: httpx.Response) -> list[float]:
    found = PARTS.fullmatch(answer.headers["server-timing"])
    assert found
    return [float(part) for part in found.groups()]


def request_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [record for record in caplog.records if record.name == "foldserve.requests"]
    return [record.__dict__["facts"] | {"level": record.levelname} for record in records]


DOORS = [
    ("POST", "/predict", {"inputs": [[1, 2]]}, 200),
    ("POST", "/models/m/predict", {"inputs": [[1, 2]]}, 200),
    ("POST", "/models/m/versions/1/predict", {"inputs": [[1, 2]]}, 200),
    ("POST", "/v2/models/m/infer", TENSOR, 200),
    ("POST", "/v2/models/m/versions/1/infer", TENSOR, 200),
    ("POST", "/invocations", {"inputs": [[1, 2]]}, 200),
    ("GET", "/models", None, 200),
    ("GET", "/v2/models/m", None, 200),
    ("GET", "/v2/models/stats", None, 200),
    ("POST", "/v2/repository/index", {}, 200),
    ("GET", "/health/live", None, 200),
    ("GET", "/v2/health/ready", None, 200),
    ("GET", "/ping", None, 200),
    ("GET", "/docs", None, 200),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/nowhere", None, 404),
    ("GET", "/v2/nowhere", None, 404),
    ("GET", "/predict", None, 405),
    ("POST", "/models/nobody/predict", {"inputs": [[1, 2]]}, 404),
    ("POST", "/predict", {"inputs": [[1]]}, 422),
    ("POST", "/v2/models/m/infer", {}, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), DOORS)
async def test_every_answer_has_the_callers_name_and_the_times(
    folder: Path, serving: Serving, method: str, path: str, body: Any, status: int
) -> None:
    async with serving(folder) as client:
        answer = await client.request(method, path, json=body, headers={"x-request-id": "mine-7"})
        assert answer.status_code == status
        assert answer.headers.get_list("x-request-id") == ["mine-7"]
        assert len(answer.headers.get_list("server-timing")) == 1
        decode, queue, run, encode = times(answer)
        is_prediction = body is not None and status == 200 and "repository" not in path
        assert all(part > 0 for part in (decode, run, encode)) == is_prediction
        assert queue == 0


async def test_a_run_that_waits_shows_its_wait(folder: Path, serving: Serving, monkeypatch: Any) -> None:
    monkeypatch.setattr("service.model.ServedModel.is_light", lambda *_: False)
    async with serving(folder) as client:
        answer = await client.post("/predict", json={"inputs": [[1, 2]]})
        _, queue, run, _ = times(answer)
        assert queue > 0
        assert run > 0


async def test_a_fault_of_ours_has_them_too(folder: Path, serving: Serving, monkeypatch: Any) -> None:
    monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
    async with serving(folder) as client:
        answer = await client.post("/predict", json={"inputs": [[1, 2]]}, headers={"x-request-id": "mine-8"})
        assert answer.status_code == 500
        assert answer.headers["x-request-id"] == "mine-8"
        assert times(answer)[0] > 0


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "\N{LATIN SMALL LETTER E WITH ACUTE}"])
async def test_a_name_that_is_none_is_replaced(folder: Path, serving: Serving, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given.encode("latin-1")}
    async with serving(folder) as client:
        names = [(await client.get("/ping", headers=headers)).headers["x-request-id"] for _ in range(2)]
        assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
        assert names[0] != names[1]


async def test_at_debug_each_request_is_one_line(
    folder: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as client:
        with caplog.at_level(logging.DEBUG, "foldserve"):
            await client.post(
                "/predict?q=1", json={"inputs": [[1, 2], [3, 4]]}, headers={"x-request-id": "one"}
            )
            await client.post("/predict", json={"inputs": [[1]]}, headers={"x-request-id": "two"})
    good, bad = request_lines(caplog)
    assert caplog.messages == ["POST /predict 200", "POST /predict 422"]
    assert good["level"] == bad["level"] == "DEBUG"
    assert (good["request_id"], good["method"], good["path"], good["status"]) == (
        "one",
        "POST",
        "/predict",
        200,
    )
    assert (good["model"], good["version"], good["rows"]) == ("m", 1, 2)
    assert good["client"].startswith("127.0.0.1:")
    assert 0 < good["decode_ms"] < good["total_ms"]
    assert "error" not in good
    assert bad["error"] == "InvalidRows"


async def test_above_debug_only_what_the_server_could_not_answer_is_told(
    tmp_path: Path, folder: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "hollow" / "1").mkdir(parents=True)
    with caplog.at_level(logging.INFO, "foldserve"):
        async with serving(folder) as client:
            await client.post("/models/m/predict", json={"inputs": [[1, 2]]})
            await client.post("/models/m/predict", json={"inputs": [[1]]})
            await client.get("/nowhere")
            assert (await client.post("/models/hollow/predict", json={})).status_code == 503
    [line] = request_lines(caplog)
    assert (line["level"], line["status"]) == ("WARNING", 503)
    assert "hollow" in line["error"]


async def test_a_fault_is_one_line_with_the_traceback_and_the_callers_name(
    folder: Path, serving: Serving, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
    async with serving(folder) as client:
        await client.post("/predict", json={"inputs": [[1, 2]]}, headers={"x-request-id": "mine-9"})
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.__dict__["facts"]["request_id"] == "mine-9"
    assert record.__dict__["facts"]["model"] == "m"
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


async def test_no_key_no_body_and_no_query_is_ever_logged(
    tmp_path: Path, folder: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "keys").write_text(SECRET + "\n")
    async with serving(folder, api_key_file=tmp_path / "keys") as client:
        with caplog.at_level(logging.DEBUG):
            for headers in ({"authorization": f"Bearer {SECRET}"}, {"x-api-key": f"{SECRET}-wrong"}):
                await client.post(
                    f"/predict?key={SECRET}", json={"inputs": [[4242, "4242"]]}, headers=headers
                )
    ours = [record for record in caplog.records if record.name.startswith("foldserve")]
    assert len(ours) == 2
    told = json.dumps([record.__dict__ for record in ours], default=str)
    assert SECRET not in told
    assert "4242" not in told


async def test_answers_are_counted_by_status(folder: Path) -> None:
    app = create_app(Settings(models_dir=folder))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in ("/ping", "/ping", "/nowhere"):
                await client.get(path)
            text = (await client.get("/metrics")).text
    assert 'foldserve_http_requests_total{status="200"} 2.0' in text
    assert 'foldserve_http_requests_total{status="404"} 1.0' in text
