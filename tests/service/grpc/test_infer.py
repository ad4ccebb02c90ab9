"""Tensors through gRPC: the bits of REST, a status for each refusal, nothing computed for nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.cost import Cost
from service.grpc.decode import CONTENTS
from service.grpc.messages import INFERENCE, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from service.model import ServedModel
from tests import graphs
from tests.records import metadata
from tests.service.grpc.conftest import Door, Opening, refused

pytestmark = pytest.mark.anyio

WEIGHT = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
LENGTH = "inference-header-content-length"


@pytest.fixture
async def door(tmp_path: Path, opening: Opening) -> AsyncIterator[Door]:
    properties = graphs.metadata_property(metadata(3).model_dump_json())
    graphs.put(
        graphs.linear(WEIGHT, np.zeros(2, np.float32), softmax=True, properties=properties), tmp_path, "m"
    )
    graphs.put(graphs.of_all_datatypes(), tmp_path, "all")
    graphs.put(graphs.lookup(), tmp_path, "lookup")
    graphs.put(graphs.identity(graphs.FLOAT, ["N", 2], inputs=2), tmp_path, "pair")
    async with opening(tmp_path, default_model="m", max_rows=1000, max_body_bytes=1_000_000) as door:
        yield door


def request(rows: Any, **fields: Any) -> dict[str, Any]:
    array = np.asarray(rows, np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": array.shape}
    return {"model_name": "m", "inputs": [tensor], "raw_input_contents": [array.tobytes()], **fields}


def floats(answer: Any, output: int = 0) -> np.ndarray:
    return np.frombuffer(answer.raw_output_contents[output], np.float32).reshape(answer.outputs[output].shape)


def heavy(model: ServedModel, cost: Cost) -> ServedModel:
    """The model, thought to cost so much."""
    model.cost = cost
    model._batcher = model._new_batcher()
    return model


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_the_answer_names_the_model_and_echoes_the_id(door: Door) -> None:
    answer = await door.call("ModelInfer", **request(np.ones((2, 3)), id="a7", model_version="1"))
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "a7")
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("y", "FP32", [2, 2])
    ]
    assert (await door.call("ModelInfer", **request(np.ones((1, 3))))).id == ""


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(np.float32, (3, 3), elements=st.floats(-100, 100, width=32)))
async def test_every_door_gives_the_same_bits(door: Door, rows: np.ndarray) -> None:
    table = (await door.http.post("/predict", json={"inputs": rows.tolist()})).json()["probabilities"]
    head = {"name": "x", "datatype": "FP32", "shape": [3, 3]}
    in_json = await door.http.post("/v2/models/m/infer", json={"inputs": [head | {"data": rows.tolist()}]})
    document = {
        "inputs": [head | {"parameters": {"binary_data_size": 36}}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(document).encode()
    binary = await door.http.post(
        "/v2/models/m/infer", content=text + rows.tobytes(), headers={LENGTH: str(len(text))}
    )
    raw = await door.call("ModelInfer", **request(rows))
    contents = {"fp32_contents": rows.ravel().tolist()}
    typed = await door.call("ModelInfer", model_name="m", inputs=[head | {"contents": contents}])
    expected = floats(raw).tobytes()
    assert np.array(table, np.float32).tobytes() == expected
    assert np.array(in_json.json()["outputs"][0]["data"], np.float32).tobytes() == expected
    assert binary.content[int(binary.headers[LENGTH]) :] == expected
    assert np.array(typed.outputs[0].contents.fp32_contents, np.float32).tobytes() == expected
    assert not typed.raw_output_contents


async def test_every_datatype_goes_through_a_model_in_both_forms(door: Door) -> None:
    metadata = await door.call("ModelMetadata", name="all")
    values = {"BYTES": [b"d\xc3\xa9", b""], "BOOL": [True, False]}
    typed, raw, framed = [], [], []
    for tensor in metadata.inputs:
        head = {"name": tensor.name, "datatype": tensor.datatype, "shape": [1, 2]}
        given = values.get(tensor.datatype, [1, 0])
        dtype = {"FP16": "f2", "FP32": "f4", "FP64": "f8", "BOOL": "?"}.get(
            tensor.datatype, tensor.datatype.lower()
        )
        if tensor.datatype == "BYTES":
            framed.append(b"\3\0\0\0d\xc3\xa9\0\0\0\0")
        else:
            framed.append(np.array(given, dtype).tobytes())
        raw.append(head)
        field = {"BYTES": "bytes_contents"}.get(tensor.datatype) or CONTENTS.get(np.dtype(dtype).name)
        typed.append(head | ({"contents": {field: given}} if field else {}))
    answer = await door.call("ModelInfer", model_name="all", inputs=raw, raw_input_contents=framed)
    assert list(answer.raw_output_contents) == framed
    assert [output.datatype for output in answer.outputs] == [tensor.datatype for tensor in metadata.inputs]
    error = await refused(door.call("ModelInfer", model_name="all", inputs=typed))
    assert "FP16 has no typed contents" in str(error.details())


async def test_outputs_come_in_the_order_asked(door: Door) -> None:
    head = {"datatype": "FP32", "shape": [1, 2]}
    answer = await door.call(
        "ModelInfer",
        model_name="pair",
        inputs=[{"name": "x1", **head}, {"name": "x0", **head}],
        raw_input_contents=[np.ones(2, "f4").tobytes(), np.zeros(2, "f4").tobytes()],
        outputs=[{"name": "y1"}, {"name": "y0"}],
    )
    assert [(o.name, float(floats(answer, i)[0, 0])) for i, o in enumerate(answer.outputs)] == [
        ("y1", 1.0),
        ("y0", 0.0),
    ]


async def test_classification_names_the_likeliest_classes(door: Door) -> None:
    outputs = [{"name": "y", "parameters": {"classification": {"int64_param": 1}}}]
    rows = np.array([[9, 9, 9]], np.float32)
    whole = floats(await door.call("ModelInfer", **request(rows)))
    answer = await door.call("ModelInfer", **request(rows, outputs=outputs))
    best = int(whole[0].argmax())
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 1])
    text = answer.raw_output_contents[0][4:].decode()
    value, index, label = text.split(":")
    assert (np.float32(value), index, label) == (whole[0, best], str(best), ("no", "yes")[best])


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        (request(np.ones((1, 3)), model_name="z"), StatusCode.NOT_FOUND, "no model named 'z'"),
        (request(np.ones((1, 3)), model_name=""), StatusCode.NOT_FOUND, "no model named ''"),
        (request(np.ones((1, 3)), model_version="2"), StatusCode.NOT_FOUND, "has no version '2'"),
        (request(np.ones((1, 2))), StatusCode.INVALID_ARGUMENT, "the model takes [-1, 3]"),
        (request([[1, np.nan, 1]]), StatusCode.INVALID_ARGUMENT, "NaN or infinity"),
        (request(np.ones((1001, 3))), StatusCode.RESOURCE_EXHAUSTED, "too many rows: got 1001"),
        (
            {
                "model_name": "lookup",
                "inputs": [
                    {"name": "table", "datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [1]}},
                    {"name": "i", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [9]}},
                ],
            },
            StatusCode.INVALID_ARGUMENT,
            "the model cannot compute these inputs",
        ),
        (request(np.ones((1, 3)), model_name="é" * 10_000), StatusCode.NOT_FOUND, "no model named"),
    ],
)
async def test_a_bad_request_has_a_status_and_words(
    door: Door, fields: dict[str, Any], status: StatusCode, words: str
) -> None:
    error = await refused(door.call("ModelInfer", **fields))
    assert error.code() == status
    assert words in str(error.details())


async def test_a_fault_of_ours_is_told_to_the_log_alone(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.model.ServedModel.infer", lambda *_: 1 / 0)
    error = await refused(door.call("ModelInfer", **request(np.ones((1, 3)))))
    assert (error.code(), error.details()) == (
        StatusCode.INTERNAL,
        "internal error: the server's log says more",
    )
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert (await door.call("ModelInfer", **request(np.ones((1, 3))))).outputs


async def test_the_log_tells_of_each_call_at_debug_and_nothing_of_its_message(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "foldserve.requests")
    await door.call("ModelInfer", **request(np.ones((2, 3))))
    await refused(door.call("ModelInfer", **request(np.ones((2, 3)), model_name="secret")))
    told = [record.__dict__["facts"] for record in caplog.records if record.name == "foldserve.requests"]
    assert [(facts["path"], facts["grpc_status"]) for facts in told] == [
        (f"/{INFERENCE}/ModelInfer", "OK"),
        (f"/{INFERENCE}/ModelInfer", "NOT_FOUND"),
    ]
    assert (told[0]["model"], told[0]["rows"], told[1]["error"]) == ("m", 2, "UnknownModel")
    assert "secret" not in str(told)


async def test_what_is_no_message_is_told_so(door: Door) -> None:
    infer = door.channel.unary_unary(f"/{INFERENCE}/ModelInfer")
    for body in (b"\xff", b"\x0a\xff", b"\x0a\x02\xff\xff" * 100_000):
        error = await refused(infer(body))
        assert (error.code(), error.details()) == (
            StatusCode.INVALID_ARGUMENT,
            "the body is not an inference.ModelInferRequest",
        )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
async def test_random_bytes_are_never_a_fault_of_ours(door: Door, body: bytes) -> None:
    error = await refused(door.channel.unary_unary(f"/{INFERENCE}/ModelInfer")(body))
    assert error.code() in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


async def test_requests_are_counted_with_their_times(door: Door) -> None:
    counters = door.app.state.repository.find("m").counters
    await door.call("ModelInfer", **request(np.ones((2, 3))))
    await refused(door.call("ModelInfer", **request(np.ones((2, 2)))))
    totals = counters.totals()
    assert (totals.successes, totals.rows, totals.failures["OTHER"]) == (1, 2, 1)
    assert all(totals.phases[phase].total > 0 for phase in ("request", "decode", "run", "encode"))


async def test_an_answer_tells_its_name_and_where_the_time_went(door: Door) -> None:
    send = door.channel.unary_unary(f"/{INFERENCE}/ServerLive")
    call = send(b"", metadata=(("x-request-id", "r-1"),))
    await call
    told = dict(await call.trailing_metadata())
    assert told["x-request-id"] == "r-1"
    assert str(told["server-timing"]).startswith("decode;dur=")
    error = await refused(door.call("ModelInfer", model_name="z"))
    assert dict(error.trailing_metadata())["x-request-id"]


@pytest.mark.parametrize("by", ["deadline", "parameter"])
async def test_an_answer_that_would_come_too_late_is_not_computed(door: Door, by: str) -> None:
    model = heavy(door.app.state.repository.find("m"), Cost(100.0, 0.0))
    asked = request(np.ones((1, 3)))
    if by == "parameter":
        asked["parameters"] = {"timeout": {"int64_param": 5_000_000}}
    error = await refused(door.call("ModelInfer", timeout=30 if by == "deadline" else None, **asked))
    assert error.code() == StatusCode.DEADLINE_EXCEEDED
    assert "would come after its deadline" in str(error.details())
    assert model.counters.totals().failures["REJECTED"] == 1
    assert model.counters.totals().executions == 0


async def test_a_cancelled_call_is_not_computed_and_a_busy_server_says_when(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = heavy(door.app.state.repository.find("m"), Cost(0.0, 0.1))
    sizes: list[int] = []
    started, go_on, run = Event(), Event(), model.session.run

    def held(feeds: Any, outputs: Any) -> Any:
        sizes.append(len(feeds["x"]))
        started.set()
        assert go_on.wait(10)
        return run(feeds, outputs)

    monkeypatch.setattr(model.session, "run", held)
    first = asyncio.ensure_future(door.call("ModelInfer", **request(np.ones((1, 3)))))
    await asyncio.to_thread(started.wait, 10)
    second = door.call("ModelInfer", **request(np.ones((2, 3))))
    await until(lambda: model.waiting == 2)
    error = await refused(door.call("ModelInfer", **request(np.ones((900, 3)))))
    assert error.code() == StatusCode.UNAVAILABLE
    assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) >= 100
    second.cancel()
    await until(lambda: model.counters.totals().failures["CANCELED"] == 1)
    go_on.set()
    assert len((await first).outputs) == 1
    await door.call("ModelInfer", **request(np.ones((3, 3))))
    assert sizes == [1, 3]


async def test_a_stream_answers_each_request_and_goes_on_after_a_refusal(door: Door) -> None:
    stream = door.channel.stream_stream(
        f"/{INFERENCE}/ModelStreamInfer", response_deserializer=ModelStreamInferResponse.FromString
    )()
    for fields in (
        request(np.ones((1, 3)), id="1"),
        request(np.ones((1, 3)), id="2", model_name="z"),
        request(np.ones((1, 3)), id="3"),
    ):
        await stream.write(ModelInferRequest(**fields).SerializeToString())
    await stream.write(b"\xff")
    await stream.done_writing()
    answers = [answer async for answer in stream]
    assert [answer.infer_response.id for answer in answers] == ["1", "2", "3", ""]
    assert "no model named 'z'" in answers[1].error_message
    assert "not an inference.ModelInferRequest" in answers[3].error_message
    assert not answers[0].error_message
    assert answers[2].infer_response.parameters["triton_final_response"].bool_param
    assert floats(answers[2].infer_response).shape == (1, 2)


async def test_a_fault_in_a_stream_is_told_to_the_log_alone(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.model.ServedModel.infer", lambda *_: 1 / 0)
    stream = door.channel.stream_stream(
        f"/{INFERENCE}/ModelStreamInfer", response_deserializer=ModelStreamInferResponse.FromString
    )()
    await stream.write(ModelInferRequest(**request(np.ones((1, 3)))).SerializeToString())
    answer = await stream.read()
    assert answer.error_message == "internal error: the server's log says more"
    assert "ZeroDivisionError" in caplog.text
    await stream.done_writing()


async def test_compressed_messages_are_read(door: Door) -> None:
    send = door.channel.unary_unary(
        f"/{INFERENCE}/ModelInfer", response_deserializer=ModelInferResponse.FromString
    )
    body = ModelInferRequest(**request(np.ones((900, 3)))).SerializeToString()
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert floats(await send(body, compression=algorithm)).shape == (900, 2)
