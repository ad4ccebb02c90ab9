import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import Serving
from tests.service.repository.files import constant, publish

pytestmark = pytest.mark.anyio
ROWS = {"inputs": [[0, 0]]}


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    publish(constant(1), tmp_path)
    async with serving(tmp_path, repository_api=True, watch_interval=0, max_body_bytes=20_000) as client:
        yield client


def file(number: float) -> str:
    return base64.b64encode(constant(number).SerializeToString()).decode()


async def load(client: httpx.AsyncClient, name: str = "m", **parameters: Any) -> httpx.Response:
    body = {"parameters": parameters} if parameters else None
    return await client.post(f"/v2/repository/models/{name}/load", json=body)


async def index(client: httpx.AsyncClient, **given: Any) -> list[tuple[str, ...]]:
    lines = (await client.post("/v2/repository/index", json=given)).json()
    return [tuple(line[key] for key in ("name", "version", "state", "reason")) for line in lines]


async def said(client: httpx.AsyncClient, name: str = "m") -> float:
    answer = await client.post(f"/models/{name}/predict", json=ROWS)
    assert answer.status_code == 200, answer.text
    return float(np.ravel(answer.json()["predictions"])[0])


async def test_load_answers_after_the_model_is_live(client: httpx.AsyncClient, tmp_path: Path) -> None:
    publish(constant(2), tmp_path, version=2)
    assert (await load(client)).status_code == 200
    assert await said(client) == 2
    assert await index(client) == [("m", "1", "READY", ""), ("m", "2", "READY", "")]


async def test_a_load_that_fails_is_400_with_the_reason(client: httpx.AsyncClient, tmp_path: Path) -> None:
    publish(b"half a file", tmp_path)
    answer = await load(client)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].startswith("model 'm' was not loaded: version 1: ")
    assert str(tmp_path) not in answer.text
    assert await said(client) == 1
    [(_, _, state, reason)] = await index(client, ready=True)
    assert state == "READY"
    assert reason.startswith("the file on disk is not served: ")
    [version] = (await client.get("/models/m")).json()["versions"]
    assert (version["state"], version["reason"]) == (state, reason)


async def test_an_unloaded_model_is_not_ready_and_loads_again(client: httpx.AsyncClient) -> None:
    for body in (None, {"parameters": {"unload_dependents": True}}):
        assert (await client.post("/v2/repository/models/m/unload", json=body)).status_code == 200
        assert await index(client) == [("m", "1", "UNAVAILABLE", "unloaded")]
        assert await index(client, ready=True) == []
        assert (await client.get("/v2/models/m/ready")).status_code == 503
        assert (await client.get("/v2/health/ready")).status_code == 503
        assert (await client.get("/v2/models/stats")).json() == {"model_stats": []}
        refused = await client.post("/predict", json=ROWS)
        assert (refused.status_code, refused.json()["error"]) == (
            503,
            "model 'm' version 1 is not served: unloaded",
        )
        assert (await load(client)).status_code == 200
        assert await said(client) == 1


async def test_files_come_in_base64(client: httpx.AsyncClient) -> None:
    answer = await load(client, **{"config": "{}", "file:3/model.onnx": file(5)})
    assert answer.status_code == 200, answer.text
    assert await said(client) == 5
    assert await index(client) == [("m", "3", "READY", "")]
    assert (await load(client, "new", **{"file:1/model.onnx": file(6)})).status_code == 200
    assert await said(client, "new") == 6


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"file:1/model.onnx": "%%%"}, "is not in base64"),
        ({"file:1/model.onnx": "YWJ"}, "is not in base64"),
        ({"file:1/model.onnx": 1}, "expected a string"),
        ({"file:1/model.onnx": "YWJj"}, "version 1: "),
        ({"file:../../model.onnx": "YWJj"}, "expected file:<version>/<name>"),
        ({"file:": "YWJj"}, "expected file:<version>/<name>"),
        ({"config": 1}, "expected a string"),
        ({"config": "{"}, "config cannot be read"),
        ({"config": '{"version_policy": {"specific": {"versions": [7]}}}'}, "no version that is wanted"),
        ({"config": {}}, "is an object"),
    ],
)
async def test_parameters_that_are_not_right_are_400(
    client: httpx.AsyncClient, parameters: dict[str, Any], words: str
) -> None:
    answer = await load(client, **parameters)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert words in answer.json()["error"]
    assert await said(client) == 1


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"\xff", b'{"parameters": 1}', b'{"a": 1, "a": 2}', b"[" * 9999]
)
@pytest.mark.parametrize("action", ["load", "unload"])
async def test_bodies_that_are_not_right_are_400(client: httpx.AsyncClient, body: bytes, action: str) -> None:
    answer = await client.post(f"/v2/repository/models/m/{action}", content=body)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert await said(client) == 1


async def test_other_limits_and_names_hold_here_too(client: httpx.AsyncClient) -> None:
    assert (await load(client, **{"file:1/model.onnx": "A" * 30_000})).status_code == 413
    assert (await load(client, "nobody")).status_code == 404
    assert (await client.post("/v2/repository/models/nobody/unload")).status_code == 404
    assert (await load(client, "%2e%2e", **{"file:1/model.onnx": file(1)})).status_code in (400, 404)
    bad = await client.post("/v2/repository/models/m/unload", json={"parameters": {"unload_dependents": 1}})
    assert bad.status_code == 400


async def test_load_and_unload_are_off_unless_turned_on(tmp_path: Path, serving: Serving) -> None:
    publish(constant(1), tmp_path)
    async with serving(tmp_path) as client:
        for action in ("load", "unload"):
            answer = await client.post(f"/v2/repository/models/m/{action}")
            assert (answer.status_code, "--repository-api" in answer.json()["error"]) == (403, True)
        assert await said(client) == 1
        assert await index(client) == [("m", "1", "READY", "")]


async def test_what_is_no_version_is_listed_with_the_reason(tmp_path: Path, serving: Serving) -> None:
    publish(constant(1), tmp_path)
    (tmp_path / "m" / "draft").mkdir()
    (tmp_path / "empty").mkdir()
    async with serving(tmp_path) as client:
        lines = {line[:2]: line[2:] for line in await index(client)}
        models = {model["name"]: model for model in (await client.get("/models")).json()["models"]}
    assert lines["m", "1"] == ("READY", "")
    assert lines["m", "draft"][0] == "UNAVAILABLE"
    assert "expected a positive integer" in lines["m", "draft"][1]
    assert "expected <version>/model.onnx" in lines["empty", ""][1]
    assert models["m"]["odd"].keys() == {"draft"}


async def test_the_versions_of_the_setting_are_served(tmp_path: Path, serving: Serving) -> None:
    for number in (1, 2):
        publish(constant(number), tmp_path, version=number)
    async with serving(tmp_path, versions="latest") as client:
        assert (await client.get("/v2/models/m")).json()["versions"] == ["2"]
        assert (await client.get("/v2/models/m/versions/1/ready")).status_code == 503
