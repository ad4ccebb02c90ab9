"""NVIDIA's Python client, which we did not write, against the server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.conformance.conftest import Target

with warnings.catch_warnings():
    # gevent, below the client, is not as strict about its imports as this project.
    warnings.simplefilter("ignore")
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException

DTYPES = {"BOOL": "bool", "BYTES": "object", "FP16": "float16", "FP32": "float32", "FP64": "float64"}


@pytest.fixture
def client(target: Target) -> Iterator[Any]:
    with triton.InferenceServerClient(target.address.partition("://")[2]) as client:
        yield client


def given(name: str, array: np.ndarray, kind: str, *, binary: bool = True) -> Any:
    tensor = triton.InferInput(name, list(array.shape), kind)
    return tensor.set_data_from_numpy(array, binary_data=binary)


def test_the_server_and_its_models_are_described(client: Any, target: Target) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(target.model)
    assert not client.is_model_ready("no-such-model")
    assert not client.is_model_ready(target.model, "987654")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    model = client.get_model_metadata(target.model)
    assert client.get_model_metadata(target.model, model["versions"][0])["inputs"] == model["inputs"]
    index = client.get_model_repository_index()
    assert {"name", "version", "state"} <= set(index[0])
    assert target.model in {entry["name"] for entry in index}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_infer_in_every_form(client: Any, target: Target, binary_in: bool, binary_out: bool | None) -> None:
    model = client.get_model_metadata(target.model)
    [only], output = model["inputs"], model["outputs"][0]["name"]
    rows = np.random.default_rng(2).uniform(size=(5, only["shape"][1])).astype(np.float32)
    asked = None if binary_out is None else [triton.InferRequestedOutput(output, binary_data=binary_out)]
    tensor = given(only["name"], rows, "FP32", binary=binary_in)
    result = client.infer(target.model, [tensor], outputs=asked, request_id="r1", timeout=1_000_000)
    plain = client.infer(target.model, [given(only["name"], rows, "FP32")])
    assert result.get_response()["id"] == "r1"
    assert result.as_numpy(output).shape[0] == 5
    assert result.as_numpy(output).tobytes() == plain.as_numpy(output).tobytes()


def test_async_infer(client: Any, target: Target) -> None:
    [only] = client.get_model_metadata(target.model)["inputs"]
    rows = np.zeros((1, only["shape"][1]), np.float32)
    asked = [client.async_infer(target.model, [given(only["name"], rows, "FP32")]) for _ in range(4)]
    assert {result.get_result().get_response()["model_name"] for result in asked} == {target.model}


def test_every_datatype(client: Any, ours: Target) -> None:
    model = client.get_model_metadata("all")
    arrays = {}
    for tensor in model["inputs"]:
        kind = tensor["datatype"]
        values: list[Any] = ["déjà", ""] if kind == "BYTES" else [1, 0]
        arrays[tensor["name"]] = (np.array([values], DTYPES.get(kind, kind.lower())), kind)
    result = client.infer("all", [given(name, array, kind) for name, (array, kind) in arrays.items()])
    for name, (array, kind) in arrays.items():
        output = result.as_numpy(name.replace("in_", "out_"))
        if kind == "BYTES":
            assert [[item.decode() for item in row] for row in output] == array.tolist()
        else:
            assert (output.dtype, output.tobytes()) == (array.dtype, array.tobytes())


@pytest.mark.parametrize("binary", [True, False])
def test_text_in_both_forms(client: Any, ours: Target, binary: bool) -> None:
    texts = np.array(["a", "", "日本", 'quote"'], dtype=object)
    asked = [triton.InferRequestedOutput("y0", binary_data=binary)]
    result = client.infer("text", [given("x0", texts, "BYTES", binary=binary)], outputs=asked).as_numpy("y0")
    assert [item.decode() if isinstance(item, bytes) else item for item in result] == texts.tolist()


def test_an_empty_tensor(client: Any, ours: Target) -> None:
    result = client.infer(
        "pair", [given(name, np.zeros((0, 2), np.float32), "FP32") for name in ("x0", "x1")]
    )
    assert result.as_numpy("y1").shape == (0, 2)


def test_statistics(client: Any, target: Target) -> None:
    [only] = client.get_model_metadata(target.model)["inputs"]
    rows = np.zeros((2, only["shape"][1]), np.float32)
    client.infer(target.model, [given(only["name"], rows, "FP32")])
    [stats] = client.get_inference_statistics(target.model)["model_stats"]
    assert stats["inference_stats"]["success"]["count"] > 0
    assert stats["inference_stats"]["compute_infer"]["ns"] > 0
    assert client.get_inference_statistics()["model_stats"]


def test_what_is_not_offered_is_an_error_with_words(client: Any, ours: Target) -> None:
    rows = given("x0", np.zeros((1, 2), np.float32), "FP32")
    for call, status in (
        (lambda: client.get_model_config("pair"), "404"),
        (lambda: client.load_model("pair"), "403"),
        (lambda: client.unload_model("pair"), "403"),
        (lambda: client.get_system_shared_memory_status(), "404"),
        (lambda: client.infer("pair", [rows]), "400"),
        (lambda: client.infer("pair", [rows], request_compression_algorithm="gzip"), "415"),
        (lambda: client.infer("nobody", [rows]), "404"),
    ):
        with pytest.raises(InferenceServerException) as refusal:
            call()
        assert refusal.value.status() == status
        assert refusal.value.message()
