"""MLflow's scoring protocol, asked as MLflow's clients ask."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from service import __version__
from service.payloads.formats import CSV, PARQUET
from tests import graphs
from tests.conftest import Serving
from tests.records import metadata
from tests.service.payloads.tables import write

pytestmark = pytest.mark.anyio
WEIGHT = np.array([[2, 0], [0, 2]], np.float32)
ROWS = np.random.default_rng(0).normal(size=(1500, 2))
FRAME = pl.DataFrame(ROWS, schema=["f0", "f1"])
JSON = {"content-type": "application/json"}
UTF16 = {"content-type": "application/json; charset=utf-16"}


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    properties = graphs.metadata_property(metadata(2).model_dump_json())
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], softmax=True, properties=properties), tmp_path, "named")
    async with serving(tmp_path, max_body_bytes=200_000) as client:
        yield client


async def test_every_form_gives_the_predictions_of_predict(client: httpx.AsyncClient) -> None:
    expected = (await client.post("/predict", json={"inputs": ROWS.tolist()})).json()["predictions"]
    split = {"columns": ["f1", "f0"], "data": ROWS[:, ::-1].tolist()}
    for request in (
        {"json": {"dataframe_split": split}},
        {"json": {"dataframe_records": FRAME.to_dicts()}},
        {"json": {"instances": ROWS.tolist(), "params": {}}},
        {"json": {"inputs": FRAME.to_dict(as_series=False)}},
        {"json": {"inputs": ROWS.tolist()}, "headers": {"content-type": "application/json; charset=UTF-8"}},
        {"content": write(FRAME, "csv"), "headers": {"content-type": CSV}},
        {"content": write(FRAME, "parquet"), "headers": {"content-type": PARQUET}},
    ):
        answer = await client.post("/invocations", **request)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"predictions": expected}


async def test_bare_models_answer_rows_and_read_the_first_line_of_csv_as_its_header(
    tmp_path: Path, serving: Serving
) -> None:
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, "bare")
    async with serving(tmp_path) as client:
        answer = await client.post("/invocations", content=b"0,1\n3,4\n", headers={"content-type": CSV})
        assert answer.json() == {"predictions": [[8.0, 8.0]]}


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"json": {}}, 400, "BAD_REQUEST"),
    ({"json": {"inputs": [[1]]}}, 400, "BAD_REQUEST"),
    ({"content": b"{", "headers": JSON}, 400, "BAD_REQUEST"),
    ({"content": b"{}"}, 415, "BAD_REQUEST"),
    (
        {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}},
        415,
        "BAD_REQUEST",
    ),
    ({"content": b"{}", "headers": {"content-type": "application/x-npy"}}, 415, "BAD_REQUEST"),
    ({"content": b"f0\n1\n", "headers": {"content-type": CSV}}, 400, "BAD_REQUEST"),
    ({"content": b"junk", "headers": {"content-type": PARQUET}}, 400, "BAD_REQUEST"),
    ({"content": b" " * 200_001, "headers": JSON}, 413, "REQUEST_LIMIT_EXCEEDED"),
]


@pytest.mark.parametrize(("request_", "status", "code"), BAD)
async def test_refusals_have_the_body_of_mlflows_server(
    client: httpx.AsyncClient, request_: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/invocations", **request_)
    assert answer.status_code == status
    body = answer.json()
    assert body["error_code"] == code
    assert body["message"] == body["error"]
    assert set(body) == {"error_code", "message", "error", "got", "wanted", "where"}


async def test_without_a_default_model_the_error_says_what_to_do(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        answer = await client.post("/invocations", json={"inputs": [[1, 2]]})
        assert answer.status_code == 404
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
        assert "no model is served" in answer.json()["message"]


async def test_a_fault_of_ours_is_an_internal_error(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
    answer = await client.post("/invocations", json={"inputs": [[1, 2]]})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")


async def test_ping_and_health_say_whether_predictions_can_be_asked_for(
    client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory, serving: Serving
) -> None:
    for path in ("/ping", "/health"):
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (200, "\n")
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    async with serving(tmp_path_factory.mktemp("empty")) as empty:
        assert [(await empty.get(path)).status_code for path in ("/ping", "/health")] == [503, 503]


async def test_the_version_is_plain_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/version")
    assert answer.text == __version__
    assert answer.headers["content-type"].startswith("text/plain")
