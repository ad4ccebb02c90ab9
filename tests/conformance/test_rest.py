"""Open Inference Protocol v2 over REST: what any server that speaks it owes its clients."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conformance.conftest import Target

LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
def model(client: httpx.Client, target: Target) -> dict[str, Any]:
    """The metadata of the model under test."""
    document: dict[str, Any] = client.get(f"/v2/models/{target.model}").json()
    [only] = document["inputs"]
    assert (only["datatype"], only["shape"][0], len(only["shape"])) == ("FP32", -1, 2)
    return document


@pytest.fixture
def rows(model: dict[str, Any]) -> NDArray[np.float32]:
    width = model["inputs"][0]["shape"][1]
    return np.random.default_rng(1).uniform(0, 1, size=(3, width)).astype(np.float32)


@pytest.fixture
def path(target: Target) -> str:
    return f"/v2/models/{target.model}/infer"


def tensor(model: dict[str, Any], rows: NDArray[np.float32], **changes: Any) -> dict[str, Any]:
    usual = {
        "name": model["inputs"][0]["name"],
        "shape": list(rows.shape),
        "datatype": "FP32",
        "data": rows.ravel().tolist(),
    }
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def is_error(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text
    document = answer.json()
    assert list(document) == ["error"]
    assert isinstance(document["error"], str)
    assert document["error"]


def first_output(answer: httpx.Response) -> NDArray[np.float32]:
    """The first output of an answer, whatever its form."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    output = json.loads(answer.content[:length])["outputs"][0]
    size = output.get("parameters", {}).get("binary_data_size")
    if size is None:
        return np.array(output["data"], np.float32).reshape(output["shape"])
    assert len(answer.content) >= length + size
    return np.frombuffer(answer.content[length : length + size], "<f4").reshape(output["shape"])


@pytest.fixture
def expected(
    client: httpx.Client, path: str, model: dict[str, Any], rows: NDArray[np.float32]
) -> NDArray[np.float32]:
    return first_output(client.post(path, json={"inputs": [tensor(model, rows)]}))


@pytest.mark.parametrize("probe", ["/v2/health/live", "/v2/health/ready"])
def test_health(client: httpx.Client, probe: str) -> None:
    assert client.get(probe).status_code == 200


def test_server_metadata(client: httpx.Client) -> None:
    document = client.get("/v2").json()
    assert isinstance(document["name"], str)
    assert isinstance(document["version"], str)
    assert "binary_tensor_data" in document["extensions"]


def test_model_metadata(model: dict[str, Any], target: Target) -> None:
    assert model["name"] == target.model
    assert model["platform"]
    assert all(isinstance(version, str) for version in model["versions"])
    for one in model["inputs"] + model["outputs"]:
        assert set(one) >= {"name", "datatype", "shape"}
        assert all(isinstance(size, int) for size in one["shape"])


def test_each_version_has_metadata_and_is_ready(
    client: httpx.Client, target: Target, model: dict[str, Any]
) -> None:
    assert client.get(f"/v2/models/{target.model}/ready").status_code == 200
    assert model["versions"]
    for version in model["versions"]:
        below = f"/v2/models/{target.model}/versions/{version}"
        assert client.get(below).json()["inputs"] == model["inputs"]
        assert client.get(f"{below}/ready").status_code == 200


@pytest.mark.parametrize("rest", ["", "/ready", "/stats"])
def test_unknown_models_and_versions_are_404(client: httpx.Client, target: Target, rest: str) -> None:
    is_error(client.get(f"/v2/models/no-such-model{rest}"), 404)
    is_error(client.get(f"/v2/models/{target.model}/versions/987654{rest}"), 404)


def test_infer_answers_in_the_form_of_the_protocol(
    client: httpx.Client, path: str, target: Target, model: dict[str, Any], rows: NDArray[np.float32]
) -> None:
    document = client.post(path, json={"id": "a7", "inputs": [tensor(model, rows)]}).json()
    assert (document["model_name"], document["id"]) == (target.model, "a7")
    assert isinstance(document["model_version"], str)
    assert [output["name"] for output in document["outputs"]] == [o["name"] for o in model["outputs"]]
    assert document["outputs"][0]["shape"][0] == len(rows)


def test_every_form_of_request_gives_the_same_numbers(
    client: httpx.Client,
    path: str,
    model: dict[str, Any],
    rows: NDArray[np.float32],
    expected: NDArray[np.float32],
) -> None:
    nested = {"inputs": [tensor(model, rows, data=rows.tolist())]}
    assert first_output(client.post(path, json=nested)).tobytes() == expected.tobytes()
    version = path.replace("/infer", f"/versions/{model['versions'][-1]}/infer")
    assert first_output(client.post(version, json=nested)).tobytes() == expected.tobytes()
    raw = client.post(path, content=rows.tobytes(), headers={LENGTH: "0"})
    assert LENGTH in raw.headers
    assert first_output(raw).tobytes() == expected.tobytes()


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("by_output", [True, False])
def test_binary_in_and_out_as_asked(
    client: httpx.Client,
    path: str,
    model: dict[str, Any],
    rows: NDArray[np.float32],
    expected: NDArray[np.float32],
    wanted: bool,
    by_output: bool,
) -> None:
    document: dict[str, Any] = {
        "inputs": [tensor(model, rows, data=..., parameters={"binary_data_size": rows.nbytes})]
    }
    if by_output:
        name = model["outputs"][0]["name"]
        document["outputs"] = [{"name": name, "parameters": {"binary_data": wanted}}]
        document["parameters"] = {"binary_data_output": not wanted}
    else:
        document["parameters"] = {"binary_data_output": wanted}
    header = json.dumps(document).encode()
    answer = client.post(
        path,
        content=header + rows.tobytes(),
        headers={LENGTH: str(len(header)), "Content-Type": "application/octet-stream"},
    )
    assert (LENGTH in answer.headers) == wanted
    assert first_output(answer).tobytes() == expected.tobytes()


@pytest.mark.parametrize("size", [..., -1, 0, 3, 11, 13, 10**12, True, "12", 12.0, None])
def test_every_wrong_binary_size_is_400(
    client: httpx.Client, path: str, model: dict[str, Any], rows: NDArray[np.float32], size: Any
) -> None:
    parameters = {} if size is ... else {"binary_data_size": size}
    header = json.dumps({"inputs": [tensor(model, rows, data=..., parameters=parameters)]}).encode()
    for tail in (b"", rows.tobytes(), rows.tobytes() + b"\0"):
        is_error(client.post(path, content=header + tail, headers={LENGTH: str(len(header))}), 400)


@pytest.mark.parametrize("length", ["-1", "x", "1e9", "99999999999999999999"])
def test_every_wrong_header_length_is_400(client: httpx.Client, path: str, length: str) -> None:
    is_error(client.post(path, content=b"{}", headers={LENGTH: length}), 400)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "no-such-input"},
        {"name": ...},
        {"datatype": "FP64"},
        {"datatype": ...},
        {"shape": ...},
        {"shape": [-1, -1]},
        {"shape": [2**62, 2**62]},
        {"shape": [1]},
        {"data": ...},
        {"data": []},
        {"data": ["a"]},
    ],
)
def test_bad_tensors_are_400(
    client: httpx.Client, path: str, model: dict[str, Any], rows: NDArray[np.float32], change: dict[str, Any]
) -> None:
    is_error(client.post(path, json={"inputs": [tensor(model, rows, **change)]}), 400)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"inputs": []}', b"\xff", b"[" * 10_000])
def test_bad_bodies_are_400_and_the_server_lives_on(client: httpx.Client, path: str, content: bytes) -> None:
    is_error(client.post(path, content=content, headers={"Content-Type": "application/json"}), 400)
    assert client.get("/v2/health/live").status_code == 200


def test_an_unknown_output_is_400(
    client: httpx.Client, path: str, model: dict[str, Any], rows: NDArray[np.float32]
) -> None:
    document = {"inputs": [tensor(model, rows)], "outputs": [{"name": "no-such-output"}]}
    is_error(client.post(path, json=document), 400)


def test_statistics_count_what_was_asked(
    client: httpx.Client, path: str, target: Target, model: dict[str, Any], rows: NDArray[np.float32]
) -> None:
    def counts() -> tuple[int, int]:
        [stats] = client.get(f"/v2/models/{target.model}/stats").json()["model_stats"]
        return stats["inference_stats"]["success"]["count"], stats["inference_count"]

    before = counts()
    for _ in range(3):
        client.post(path, json={"inputs": [tensor(model, rows)]})
    after = counts()
    assert (after[0] - before[0], after[1] - before[1]) == (3, 3 * len(rows))


def test_outputs_are_selected_in_the_order_asked(client: httpx.Client, ours: Target) -> None:
    def given(name: str, value: float) -> dict[str, Any]:
        return {"name": name, "shape": [1, 2], "datatype": "FP32", "data": [value, value]}

    document = {"inputs": [given("x1", 1), given("x0", 0)], "outputs": [{"name": "y1"}, {"name": "y0"}]}
    outputs = client.post("/v2/models/pair/infer", json=document).json()["outputs"]
    assert [(output["name"], output["data"][0]) for output in outputs] == [("y1", 1.0), ("y0", 0.0)]
