"""The v2 door of the real application: every path, every error of the one form, the numbers of /predict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest

from tests import graphs
from tests.conftest import Serving
from tests.records import metadata

pytestmark = pytest.mark.anyio

LENGTH = "inference-header-content-length"
WEIGHT = np.array([[1, 0], [0, 1], [1, 1]], np.float32)


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    properties = graphs.metadata_property(metadata(3).model_dump_json())
    model = graphs.linear(WEIGHT, np.zeros(2, np.float32), softmax=True, properties=properties)
    graphs.put(model, tmp_path, "m", 1)
    graphs.put(model, tmp_path, "m", 3)
    graphs.put(graphs.of_all_datatypes(), tmp_path, "all")
    graphs.put(graphs.lookup(), tmp_path, "lookup")
    graphs.put(graphs.identity(graphs.FLOAT, []), tmp_path, "scalar")
    graphs.put(graphs.identity(onnx.TensorProto.BFLOAT16, ["N"]), tmp_path, "bf16")
    (tmp_path / "broken" / "2").mkdir(parents=True)
    async with serving(tmp_path, default_model="m", max_body_bytes=100_000) as client:
        yield client


def request(rows: Any, **top: Any) -> dict[str, Any]:
    array = np.asarray(rows, np.float32)
    tensor = {"name": "x", "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
    return {"inputs": [tensor], **top}


def is_error(answer: httpx.Response, status: int, words: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def split(answer: httpx.Response) -> tuple[dict[str, Any], bytes]:
    length = int(answer.headers[LENGTH])
    return json.loads(answer.content[:length]), answer.content[length:]


async def test_health_and_metadata(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    for path in ("/v2", "/v2/"):
        server = (await client.get(path)).json()
        assert server["name"] == "foldserve"
        assert {"binary_tensor_data", "statistics"} <= set(server["extensions"])
    assert (await client.get("/v2/models/m/ready")).json() == {"name": "m", "ready": True}
    assert (await client.get("/v2/models/m/versions/1/ready")).json() == {"name": "m", "ready": True}
    for path in ("/v2/models/m", "/v2/models/m/versions/1"):
        model = (await client.get(path)).json()
        assert (model["name"], model["versions"], model["platform"]) == ("m", ["1", "3"], "onnxruntime_onnx")
        assert model["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
        properties = model["properties"]
        assert properties.pop("runtime").startswith("onnxruntime 1.")
        assert properties == {
            "device_asked": "auto",
            "device": "cpu",
            "provider": "CPUExecutionProvider",
            "threads": "1",
            "workers": "1",
        }


async def test_an_empty_server_is_live_and_not_ready(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        assert (await client.get("/v2/health/live")).status_code == 200
        answer = await client.get("/v2/health/ready")
        is_error(answer, 503, "not ready")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v2/nothing", 404, "there is nothing at GET /v2/nothing"),
        ("GET", "/v2/models", 404, ""),
        ("GET", "/v2/models/nobody/config", 404, "no model named"),
        ("DELETE", "/v2/models/m", 405, "use GET"),
        ("GET", "/v2/models/m/infer", 405, "use POST"),
        ("GET", "/v2/repository/index", 405, "use POST"),
        ("GET", "/v2/models/z", 404, "no model named 'z'"),
        ("GET", "/v2/models/z/ready", 404, "no model named 'z'"),
        ("GET", "/v2/models/z/stats", 404, "no model named 'z'"),
        ("POST", "/v2/models/z/infer", 404, "no model named 'z'"),
        ("GET", "/v2/models/m/versions/2", 404, "has no version '2'"),
        ("GET", "/v2/models/m/versions/x/ready", 404, "has no version 'x'"),
        ("GET", "/v2/models/m/versions/01/stats", 404, "has no version '01'"),
        ("POST", "/v2/models/m/versions/2/infer", 404, "has no version '2'"),
        ("GET", "/v2/models/broken/ready", 503, "there is no such file"),
        ("GET", "/v2/models/broken/versions/2/ready", 503, "there is no such file"),
        ("POST", "/v2/models/broken/infer", 503, "there is no such file"),
        ("POST", "/v2/repository/models/m/load", 403, "the repository API is off"),
        ("POST", "/v2/repository/models/m/unload", 403, "the repository API is off"),
        ("POST", "/v2/repository/models/z/load", 404, "no model named 'z'"),
    ],
)
async def test_errors_have_one_form(
    client: httpx.AsyncClient, method: str, path: str, status: int, words: str
) -> None:
    is_error(await client.request(method, path), status, words)


async def test_infer_echoes_the_id_and_names_model_and_version(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v2/models/m/infer", json=request([[0, 0, 0]], id="é1", parameters={"a": 1}))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model_name": "m",
        "model_version": "3",
        "id": "é1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.5]}],
    }
    other = await client.post("/v2/models/m/versions/1/infer", json=request([[0, 0, 0]]))
    assert other.json()["model_version"] == "1"
    assert "id" not in other.json()


async def test_the_numbers_are_those_of_predict_bit_for_bit(client: httpx.AsyncClient) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    told = (await client.post("/predict", json={"inputs": rows.tolist()})).json()["probabilities"]
    expected = np.array(told, np.float32).tobytes()
    flat = (await client.post("/v2/models/m/infer", json=request(rows))).json()["outputs"][0]["data"]
    nested = request(rows)
    nested["inputs"][0]["data"] = rows.tolist()
    again = (await client.post("/v2/models/m/infer", json=nested)).json()["outputs"][0]["data"]
    raw = await client.post("/v2/models/m/infer", content=rows.tobytes(), headers={LENGTH: "0"})
    document, tail = split(raw)
    assert np.array(flat, np.float32).tobytes() == np.array(again, np.float32).tobytes() == expected
    assert tail == expected
    assert document["outputs"][0]["parameters"] == {"binary_data_size": len(expected)}
    assert raw.headers["content-type"] == "application/octet-stream"


VALUES = {
    "BOOL": [[True, False]],
    "BYTES": [["déjà", ""]],
    **{f"{sign}INT{bits}": [[7, 100]] for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "FP16": [[0.5, -2.0]],
    "FP32": [[0.5, -2.0]],
    "FP64": [[0.1, 1e300]],
}
DTYPES = {"FP16": "float16", "FP32": "float32", "FP64": "float64", "BOOL": "bool"}


def as_bytes(kind: str, values: Any) -> bytes:
    if kind == "BYTES":
        texts = [text.encode() for text in values[0]]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return np.array(values, DTYPES.get(kind, kind.lower())).tobytes()


async def test_every_datatype_goes_through_a_model_in_both_forms(client: httpx.AsyncClient) -> None:
    model = (await client.get("/v2/models/all")).json()
    assert {tensor["datatype"] for tensor in model["inputs"]} == set(VALUES)
    inputs, outputs, tail = [], [], b""
    for index, (given, got) in enumerate(zip(model["inputs"], model["outputs"], strict=True)):
        values = VALUES[given["datatype"]]
        tensor = {"name": given["name"], "shape": [1, 2], "datatype": given["datatype"]}
        if index % 2 or given["datatype"] == "FP16":
            tail += as_bytes(given["datatype"], values)
            size = len(as_bytes(given["datatype"], values))
            inputs.append({**tensor, "parameters": {"binary_data_size": size}})
        else:
            inputs.append({**tensor, "data": values})
        outputs.append({"name": got["name"], "parameters": {"binary_data": got["datatype"] == "FP16"}})
    header = json.dumps({"inputs": inputs, "outputs": outputs[::-1]}).encode()
    answer = await client.post(
        "/v2/models/all/infer",
        content=header + tail,
        headers={LENGTH: str(len(header)), "content-type": "application/octet-stream"},
    )
    document, rest = split(answer)
    assert [output["name"] for output in document["outputs"]] == [output["name"] for output in outputs[::-1]]
    for output in document["outputs"]:
        if output["datatype"] != "FP16":
            assert output["data"] == VALUES[output["datatype"]][0]
    assert rest == as_bytes("FP16", VALUES["FP16"])


async def test_scalars_and_partial_outputs(client: httpx.AsyncClient) -> None:
    scalar = {"name": "x0", "shape": [], "datatype": "FP32", "data": [3]}
    answer = await client.post("/v2/models/scalar/infer", json={"inputs": [scalar]})
    assert answer.json()["outputs"] == [{"name": "y0", "datatype": "FP32", "shape": [], "data": [3.0]}]
    bf16 = (await client.get("/v2/models/bf16")).json()
    assert bf16["inputs"][0]["datatype"] == "BF16"
    is_error(await client.post("/v2/models/bf16/infer", json={"inputs": []}), 400, "BF16")


async def test_inputs_that_the_graph_cannot_compute_are_a_bad_request(client: httpx.AsyncClient) -> None:
    def ask(index: int) -> dict[str, Any]:
        table = {"name": "table", "shape": [2], "datatype": "FP32", "data": [5, 6]}
        return {"inputs": [{"name": "i", "shape": [1], "datatype": "INT64", "data": [index]}, table]}

    is_error(await client.post("/v2/models/lookup/infer", json=ask(7)), 400, "Gather: indices element out of")
    assert (await client.post("/v2/models/lookup/infer", json=ask(1))).json()["outputs"][0]["data"] == [6.0]
    [stats] = (await client.get("/v2/models/lookup/stats")).json()["model_stats"]
    assert (stats["execution_count"], stats["inference_count"]) == (1, 2)
    assert {k: stats["inference_stats"][k]["count"] for k in ("success", "fail", "compute_infer")} == {
        "success": 1,
        "fail": 1,
        "compute_infer": 1,
    }


async def test_statistics_count_under_many_requests_at_once(client: httpx.AsyncClient) -> None:
    good, bad = request(np.zeros((4, 3))), request(np.zeros((4, 2)))
    answers = await asyncio.gather(
        *(client.post("/v2/models/m/infer", json=bad if i % 5 == 0 else good) for i in range(100))
    )
    assert sorted({answer.status_code for answer in answers}) == [200, 400]
    [stats] = (await client.get("/v2/models/m/versions/3/stats")).json()["model_stats"]
    assert (stats["name"], stats["version"]) == ("m", "3")
    assert (stats["inference_count"], stats["execution_count"]) == (320, 80)
    times = stats["inference_stats"]
    assert (times["success"]["count"], times["fail"]["count"]) == (80, 20)
    parts = sum(times[k]["ns"] for k in ("queue", "compute_input", "compute_infer", "compute_output"))
    assert 0 < parts <= times["success"]["ns"]
    everything = (await client.get("/v2/models/stats")).json()["model_stats"]
    assert {(s["name"], s["version"]) for s in everything} >= {("m", "1"), ("m", "3"), ("all", "1")}
    assert "broken" not in {s["name"] for s in everything}


async def test_predict_counts_too(client: httpx.AsyncClient) -> None:
    await client.post("/predict", json={"inputs": [[0, 0, 0], [1, 1, 1]]})
    await client.post("/predict", json={"inputs": [["a", 0, 0]]})
    [stats] = (await client.get("/v2/models/m/versions/3/stats")).json()["model_stats"]
    times = stats["inference_stats"]
    assert (times["success"]["count"], times["fail"]["count"], stats["inference_count"]) == (1, 1, 2)


async def test_a_fault_of_ours_is_500_in_the_same_form(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.session.Session.run", lambda *_: 1 / 0)
    is_error(await client.post("/v2/models/m/infer", json=request([[0, 0, 0]])), 500, "internal error")
    [stats] = (await client.get("/v2/models/m/versions/3/stats")).json()["model_stats"]
    assert stats["inference_stats"]["fail"]["count"] == 1


@pytest.mark.parametrize(
    "media", [None, "application/json", "application/octet-stream", "Application/JSON; charset=utf-8"]
)
async def test_json_bytes_or_nothing_may_be_the_media_type(
    client: httpx.AsyncClient, media: str | None
) -> None:
    headers = {"content-type": media} if media else {}
    content = json.dumps(request([[0, 0, 0]])).encode()
    assert (await client.post("/v2/models/m/infer", content=content, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/csv"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-encoding": "br"},
    ],
)
async def test_other_media_types_are_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    is_error(await client.post("/v2/models/m/infer", content=b"{}", headers=headers), 415, "cannot read")


async def test_bad_bodies_are_400_and_large_ones_413(client: httpx.AsyncClient) -> None:
    post = client.post
    is_error(await post("/v2/models/m/infer", content=b"{"), 400, "not JSON")
    is_error(await post("/v2/models/m/infer", content=b'{"a":1,"a":2}'), 400, "given twice")
    is_error(await post("/v2/models/m/infer", content=b'{"\\ud800":1,"\\ud800":2}'), 400, "given twice")
    is_error(await post("/v2/models/m/infer", content=b"{}", headers={LENGTH: "-1"}), 400, "Inference-Header")
    is_error(await post("/v2/models/m/infer", content=b" " * 100_001), 413, "the limit is 100000 bytes")
    is_error(await post("/v2/repository/index", content=b" " * 100_001), 413)


async def test_the_repository_index_tells_what_is_served_and_why_not(client: httpx.AsyncClient) -> None:
    everything = (await client.post("/v2/repository/index")).json()
    assert {"name": "m", "version": "3", "state": "READY", "reason": ""} in everything
    [broken] = [entry for entry in everything if entry["name"] == "broken"]
    assert (broken["version"], broken["state"]) == ("2", "UNAVAILABLE")
    assert "there is no such file" in broken["reason"]
    ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert len(ready) == len(everything) - 1
    assert (await client.post("/v2/repository/index", json={"ready": False})).json() == everything
    for bad in (b"[]", b'{"ready": 1}', b"{", b"\xff"):
        is_error(await client.post("/v2/repository/index", content=bad), 400)


async def test_the_openapi_document_has_the_door(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    post = paths["/v2/models/{name}/versions/{version}/infer"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "application/octet-stream"}
    assert set(post["responses"]["200"]["content"]) == {"application/json", "application/octet-stream"}
    assert post["responses"]["400"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
    assert {"/v2", "/v2/health/ready", "/v2/models/{name}/stats", "/v2/repository/index"} <= set(paths)
