"""A message is refused in one line or fits the model; the same tensors are the same however they come."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.errors import InvalidTensors
from service.grpc.decode import CONTENTS, decode
from service.grpc.messages import ModelInferRequest
from service.payloads.oip import Decoder, InferRequest, Wanted, binary_data
from service.payloads.oip.datatypes import DATATYPES
from service.session import TensorSpec

X = TensorSpec("x", "float32", (None, 2))
Y = TensorSpec("y", "float32", (None, 2))
REGION = {"shared_memory_region": {"string_param": "r"}}
TYPED = [dtype for dtype in CONTENTS if dtype != "string"]


def tensor(**changes: Any) -> dict[str, Any]:
    usual = {"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2.5]}}
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def message(*inputs: dict[str, Any], **fields: Any) -> Any:
    return ModelInferRequest(inputs=inputs or [tensor()], **fields)


def raw(*contents: bytes, **changes: Any) -> Any:
    return message(tensor(contents=..., **changes), raw_input_contents=contents)


def read(
    sent: Any, inputs: Sequence[TensorSpec] = (X,), outputs: Sequence[TensorSpec] = (Y,), **options: Any
) -> InferRequest:
    return decode(sent, Decoder(inputs, outputs, **options))


def attempt(sent: Any, spec: TensorSpec, **options: Any) -> NDArray[Any] | None:
    """The array, which fits the spec; None when it was refused in one line."""
    try:
        request = read(sent, [spec], **options)
    except InvalidTensors as refusal:
        return printable(refusal)
    array = request.feeds[spec.name]
    assert list(array.shape) == list(sent.inputs[0].shape)
    assert array.dtype == (object if spec.dtype == "string" else np.dtype(spec.dtype))
    assert all(size in (None, came) for size, came in zip(spec.shape, array.shape, strict=True))
    return array


def printable(refusal: InvalidTensors) -> None:
    assert "\n" not in str(refusal)
    str(refusal).encode()


def arrays(dtype: str) -> st.SearchStrategy[NDArray[Any]]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    finite = {"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind == "f" else {}
    return hnp.arrays(dtype, shapes, elements=hnp.from_dtype(np.dtype(dtype), **finite))


@given(st.data(), st.sampled_from(TYPED))
def test_the_same_tensor_is_the_same_raw_typed_and_in_json(data: st.DataObject, dtype: str) -> None:
    array = data.draw(arrays(dtype))
    spec = TensorSpec("x", dtype, (None,) * array.ndim)
    head = {"datatype": DATATYPES[dtype], "shape": list(array.shape)}
    typed = message(tensor(contents={CONTENTS[dtype]: array.ravel().tolist()}, **head))
    body = json.dumps({"inputs": [{"name": "x", "data": array.ravel().tolist(), **head}]}).encode()
    for request in (
        read(raw(array.tobytes(), **head), [spec]),
        read(typed, [spec]),
        Decoder([spec], [Y])(body),
    ):
        came = request.feeds["x"]
        assert (came.dtype, came.shape, came.tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert request.rows == (array.shape[0] if array.ndim else 1)


@given(st.lists(st.text()))
def test_text_is_the_same_raw_and_typed(texts: list[str]) -> None:
    spec = TensorSpec("x", "string", (None,))
    array = np.array(texts, dtype=object)
    head = {"datatype": "BYTES", "shape": [len(texts)]}
    typed = message(tensor(contents={"bytes_contents": [text.encode() for text in texts]}, **head))
    assert read(typed, [spec]).feeds["x"].tolist() == texts
    assert read(raw(binary_data.write(array), **head), [spec]).feeds["x"].tolist() == texts


def test_halves_come_raw_alone() -> None:
    spec = TensorSpec("x", "float16", (None,))
    array = np.array([1.5, 2], np.float16)
    assert read(raw(array.tobytes(), datatype="FP16", shape=[2]), [spec]).feeds["x"].tolist() == [1.5, 2]
    with pytest.raises(InvalidTensors, match="FP16 has no typed contents"):
        read(message(tensor(datatype="FP16", shape=[2])), [spec])


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (message(tensor(name="z")), "the model has no such input"),
        (message(tensor(), tensor()), "it is given twice"),
        (ModelInferRequest(), "missing"),
        (message(tensor(datatype="FP64")), 'datatype is "FP64", the model takes FP32'),
        (message(tensor(datatype=...)), 'datatype is "", the model takes FP32'),
        (message(tensor(shape=[-1, 2])), "shape holds -1"),
        (message(tensor(shape=[2])), "shape is [2], the model takes [-1, 2]"),
        (message(tensor(shape=...)), "shape is [], the model takes [-1, 2]"),
        (message(tensor(shape=[2**62, 2])), "fp32_contents has 2 elements, shape [4611686018427387904, 2]"),
        (message(tensor(shape=[2, 2])), "fp32_contents has 2 elements, shape [2, 2] takes 4"),
        (message(tensor(contents=...)), "fp32_contents has 0 elements"),
        (message(tensor(contents={"fp64_contents": [1, 2]})), "FP32 belongs in fp32_contents"),
        (
            message(tensor(contents={"fp32_contents": [1, 2], "int_contents": [1]})),
            "its contents are in int_contents",
        ),
        (message(tensor(), raw_input_contents=[bytes(8)]), "it has contents beside raw_input_contents"),
        (message(tensor(contents={}), raw_input_contents=[bytes(8)]), "it has contents beside"),
        (raw(bytes(8), bytes(8)), "got 2 tensors for 1 inputs"),
        (raw(bytes(7)), "got 7 bytes, FP32 [1, 2] takes 8"),
        (raw(bytes(8), shape=[2**62, 2]), "got 8 bytes"),
        (raw(b""), "got 0 bytes"),
        (message(parameters={"a": {}}), 'parameter "a" is null'),
        (message(tensor(parameters={"a": {}})), 'parameter "a" is null'),
        (message(parameters={"timeout": {"int64_param": -1}}), "parameter timeout"),
        (message(parameters={"timeout": {"string_param": "1"}}), "parameter timeout"),
        (message(tensor(parameters=REGION)), "shared memory is not offered"),
        (message(outputs=[{"name": "z"}]), "the model has no such output"),
        (message(outputs=[{"name": "y"}, {"name": "y"}]), "it is asked for twice"),
        (
            message(outputs=[{"name": "y", "parameters": {"classification": {"bool_param": True}}}]),
            "parameter classification is the boolean true",
        ),
        (
            message(outputs=[{"name": "y", "parameters": REGION}]),
            "shared memory is not offered",
        ),
    ],
)  # fmt: skip
def test_a_bad_message_is_told_what_is_wrong(sent: Any, words: str) -> None:
    with pytest.raises(InvalidTensors) as refusal:
        read(sent)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("dtype", "values", "words"),
    [
        ("int8", [1, 128], "element 1: 128 is outside the range of INT8"),
        ("int16", [-40000], "element 0: -40000 is outside the range of INT16"),
        ("uint8", [256], "256 is outside the range of UINT8"),
    ],
)
def test_small_integers_keep_to_their_range(dtype: str, values: list[int], words: str) -> None:
    spec = TensorSpec("x", dtype, (None,))
    contents = {CONTENTS[dtype]: values}
    with pytest.raises(InvalidTensors, match=words):
        read(message(tensor(datatype=DATATYPES[dtype], shape=[len(values)], contents=contents)), [spec])


def test_everything_beside_the_tensors_is_read() -> None:
    request = read(
        message(
            id="a7",
            parameters={
                "timeout": {"uint64_param": 2_000_000},
                "priority": {"uint64_param": 1},
                "sequence_id": {"string_param": "s"},
                "ratio": {"double_param": 0.5},
            },
            outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 2}}}],
        )
    )
    assert (request.id, request.timeout, request.rows) == ("a7", 2.0, 1)
    assert request.outputs == (Wanted("y", binary=False, classes=2),)
    assert read(message()).id is None


def test_what_comes_raw_is_answered_raw_and_what_comes_typed_typed() -> None:
    assert [wanted.binary for wanted in read(raw(bytes(8))).outputs] == [True]
    assert [wanted.binary for wanted in read(message()).outputs] == [False]
    asked = {"binary_data_output": {"bool_param": True}}
    assert [wanted.binary for wanted in read(message(parameters=asked)).outputs] == [True]
    half = TensorSpec("h", "float16", (None, 2))
    assert [wanted.binary for wanted in read(message(), outputs=[Y, half]).outputs] == [True, True]


def test_a_model_that_accepts_no_missing_values_refuses_nan_in_both_forms() -> None:
    bad = np.array([[1, np.nan]], np.float32)
    typed = message(tensor(contents={"fp32_contents": bad.ravel().tolist()}))
    for sent in (typed, raw(bad.tobytes())):
        assert np.isnan(read(sent).feeds["x"]).any()
        with pytest.raises(InvalidTensors, match="NaN or infinity"):
            read(sent, finite=True)


DIMENSIONS = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 2**31, 2**62, 2**63 - 1, -(2**63)]), max_size=4)
SPECS = st.builds(
    TensorSpec,
    st.just("x"),
    st.sampled_from([name for name in DATATYPES if name != "bfloat16"]),
    st.lists(st.sampled_from([None, 0, 1, 2]), max_size=3).map(tuple),
)


@given(SPECS, DIMENSIONS, st.binary(max_size=40), st.booleans())
def test_random_raw_bytes_are_refused_or_fit(
    spec: TensorSpec, shape: list[int], content: bytes, finite: bool
) -> None:
    sent = raw(content, datatype=DATATYPES[spec.dtype], shape=shape)
    array = attempt(sent, spec, finite=finite)
    if array is not None and array.dtype != object:
        assert array.tobytes() == content


@given(
    SPECS,
    DIMENSIONS,
    st.fixed_dictionaries(
        {},
        optional={
            "bool_contents": st.lists(st.booleans(), max_size=6),
            "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6),
            "uint_contents": st.lists(st.integers(0, 2**32 - 1), max_size=6),
            "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
            "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=6),
            "fp32_contents": st.lists(st.floats(width=32), max_size=6),
            "fp64_contents": st.lists(st.floats(), max_size=6),
            "bytes_contents": st.lists(st.binary(max_size=5), max_size=6),
        },
    ),
    st.lists(st.binary(max_size=10), max_size=2),
    st.booleans(),
)
def test_random_contents_are_refused_or_fit(
    spec: TensorSpec, shape: list[int], contents: dict[str, Any], raws: list[bytes], finite: bool
) -> None:
    head = tensor(datatype=DATATYPES[spec.dtype], shape=shape, contents=contents or ...)
    array = attempt(message(head, raw_input_contents=raws), spec, finite=finite)
    if array is not None and not raws:
        assert array.size == len(contents.get(CONTENTS[spec.dtype], []))


@given(st.lists(st.binary(max_size=6), max_size=4), st.binary(max_size=3))
def test_bytes_are_framed_exactly(elements: list[bytes], rest: bytes) -> None:
    content = b"".join(struct.pack("<I", len(element)) + element for element in elements) + rest
    spec = TensorSpec("x", "string", (None,))
    array = attempt(raw(content, datatype="BYTES", shape=[len(elements)]), spec)
    if array is not None:
        assert [text.encode() for text in array] == elements
        assert not rest


def test_invalid_utf8_is_named_in_both_forms() -> None:
    spec = TensorSpec("x", "string", (None,))
    head = {"datatype": "BYTES", "shape": [2]}
    typed = message(tensor(contents={"bytes_contents": [b"a", b"\xff"]}, **head))
    for sent in (typed, raw(b"\1\0\0\0a\1\0\0\0\xff", **head)):
        with pytest.raises(InvalidTensors, match="element 1: not UTF-8: byte 0 is 0xff"):
            read(sent, [spec])
