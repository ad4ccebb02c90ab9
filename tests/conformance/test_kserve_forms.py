"""Requests as KServe's Python client writes them, for that client does not install beside this project.

Its requests always have an id and name their model in the body. Tensors of NumPy arrays go behind the JSON
over REST and into raw_input_contents over gRPC, both with the parameter `binary_data_size`. An empty tensor
has `data: null` beside a size of 0. Its gRPC client sends a deadline of 60 s by default.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from grpc import insecure_channel

from service.grpc.messages import INFERENCE, class_of, methods
from tests.conformance.conftest import Target

LENGTH = "inference-header-content-length"


@pytest.fixture
def tensor(client: httpx.Client, target: Target) -> tuple[dict[str, Any], np.ndarray]:
    """The head of the only input, and rows for it."""
    [only] = client.get(f"/v2/models/{target.model}").json()["inputs"]
    rows = np.random.default_rng(6).uniform(size=(3, only["shape"][1])).astype(np.float32)
    return {"name": only["name"], "shape": list(rows.shape), "datatype": "FP32"}, rows


def in_json(target: Target, head: dict[str, Any], rows: np.ndarray, **more: Any) -> dict[str, Any]:
    tensor = head | {"data": rows.ravel().tolist()}
    return {"id": str(uuid.uuid4()), "model_name": target.model, "inputs": [tensor], **more}


def in_binary(
    target: Target, head: dict[str, Any], rows: np.ndarray, **more: Any
) -> tuple[bytes, dict[str, str]]:
    tensor = head | {"parameters": {"binary_data_size": rows.nbytes}}
    document = {"id": str(uuid.uuid4()), "model_name": target.model, "inputs": [tensor], **more}
    text = json.dumps(document).encode()
    headers = {LENGTH: str(len(text)), "content-type": "application/octet-stream"}
    return text + rows.tobytes(), headers


def test_rest_in_json_without_a_content_type(
    client: httpx.Client, target: Target, tensor: tuple[dict[str, Any], np.ndarray]
) -> None:
    body = in_json(target, *tensor)
    # The client hands bytes to httpx, which then names no type.
    answer = client.post(f"/v2/models/{target.model}/infer", content=json.dumps(body).encode())
    assert answer.status_code == 200
    assert LENGTH not in answer.headers
    assert answer.json()["id"] == body["id"]
    assert {"name", "shape", "datatype", "data"} <= set(answer.json()["outputs"][0])


@pytest.mark.parametrize("wanted", [None, True, False])
def test_rest_in_binary(
    client: httpx.Client, target: Target, tensor: tuple[dict[str, Any], np.ndarray], wanted: bool | None
) -> None:
    path = f"/v2/models/{target.model}/infer"
    parameters = {} if wanted is None else {"parameters": {"binary_data_output": wanted}}
    body, headers = in_binary(target, *tensor, **parameters)
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (LENGTH in answer.headers) == bool(wanted)
    plain = client.post(path, json=in_json(target, *tensor)).json()["outputs"][0]
    if wanted:
        length = int(answer.headers[LENGTH])
        [output] = json.loads(answer.content[:length])["outputs"]
        size = output["parameters"]["binary_data_size"]
        data = np.frombuffer(answer.content[length : length + size], np.float32)
    else:
        data = np.array(answer.json()["outputs"][0]["data"], np.float32)
    assert data.tobytes() == np.array(plain["data"], np.float32).tobytes()


def test_an_empty_tensor_has_null_data_beside_its_size(client: httpx.Client, ours: Target) -> None:
    def head(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "shape": [0, 2], "datatype": "FP32", **more}

    empty = {"parameters": {"binary_data_size": 0}, "data": None}
    body = {"id": "1", "model_name": "pair", "inputs": [head("x0", **empty), head("x1", data=[])]}
    answer = client.post("/v2/models/pair/infer", content=json.dumps(body).encode())
    assert answer.status_code == 200, answer.text
    assert [output["shape"] for output in answer.json()["outputs"]] == [[0, 2], [0, 2]]


def test_rest_health_is_told_in_the_body(client: httpx.Client, ours: Target) -> None:
    assert client.get("/v2/health/live").json()["live"] is True
    assert client.get("/v2/health/ready").json()["ready"] is True
    assert client.get(f"/v2/models/{ours.model}/ready").json()["ready"] is True
    error = client.get("/v2/models/no-such-model/ready")
    assert error.headers["content-type"] == "application/json"
    assert error.json()["error"]


@pytest.fixture
def call(target: Target) -> Iterator[Any]:
    if target.grpc is None:
        pytest.skip("needs OIP_GRPC")
    with insecure_channel(target.grpc) as channel:

        def send(method: str, **fields: Any) -> Any:
            described = methods(INFERENCE)[method]
            request: Any = class_of(described.input_type)(**fields)
            unary = channel.unary_unary(f"/{INFERENCE}/{method}")
            answer: Any = class_of(described.output_type).FromString(
                unary(request.SerializeToString(), timeout=60)
            )
            return answer

        yield send


def test_grpc_health(call: Any, target: Target) -> None:
    assert call("ServerLive").live
    assert call("ServerReady").ready
    assert call("ModelReady", name=target.model).ready


def test_grpc_raw_and_typed(call: Any, target: Target, tensor: tuple[dict[str, Any], np.ndarray]) -> None:
    head, rows = tensor
    raw = call(
        "ModelInfer",
        id="1",
        model_name=target.model,
        inputs=[head | {"parameters": {"binary_data_size": {"int64_param": rows.nbytes}}}],
        raw_input_contents=[rows.tobytes()],
    )
    contents = {"fp32_contents": rows.ravel().tolist()}
    typed = call("ModelInfer", id="2", model_name=target.model, inputs=[head | {"contents": contents}])
    assert (raw.id, typed.id) == ("1", "2")
    # A server may answer typed contents in either form.
    data = (
        np.frombuffer(typed.raw_output_contents[0], np.float32)
        if typed.raw_output_contents
        else np.array(typed.outputs[0].contents.fp32_contents, np.float32)
    )
    assert data.tobytes() == raw.raw_output_contents[0]
