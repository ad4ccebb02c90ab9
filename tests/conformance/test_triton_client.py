"""NVIDIA's Python client, which we did not write, against the server."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conformance.conftest import Target

with warnings.catch_warnings():
    # gevent, below the client, is not as strict about its imports as this project.
    warnings.simplefilter("ignore")
    import tritonclient.http as triton
    import tritonclient.http.aio as triton_aio
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


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["INT64", "INT32"])
def test_integers_where_categories_are_integers(client: Any, ours: Target, kind: str, binary: bool) -> None:
    numbers, codes = np.ones((4, 2), np.float32), np.array([[7756], [-3], [0], [12]], kind.lower())
    answers = []
    for array, datatype in ((codes, kind), (codes.astype(str).astype(object), "BYTES")):
        tensors = [given("numeric", numbers, "FP32"), given("categorical", array, datatype, binary=binary)]
        answers.append(client.infer("coded", tensors).as_numpy("probabilities"))
    assert len(np.unique(answers[0], axis=0)) == 4
    assert answers[0].tobytes() == answers[1].tobytes()


def test_integers_where_texts_are_no_integers_are_refused(client: Any, ours: Target) -> None:
    with pytest.raises(InferenceServerException, match=r"INT64., the model takes BYTES$"):
        client.infer("text", [given("x0", np.array([1]), "INT64")])
    with pytest.raises(InferenceServerException, match=r"FP64., the model takes BYTES or INT64$"):
        client.infer("coded", [given("categorical", np.array([[1.0]]), "FP64")])


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


def test_the_configuration(client: Any, target: Target) -> None:
    model = client.get_model_metadata(target.model)
    [only] = model["inputs"]
    for version in ("", model["versions"][0]):
        config = client.get_model_config(target.model, version)
        assert config["name"] == target.model
        assert config["input"][0]["name"] == only["name"]
        assert config["input"][0]["data_type"] == "TYPE_FP32"
        whole = config["input"][0]["dims"]
        assert ([-1, *whole] if config["max_batch_size"] else whole) == only["shape"]
        assert config["output"][0]["name"] == model["outputs"][0]["name"]


@pytest.mark.parametrize("sent", ["gzip", "deflate", None])
@pytest.mark.parametrize("wanted", ["gzip", "deflate", None])
def test_bodies_are_compressed_both_ways(
    client: Any, target: Target, sent: str | None, wanted: str | None
) -> None:
    model = client.get_model_metadata(target.model)
    [only], output = model["inputs"], model["outputs"][0]["name"]
    rows = np.random.default_rng(3).uniform(size=(3000, only["shape"][1])).astype(np.float32)
    tensor = given(only["name"], rows, "FP32")
    packed = client.infer(
        target.model,
        [tensor],
        request_compression_algorithm=sent,
        response_compression_algorithm=wanted,
    )
    plain = client.infer(target.model, [tensor])
    assert packed.as_numpy(output).tobytes() == plain.as_numpy(output).tobytes()


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client: Any, target: Target, binary: bool) -> None:
    model = client.get_model_metadata(target.model)
    [only], output = model["inputs"], model["outputs"][0]["name"]
    rows = np.random.default_rng(4).uniform(size=(5, only["shape"][1])).astype(np.float32)
    tensor = given(only["name"], rows, "FP32")
    asked = [triton.InferRequestedOutput(output, class_count=2, binary_data=binary)]
    found = client.infer(target.model, [tensor], outputs=asked).as_numpy(output)
    whole = client.infer(target.model, [tensor]).as_numpy(output)
    assert found.shape == (5, 2)
    for texts, values in zip(found, whole, strict=True):
        best = [text.decode() if isinstance(text, bytes) else text for text in texts]
        order = np.argsort(-values, kind="stable")[:2]
        assert [int(text.split(":")[1]) for text in best] == order.tolist()
        assert np.allclose([float(text.split(":")[0]) for text in best], values[order], atol=1e-6)


def test_classification_names_the_labels_of_the_model(client: Any, ours: Target) -> None:
    tensor = given("x", np.zeros((1, 4), np.float32), "FP32")
    asked = [triton.InferRequestedOutput("y", class_count=99)]
    [texts] = client.infer("labelled", [tensor], outputs=asked).as_numpy("y")
    assert sorted(text.decode().rpartition(":")[2] for text in texts) == ["a", "b", "c"]
    [texts] = client.infer("digits", [tensor], outputs=asked).as_numpy("y")
    assert {text.count(b":") for text in texts} == {1}


def test_parameters_of_scheduling_are_accepted(client: Any, target: Target) -> None:
    [only] = client.get_model_metadata(target.model)["inputs"]
    tensor = given(only["name"], np.zeros((1, only["shape"][1]), np.float32), "FP32")
    result = client.infer(
        target.model,
        [tensor],
        priority=1,
        sequence_id=7,
        sequence_start=True,
        parameters={"a": 1, "b": "text", "c": True},
        headers={"X-Other": "1"},
        query_params={"q": "1"},
    )
    assert result.get_response()["model_name"] == target.model


def test_settings_are_read(client: Any, target: Target) -> None:
    assert {"log_info", "log_warning", "log_error", "log_verbose_level"} <= set(client.get_log_settings())
    assert "trace_level" in client.get_trace_settings()
    assert "trace_level" in client.get_trace_settings(target.model)


def test_no_shared_memory_is_registered(client: Any, target: Target) -> None:
    assert client.get_system_shared_memory_status() == []
    assert client.get_cuda_shared_memory_status() == []
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()


def test_a_body_made_apart_is_read_and_its_answer_too(client: Any, target: Target) -> None:
    [only] = client.get_model_metadata(target.model)["inputs"]
    tensor = given(only["name"], np.zeros((2, only["shape"][1]), np.float32), "FP32")
    body, json_size = client.generate_request_body([tensor])
    headers = {"Inference-Header-Content-Length": str(json_size)}
    path = f"{target.address}/v2/models/{target.model}/infer"
    answer = httpx.post(path, content=body, headers=headers, timeout=30)
    length = int(answer.headers["Inference-Header-Content-Length"])
    result = client.parse_response_body(answer.content, header_length=length)
    assert result.get_response()["outputs"][0]["shape"][0] == 2


def test_the_asynchronous_client_does_the_same(target: Target) -> None:
    async def ask() -> Any:
        async with triton_aio.InferenceServerClient(target.address.partition("://")[2]) as client:
            [only] = (await client.get_model_metadata(target.model))["inputs"]
            rows = np.zeros((3000, only["shape"][1]), np.float32)
            tensor = triton_aio.InferInput(only["name"], list(rows.shape), "FP32")
            tensor.set_data_from_numpy(rows)
            return await client.infer(
                target.model,
                [tensor],
                request_compression_algorithm="gzip",
                response_compression_algorithm="deflate",
            )

    result = asyncio.run(ask())
    assert result.get_response()["outputs"][0]["shape"][0] == 3000


def test_what_is_not_offered_is_an_error_with_words(client: Any, ours: Target) -> None:
    rows = given("x0", np.zeros((1, 2), np.float32), "FP32")
    shared = triton.InferInput("x", [1, 4], "FP32")
    shared.set_shared_memory("r", 16)
    output = triton.InferRequestedOutput("y")
    output.set_shared_memory("r", 16)
    plain = given("x", np.zeros((1, 4), np.float32), "FP32")
    for call, status in (
        (lambda: client.load_model("pair"), "403"),
        (lambda: client.unload_model("pair"), "403"),
        (lambda: client.update_log_settings({"log_info": False}), "405"),
        (lambda: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}), "405"),
        (lambda: client.update_trace_settings("digits", {"trace_rate": "1"}), "405"),
        (lambda: client.get_trace_settings("nobody"), "404"),
        (lambda: client.get_model_config("nobody"), "404"),
        (lambda: client.register_system_shared_memory("r", "/r", 16), "400"),
        (lambda: client.register_cuda_shared_memory("r", b"handle", 0, 16), "400"),
        (lambda: client.get_system_shared_memory_status("r"), "404"),
        (lambda: client.infer("digits", [shared]), "400"),
        (lambda: client.infer("digits", [plain], outputs=[output]), "400"),
        (lambda: client.infer("pair", [rows]), "400"),
        (lambda: client.infer("nobody", [rows]), "404"),
    ):
        with pytest.raises(InferenceServerException) as refusal:
            call()
        assert refusal.value.status() == status
        assert refusal.value.message()
