"""The front door: what it answers, what it refuses, and that a refusal leaves no trace."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests import graphs
from tests.conftest import Serving
from tests.records import metadata

pytestmark = pytest.mark.anyio
WEIGHT = np.array([[2, 0], [0, 2]], np.float32)
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    bias = np.array([1, 0], np.float32)
    properties = graphs.metadata_property(metadata(2).model_dump_json())
    graphs.put(graphs.linear(WEIGHT, bias, softmax=True, properties=properties), tmp_path, "named", 1)
    graphs.put(graphs.linear(WEIGHT, bias * 0, softmax=True, properties=properties), tmp_path, "named", 2)
    graphs.put(graphs.linear(WEIGHT, bias), tmp_path, "bare", 1)
    graphs.put(graphs.identity(graphs.FLOAT, ["N", 3, 2]), tmp_path, "image", 1)
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "model.onnx").write_bytes(b"not onnx")
    async with serving(tmp_path, default_model="named", max_body_bytes=1000) as client:
        yield client


async def test_the_default_model_answers_labels_and_probabilities(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict", json={"inputs": [[0, 0], [0, 1]]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["model"], body["version"], body["predictions"]) == ("named", 2, ["no", "yes"])
    assert body["probabilities"][0] == [0.5, 0.5]


async def test_models_and_versions_are_reached_by_path(client: httpx.AsyncClient) -> None:
    rows = {"inputs": [[1, 1]]}
    assert (await client.post("/models/named/predict", json=rows)).json()["version"] == 2
    assert (await client.post("/models/named/versions/1/predict", json=rows)).json()["version"] == 1
    assert (await client.post("/models/bare/predict", json=rows)).json()["predictions"] == [[3.0, 2.0]]


async def test_rows_and_records_give_the_same_bytes(client: httpx.AsyncClient) -> None:
    rows = await client.post("/predict", json={"inputs": [[0.1, 0.2]]})
    records = await client.post("/predict", json={"records": [{"f1": 0.2, "f0": 0.1}]})
    assert rows.content == records.content


BAD: list[tuple[str, dict[str, Any], int]] = [
    ("/predict", {"content": b"{", "headers": JSON}, 400),
    ("/predict", {"content": b"", "headers": JSON}, 400),
    ("/predict", {"json": {}}, 422),
    ("/predict", {"json": {"inputs": [[1, 2]], "records": [{"f0": 1, "f1": 2}]}}, 422),
    ("/predict", {"json": {"inputs": []}}, 422),
    ("/predict", {"json": {"inputs": [[1, 2], [3]]}}, 422),
    ("/predict", {"json": {"inputs": [[1, 2, 3]]}}, 422),
    ("/predict", {"json": {"inputs": [[1, "2"]]}}, 422),
    ("/predict", {"json": {"inputs": [[1, True]]}}, 422),
    ("/predict", {"json": {"inputs": [[1, None]]}}, 422),
    ("/predict", {"content": b'{"inputs": [[1, NaN]]}', "headers": JSON}, 422),
    ("/predict", {"content": b'{"inputs": [[1, Infinity]]}', "headers": JSON}, 422),
    ("/predict", {"content": b'{"inputs": [[1, 1e39]]}', "headers": JSON}, 422),
    ("/predict", {"json": {"records": [{"f0": 1}]}}, 422),
    ("/predict", {"json": {"records": [{"f0": 1, "f1": 2, "f2": 3}]}}, 422),
    ("/models/nobody/predict", {"json": {"inputs": [[1, 2]]}}, 404),
    ("/models/named/versions/3/predict", {"json": {"inputs": [[1, 2]]}}, 404),
    ("/models/named/versions/x/predict", {"json": {"inputs": [[1, 2]]}}, 404),
    ("/models/broken/predict", {"json": {"inputs": [[1, 2]]}}, 503),
    ("/models/image/predict", {"json": {"inputs": [[1, 2]]}}, 422),
    ("/predict", {"content": b" " * 1001, "headers": JSON}, 413),
    ("/predict", {"content": b"1,2", "headers": {"content-type": "text/plain"}}, 415),
    ("/predict", {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}}, 415),
    ("/predict", {"content": b"{}"}, 415),
]


@pytest.mark.parametrize(("path", "request_", "status"), BAD)
async def test_bad_input_gets_its_status_and_harms_nothing(
    client: httpx.AsyncClient, path: str, request_: dict[str, Any], status: int
) -> None:
    before = await client.post("/predict", json={"inputs": [[1, 2]]})
    answer = await client.post(path, **request_)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "got", "wanted", "where"}
    assert all(answer.json().values())
    assert "\n" not in answer.json()["error"]
    after = await client.post("/predict", json={"inputs": [[1, 2]]})
    assert after.status_code == 200
    assert after.content == before.content


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000:
            sent += 100
            yield b" " * 100

    answer = await client.post("/predict", content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert sent <= 1200


async def test_a_body_in_pieces_is_put_together(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"inputs"', b": [[1,", b" 2]]}"):
            yield piece

    answer = await client.post("/predict", content=pieces(), headers=JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "Application/JSON", "application/json ;"]
)
async def test_json_may_be_named_in_any_legal_way(client: httpx.AsyncClient, media: str) -> None:
    answer = await client.post("/predict", content=b'{"inputs": [[1, 2]]}', headers={"content-type": media})
    assert answer.status_code == 200


async def test_a_client_that_leaves_while_sending_is_told_to_nobody(tmp_path: Path, serving: Serving) -> None:
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, "m")
    async with serving(tmp_path) as client:
        app = client._transport.app  # type: ignore[attr-defined]
        events = iter(
            [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
        )
        sent: list[Any] = []

        async def receive() -> Any:
            return next(events)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "headers": headers,
            "query_string": b"",
        }
        await app(scope, receive, send)
        assert sent[0]["status"] == 499
        [model] = app.state.repository.models["m"].values()
        assert model.counters.totals().failures["CANCELED"] == 1


async def test_several_models_without_a_default_are_a_clear_error(tmp_path: Path, serving: Serving) -> None:
    for name in ("a", "b"):
        graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, name)
    async with serving(tmp_path) as client:
        answer = await client.post("/predict", json={"inputs": [[1, 2]]})
        assert answer.status_code == 404
        assert "--default-model" in answer.json()["error"]
