"""NVIDIA's Python client over gRPC, which we did not write, against the server."""

from __future__ import annotations

import asyncio
import queue
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conformance.conftest import Target
from tests.conformance.test_triton_client import DTYPES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.grpc as triton
    import tritonclient.grpc.aio as triton_aio
    from tritonclient.utils import InferenceServerException


@pytest.fixture
def address(target: Target) -> str:
    if target.grpc is None:
        pytest.skip("needs OIP_GRPC")
    return target.grpc


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
def rows(client: Any, target: Target) -> np.ndarray:
    width = client.get_model_metadata(target.model).inputs[0].shape[1]
    return np.random.default_rng(5).uniform(size=(4, width)).astype(np.float32)


def given(name: str, array: np.ndarray, kind: str = "FP32") -> Any:
    return triton.InferInput(name, list(array.shape), kind).set_data_from_numpy(array)


@pytest.fixture
def tensor(client: Any, target: Target, rows: np.ndarray) -> Any:
    return given(client.get_model_metadata(target.model).inputs[0].name, rows)


@pytest.fixture
def output(client: Any, target: Target) -> str:
    name: str = client.get_model_metadata(target.model).outputs[0].name
    return name


def refusal(call: Any) -> InferenceServerException:
    with pytest.raises(InferenceServerException) as error:
        call()
    assert error.value.message()
    return error.value


def test_the_server_and_its_models_are_described(client: Any, target: Target) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(target.model)
    assert client.get_server_metadata().name
    model = client.get_model_metadata(target.model)
    assert model.name == target.model
    [only] = model.inputs
    assert (only.datatype, only.shape[0]) == ("FP32", -1)
    assert client.get_model_metadata(target.model, model.versions[0]).inputs == model.inputs
    config = client.get_model_config(target.model).config
    assert (config.name, config.input[0].name) == (target.model, only.name)
    assert config.input[0].data_type == 11
    assert target.model in {entry.name for entry in client.get_model_repository_index().models}
    assert client.get_server_metadata(as_json=True)["name"]


def test_infer_echoes_the_id_and_gives_the_numbers_of_rest(
    client: Any, target: Target, rows: np.ndarray, tensor: Any, output: str
) -> None:
    result = client.infer(target.model, [tensor], request_id="r1", timeout=1_000_000)
    assert result.get_response().id == "r1"
    head = {"name": tensor.name(), "datatype": "FP32", "shape": list(rows.shape)}
    body = {"inputs": [head | {"data": rows.ravel().tolist()}], "outputs": [{"name": output}]}
    answer = httpx.post(f"{target.address}/v2/models/{target.model}/infer", json=body, timeout=30).json()
    data = np.array(answer["outputs"][0]["data"], np.float32)
    assert data.tobytes() == result.as_numpy(output).tobytes()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_messages_may_be_compressed(
    client: Any, target: Target, tensor: Any, output: str, algorithm: str
) -> None:
    packed = client.infer(target.model, [tensor], compression_algorithm=algorithm)
    plain = client.infer(target.model, [tensor])
    assert packed.as_numpy(output).tobytes() == plain.as_numpy(output).tobytes()


def test_async_infer_by_callback(client: Any, target: Target, tensor: Any) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    for _ in range(4):
        client.async_infer(target.model, [tensor], lambda result, error: answers.put((result, error)))
    found = [answers.get(timeout=30) for _ in range(4)]
    assert [error for _, error in found] == [None] * 4


def test_a_stream_answers_in_order_and_survives_a_refusal(client: Any, target: Target, tensor: Any) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for name, asked in ((target.model, "1"), ("no-such-model", "2"), (target.model, "3")):
        client.async_stream_infer(name, [tensor], request_id=asked, enable_empty_final_response=True)
    found = [answers.get(timeout=30) for _ in range(3)]
    client.stop_stream()
    assert [result and result.get_response().id for result, _ in found] == ["1", None, "3"]
    assert found[1][1].message()
    assert found[0][0].get_response().parameters["triton_final_response"].bool_param


def test_the_asynchronous_client_does_the_same(address: str, target: Target, rows: np.ndarray) -> None:
    async def ask() -> Any:
        async with triton_aio.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            name = (await client.get_model_metadata(target.model)).inputs[0].name
            return await client.infer(target.model, [given(name, rows)])

    assert asyncio.run(ask()).get_response().outputs[0].shape[0] == len(rows)


def test_classification(client: Any, target: Target, tensor: Any, output: str, rows: np.ndarray) -> None:
    asked = [triton.InferRequestedOutput(output, class_count=2)]
    found = client.infer(target.model, [tensor], outputs=asked).as_numpy(output)
    whole = client.infer(target.model, [tensor]).as_numpy(output)
    best = [[int(text.split(b":")[1]) for text in texts] for texts in found]
    assert best == np.argsort(-whole, axis=1, kind="stable")[:, :2].tolist()


def test_parameters_of_scheduling_are_accepted(client: Any, target: Target, tensor: Any) -> None:
    result = client.infer(
        target.model,
        [tensor],
        priority=1,
        sequence_id="s",
        sequence_start=True,
        client_timeout=30,
        headers={"x-other": "1"},
        parameters={"a": 1, "b": "text", "c": True, "d": 0.5},
    )
    assert result.get_response().model_name == target.model


def test_statistics_and_settings(client: Any, target: Target, tensor: Any) -> None:
    client.infer(target.model, [tensor])
    [stats] = client.get_inference_statistics(target.model).model_stats
    assert stats.inference_stats.success.count > 0
    assert stats.inference_stats.compute_infer.ns > 0
    assert client.get_inference_statistics().model_stats
    assert "log_info" in client.get_log_settings().settings
    assert "trace_level" in client.get_trace_settings().settings
    assert "trace_level" in client.get_trace_settings(target.model).settings


def test_no_shared_memory_is_registered(client: Any) -> None:
    assert not client.get_system_shared_memory_status().regions
    assert not client.get_cuda_shared_memory_status().regions
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()


def test_faults_have_a_status(client: Any, target: Target, tensor: Any, rows: np.ndarray) -> None:
    wrong = given("no-such-input", rows)
    assert refusal(lambda: client.infer("no-such-model", [tensor])).status() == "StatusCode.NOT_FOUND"
    assert refusal(lambda: client.infer(target.model, [wrong])).status() == "StatusCode.INVALID_ARGUMENT"
    assert refusal(lambda: client.get_model_metadata("no-such-model")).status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("kind", ["INT64", "INT32"])
def test_integers_where_categories_are_integers(client: Any, ours: Target, kind: str) -> None:
    numbers, codes = np.ones((4, 2), np.float32), np.array([[7756], [-3], [0], [12]], kind.lower())
    answers = []
    for array, datatype in ((codes, kind), (codes.astype(str).astype(object), "BYTES")):
        tensors = [given("numeric", numbers), given("categorical", array, datatype)]
        answers.append(client.infer("coded", tensors).as_numpy("probabilities"))
    assert len(np.unique(answers[0], axis=0)) == 4
    assert answers[0].tobytes() == answers[1].tobytes()


def test_every_datatype(client: Any, ours: Target) -> None:
    arrays = {}
    for tensor in client.get_model_metadata("all").inputs:
        kind = tensor.datatype
        values: list[Any] = ["déjà", ""] if kind == "BYTES" else [1, 0]
        arrays[tensor.name] = (np.array([values], DTYPES.get(kind, kind.lower())), kind)
    result = client.infer("all", [given(name, array, kind) for name, (array, kind) in arrays.items()])
    for name, (array, kind) in arrays.items():
        output = result.as_numpy(name.replace("in_", "out_"))
        if kind == "BYTES":
            assert [[item.decode() for item in row] for row in output] == array.tolist()
        else:
            assert (output.dtype, output.tobytes()) == (array.dtype, array.tobytes())


def test_a_model_that_is_not_there_is_not_ready(client: Any, ours: Target) -> None:
    assert not client.is_model_ready("no-such-model")
    assert not client.is_model_ready(ours.model, "987654")


def test_what_is_not_offered_is_an_error_with_words(client: Any, ours: Target) -> None:
    shared = triton.InferInput("x", [1, 4], "FP32")
    shared.set_shared_memory("r", 16)
    for call, status in (
        (lambda: client.load_model("pair"), "PERMISSION_DENIED"),
        (
            lambda: client.load_model("pair", files={"file:1/model.onnx": b"x"}, config="{}"),
            "PERMISSION_DENIED",
        ),
        (lambda: client.unload_model("pair"), "PERMISSION_DENIED"),
        (lambda: client.update_log_settings({"log_info": False}), "PERMISSION_DENIED"),
        (lambda: client.update_trace_settings(settings={"trace_rate": "1"}), "PERMISSION_DENIED"),
        (lambda: client.register_system_shared_memory("r", "/r", 16), "INVALID_ARGUMENT"),
        (lambda: client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 16), "INVALID_ARGUMENT"),
        (lambda: client.get_cuda_shared_memory_status("r"), "NOT_FOUND"),
        (lambda: client.infer("digits", [shared]), "INVALID_ARGUMENT"),
    ):
        assert refusal(call).status() == f"StatusCode.{status}"
