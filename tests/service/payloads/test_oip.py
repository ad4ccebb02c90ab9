"""What is accepted fits the model exactly; what is not is one clear line, never another exception."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.errors import InvalidTensors, MalformedBody, RequestError
from service.payloads.oip import Decoder, Encoder, InferRequest, Wanted, document
from service.payloads.oip.binary_data import Tail
from service.payloads.oip.datatypes import DATATYPES
from service.session import TensorSpec

NUMBERS = [name for name in DATATYPES if name not in ("bool", "string", "bfloat16")]
X = TensorSpec("x", "float32", (None, 2))
Y = TensorSpec("y", "float32", (None, 2))


def entry(**changes: Any) -> dict[str, Any]:
    usual = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]}
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def body(*inputs: Any, **top: Any) -> bytes:
    return json.dumps({"inputs": list(inputs) or [entry()], **top}).encode()


def outcome(decoder: Decoder, raw: bytes, header: str | None = None) -> InferRequest | RequestError:
    """By the decoder as it is, and by its strict half alone: they must agree."""
    fast = attempt(lambda: decoder(raw, header))
    length = len(raw) if header is None else int(header) if header.isdigit() else 0
    if 0 < length <= len(raw):
        tail = Tail(memoryview(raw)[length:])
        strict = attempt(lambda: decoder._request(document.parse(raw[:length]), tail))
        same(fast, strict)
    return fast


def attempt(call: Any) -> InferRequest | RequestError:
    try:
        request = call()
    except RequestError as error:
        return printable(error)
    assert isinstance(request, InferRequest)
    return request


def printable(error: RequestError) -> RequestError:
    assert isinstance(error, InvalidTensors | MalformedBody)
    assert "\n" not in str(error)
    orjson.dumps(str(error))
    return error


def same(one: InferRequest | RequestError, other: InferRequest | RequestError) -> None:
    if isinstance(one, RequestError) or isinstance(other, RequestError):
        assert str(one) == str(other)
        return
    assert (one.id, one.outputs, one.rows) == (other.id, other.outputs, other.rows)
    assert list(one.feeds) == list(other.feeds)
    for name, array in one.feeds.items():
        equal(array, other.feeds[name])


def equal(one: NDArray[Any], other: NDArray[Any]) -> None:
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()


def decode(
    raw: bytes,
    inputs: Sequence[TensorSpec] = (X,),
    outputs: Sequence[TensorSpec] = (Y,),
    header: str | None = None,
) -> InferRequest:
    result = outcome(Decoder(inputs, outputs), raw, header)
    if isinstance(result, RequestError):
        raise result
    return result


def binary(header: dict[str, Any], *tensors: bytes) -> tuple[bytes, str]:
    text = json.dumps(header).encode()
    return text + b"".join(tensors), str(len(text))


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1.0, 2], [3, 4.0]]])
def test_data_are_flat_or_nested(data: Any) -> None:
    request = decode(body(entry(shape=[2, 2], data=data)))
    equal(request.feeds["x"], np.array([[1, 2], [3, 4]], np.float32))
    assert request.rows == 2


def test_the_usual_form_never_meets_the_strict_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [
        TensorSpec("x", "float32", (None, 2)),
        TensorSpec("n", "int64", (None, 1, 2)),
        TensorSpec("s", "string", (None,)),
        TensorSpec("b", "bool", (2,)),
    ]
    raw = body(
        entry(data=[[1, 2]]),
        entry(name="n", shape=[2, 1, 2], datatype="INT64", data=[[[1, 2]], [[3, 2**62]]]),
        entry(name="s", shape=[1], datatype="BYTES", data=["é"]),
        entry(name="b", shape=[2], datatype="BOOL", data=[True, False]),
        outputs=[{"name": "y", "parameters": {"binary_data": True}}],
        id="7",
    )
    expected = decode(raw, specs)
    monkeypatch.setattr(document, "parse", lambda _: pytest.fail("the strict reader was asked"))
    same(Decoder(specs, [Y])(raw), expected)
    assert expected.feeds["n"][1, 0, 1] == 2**62


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
@settings(max_examples=15)
def test_every_number_survives_the_way_there_and_back(dtype: str, data: st.DataObject) -> None:
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else None
    array = data.draw(
        hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3), elements=elements)
    )
    round_trip(array, DATATYPES[dtype], dtype)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=0, max_side=3)))
@settings(max_examples=15)
def test_every_boolean_survives(array: NDArray[Any]) -> None:
    round_trip(array, "BOOL", "bool")


@given(st.lists(st.text()))
def test_every_text_survives(texts: list[str]) -> None:
    round_trip(np.array(texts, dtype=object), "BYTES", "string")


def round_trip(array: NDArray[Any], kind: str, dtype: str) -> None:
    """Encode as an answer, hand the answer's tensor back as a request, in both forms."""
    spec = TensorSpec("x", dtype, (None,) * array.ndim)
    encoder, decoder = Encoder("m", 1, [spec]), Decoder([spec], [])
    for is_binary in (True, False) if kind != "FP16" else (True,):
        asked = InferRequest("i", {}, (Wanted("x", is_binary),), 1)
        answer = encoder(asked, [array])
        text = answer.body[: answer.json_length]
        document = json.loads(text)
        assert (document["model_name"], document["model_version"], document["id"]) == ("m", "1", "i")
        [tensor] = document["outputs"]
        assert tensor["datatype"] == kind
        header, tail = json.dumps({"inputs": [tensor]}).encode(), answer.body[len(text) :]
        result = outcome(decoder, header + tail, str(len(header)))
        assert isinstance(result, InferRequest), result
        equal(result.feeds["x"], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": "FP64"}, 'input "x": datatype is "FP64", the model takes FP32'),
        ({"datatype": ...}, "datatype is missing, the model takes FP32"),
        ({"datatype": ["FP32"]}, "datatype is a list"),
        ({"name": "z"}, 'input "z": the model has no such input'),
        ({"name": 3}, "inputs[0]: expected a name, got the number 3"),
        ({"name": ...}, "inputs[0]: expected a name, got nothing"),
        ({"shape": [1, 3]}, "shape is [1, 3], the model takes [-1, 2]"),
        ({"shape": [2]}, "shape is [2], the model takes [-1, 2]"),
        ({"shape": [-1, 2]}, "shape holds -1, expected a whole number"),
        ({"shape": [1.0, 2]}, "shape holds 1.0"),
        ({"shape": [True, 2]}, "shape holds true"),
        ({"shape": ["1", 2]}, 'shape holds "1"'),
        ({"shape": [2**64, 2]}, "shape holds 18446744073709551616"),
        ({"shape": [2**63 - 1, 2]}, "data has 2 elements, shape [9223372036854775807, 2] takes 18446744073"),
        ({"shape": ...}, "expected a shape, got nothing"),
        ({"shape": "12"}, "expected a shape, got the string"),
        ({"shape": [2, 2]}, "data has 2 elements, shape [2, 2] takes 4"),
        ({"data": [1, 2, 3]}, "data has 3 elements, shape [1, 2] takes 2"),
        ({"data": []}, "data has 0 elements"),
        ({"data": ["1", 2]}, 'element 0: expected a number, got the string "1"'),
        ({"data": [1, True]}, "element 1: expected a number, got the boolean true"),
        ({"data": [None, 2]}, "element 0: expected a number, got null"),
        ({"data": [{}, 2]}, "element 0: expected a number, got an object"),
        ({"data": [[1, 2, 3]]}, "data[0]: expected a list of 2, got a list of 3"),
        ({"data": [[1], [2]]}, "data: expected a list of 1, got a list of 2"),
        ({"data": [[1, [2]]]}, "element 1: expected a number, got a list"),
        ({"data": [[[1, 2]]]}, "data[0]: expected a list of 2, got a list of 1"),
        ({"data": 1}, "data is the number 1, expected a list"),
        ({"data": None}, "data is null, expected a list"),
        ({"data": ...}, "it has neither data nor binary_data_size"),
        ({"data": [float("nan"), 1]}, "element 0: expected a finite number, got NaN"),
        ({"data": [1e39, 1]}, "1e+39 is outside the range of FP32"),
        ({"data": [float("inf"), 1]}, "Infinity is outside the range of FP32"),
        ({"parameters": []}, "parameters is a list"),
        ({"parameters": {"a": [1]}}, 'parameter "a" is a list, expected a string, a number or a boolean'),
        ({"parameters": {"shared_memory_region": "r"}}, "shared memory is not offered"),
        ({"parameters": {"binary_data_size": 8}}, "it has both data and binary_data_size"),
        ({"data": ..., "parameters": {"binary_data_size": -1}}, "binary_data_size is -1"),
        ({"data": ..., "parameters": {"binary_data_size": True}}, "binary_data_size is true"),
        ({"data": ..., "parameters": {"binary_data_size": "8"}}, 'binary_data_size is "8"'),
        ({"data": ..., "parameters": {"binary_data_size": 8.0}}, "binary_data_size is 8.0"),
        ({"data": ..., "parameters": {"binary_data_size": 8}}, "8, but 0 bytes of the body are left"),
    ],
)
def test_a_bad_input_is_told_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTensors) as refusal:
        decode(body(entry(**change)))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("int8", 128, "128 is outside the range of INT8"),
        ("uint8", -1, "-1 is outside the range of UINT8"),
        ("int64", 2**63, "outside the range of INT64"),
        ("uint64", 2**64, "outside the range of UINT64"),
        ("int32", 1.5, "expected an integer, got 1.5"),
        ("int32", 10**500, "Infinity is outside the range of INT32"),
        ("bool", 1, "expected true or false, got the number 1"),
        ("bool", "true", "expected true or false"),
        ("string", 1, "expected a string, got the number 1"),
        ("string", "\ud800", "half a surrogate pair"),
        ("float16", 1.0, "FP16 has no JSON form"),
    ],
)
def test_an_element_that_its_datatype_cannot_hold(dtype: str, value: Any, message: str) -> None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else json.dumps(value)
    raw = (
        f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"{DATATYPES[dtype]}","data":[{text}]}}]}}'.encode()
    )
    with pytest.raises(InvalidTensors, match=message):
        decode(raw, [TensorSpec("x", dtype, (None,))])


def test_whole_numbers_are_integers_however_they_are_written() -> None:
    raw = body(entry(shape=[2], datatype="INT32", data=[1.0, -2e0]))
    equal(decode(raw, [TensorSpec("x", "int32", (2,))]).feeds["x"], np.array([1, -2], np.int32))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b'{"inputs": [\xff]}', "not UTF-8: byte 12 is 0xff"),
        (b'{"a":' * 5000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_malformed(raw: bytes, message: str) -> None:
    with pytest.raises(MalformedBody, match=message):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "expected an object"),
        (b"{}", "inputs: it is missing"),
        (b'{"inputs": 3}', "inputs: it is the number 3, not a list of objects"),
        (b'{"inputs": [3]}', "inputs: it is a list with something else than objects"),
        (b'{"inputs": []}', 'missing "x"'),
        (body(entry(), entry()), 'input "x": it is given twice'),
        (body(id=3), "id: expected a string, got the number 3"),
        (body(id="\ud800"), "is not Unicode"),
        (body(outputs=[{"name": "z"}]), 'output "z": the model has no such output'),
        (body(outputs=[{"name": "y"}] * 2), 'output "y": it is asked for twice'),
        (body(outputs=[{}]), "outputs[0]: expected a name"),
        (body(outputs={}), "outputs: it is an object"),
        (body(outputs=[{"name": "y", "parameters": {"binary_data": 1}}]), "binary_data is the number 1"),
        (
            body(outputs=[{"name": "y", "parameters": {"classification": 0}}]),
            "parameter classification is the number 0",
        ),
        (body(parameters={"binary_data_output": "yes"}), "binary_data_output is the string"),
        (body(parameters=3), "parameters is the number 3"),
        (body(parameters={"p": {}}), 'parameter "p" is an object'),
        (body().replace(b'"name"', b'"name": "x", "name"'), 'the key "name" is given twice'),
        (body().replace(b'"inputs"', b'"inputs": [], "inputs"'), 'the key "inputs" is given twice'),
    ],
)
def test_a_request_against_the_protocol_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidTensors) as refusal:
        decode(raw)
    assert message in str(refusal.value)


def test_what_is_optional_may_be_null_and_what_is_unknown_is_ignored() -> None:
    raw = body(
        entry(parameters={"mine": 1}), id=None, outputs=None, parameters={"timeout": 5}, model_name="m"
    )
    request = decode(raw)
    assert (request.id, request.outputs) == (None, (Wanted("y", False),))


def test_outputs_come_as_they_are_asked_for() -> None:
    specs = [TensorSpec(name, "float32", (None,)) for name in "abc"]
    assert [w.name for w in decode(body(), outputs=specs).outputs] == ["a", "b", "c"]
    wanted = [{"name": "c", "parameters": {"binary_data": False}}, {"name": "a"}]
    raw = body(outputs=wanted, parameters={"binary_data_output": True})
    assert decode(raw, outputs=specs).outputs == (Wanted("c", False), Wanted("a", True))


def test_binary_and_json_inputs_mix_and_binary_is_a_view() -> None:
    specs = [TensorSpec(name, "float32", (None,)) for name in "abc"]
    header = {
        "inputs": [
            entry(name="a", shape=[1], data=..., parameters={"binary_data_size": 4}),
            entry(name="b", shape=[1], data=[7]),
            entry(name="c", shape=[2], data=..., parameters={"binary_data_size": 8}),
        ]
    }
    raw, length = binary(header, np.float32([1]).tobytes(), np.float32([2, 3]).tobytes())
    request = decode(raw, specs, header=length)
    assert {name: array.tolist() for name, array in request.feeds.items()} == {
        "a": [1],
        "b": [7],
        "c": [2, 3],
    }
    assert all(array.flags.aligned for array in request.feeds.values())
    padded = b" " * (-len(raw[: int(length)]) % 8) + raw
    view = decode(padded, specs, header=str(int(length) + len(padded) - len(raw))).feeds["c"]
    assert not view.flags.owndata


@pytest.mark.parametrize(
    ("size", "tail", "message"),
    [
        (8, b"\0" * 4, "binary_data_size is 8, but 4 bytes of the body are left"),
        (4, b"\0" * 4, "got 4 bytes, FP32 [1, 2] takes 8"),
        (12, b"\0" * 12, "got 12 bytes, FP32 [1, 2] takes 8"),
        (8, b"\0" * 9, "1 bytes follow the last tensor"),
        (0, b"", "got 0 bytes"),
        (2**70, b"\0" * 8, "binary_data_size is 1180591620717411303424, but 8"),
    ],
)
def test_sizes_that_do_not_add_up(size: int, tail: bytes, message: str) -> None:
    raw, length = binary({"inputs": [entry(data=..., parameters={"binary_data_size": size})]}, tail)
    with pytest.raises(InvalidTensors) as refusal:
        decode(raw, header=length)
    assert message in str(refusal.value)


@pytest.mark.parametrize("header", ["", "-1", "x", "1e3", "99999999", "+5", "１２", "9" * 30, " 5"])
def test_a_bad_json_length_is_refused(header: str) -> None:
    with pytest.raises(InvalidTensors, match="Inference-Header-Content-Length: got"):
        Decoder([X], [Y])(body(), header)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"\1\0\0", "element 0 ends"),
        (b"\5\0\0\0ab", "element 0 ends 3 bytes beyond its tensor"),
        (b"\xff\xff\xff\xffab", "beyond its tensor"),
        (b"\1\0\0\0a", "got 1 elements, shape [2] takes 2"),
        (b"\1\0\0\0a" * 3, "got 3 elements, shape [2] takes 2"),
        (b"\1\0\0\0a\1\0\0\0\xff", "element 1: not UTF-8: byte 0 is 0xff"),
        (b"", "got 0 elements"),
    ],
)
def test_broken_bytes_are_refused(tail: bytes, message: str) -> None:
    tensor = entry(shape=[2], datatype="BYTES", data=..., parameters={"binary_data_size": len(tail)})
    raw, length = binary({"inputs": [tensor]}, tail)
    with pytest.raises(InvalidTensors) as refusal:
        decode(raw, [TensorSpec("x", "string", (None,))], header=length)
    assert message in str(refusal.value)


def test_a_boolean_byte_is_zero_or_one() -> None:
    tensor = entry(shape=[2], datatype="BOOL", data=..., parameters={"binary_data_size": 2})
    raw, length = binary({"inputs": [tensor]}, b"\1\2")
    with pytest.raises(InvalidTensors, match="neither 0 nor 1"):
        decode(raw, [TensorSpec("x", "bool", (None,))], header=length)


def test_a_raw_request_is_nothing_but_the_input() -> None:
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    request = decode(rows.tobytes(), header="0")
    equal(request.feeds["x"], rows)
    assert request.outputs == (Wanted("y", True),)
    text = decode("déjà".encode(), [TensorSpec("x", "string", (None, 1))], header="0")
    assert text.feeds["x"].tolist() == [["déjà"]]


@pytest.mark.parametrize(
    ("inputs", "raw", "message"),
    [
        ([X], b"\0" * 9, "got 9 bytes, FP32 [1, 2] takes 8"),
        ([X, Y], b"", "one input, this one has 2"),
        ([TensorSpec("x", "float32", (None, None))], b"", "at most one variable dimension"),
        ([TensorSpec("x", "float32", (2, 2))], b"\0" * 8, "got 8 bytes, FP32 [2, 2] takes 16"),
        ([TensorSpec("x", "float32", (None, 0))], b"\0", "got 1 bytes"),
        ([TensorSpec("x", "string", (2,))], b"", "a raw request carries one element"),
        ([TensorSpec("x", "string", (1,))], b"\xff", "not UTF-8"),
    ],
)
def test_a_raw_request_that_does_not_fit(inputs: list[TensorSpec], raw: bytes, message: str) -> None:
    with pytest.raises(InvalidTensors) as refusal:
        decode(raw, inputs, header="0")
    assert message in str(refusal.value)


def test_fp16_outputs_are_binary_or_refused() -> None:
    half = [TensorSpec("y", "float16", (None,))]
    with pytest.raises(InvalidTensors, match="FP16 has no JSON form: ask for it"):
        decode(body(), outputs=half)
    raw = body(parameters={"binary_data_output": True})
    assert decode(raw, outputs=half).outputs == (Wanted("y", True),)


CODED = TensorSpec("x", "string", (None, 2))


@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2), max_size=4))
@settings(deadline=None)
def test_a_coded_text_is_an_integer_as_python_writes_it(rows: list[tuple[int, int]]) -> None:
    array = np.array(rows, np.int64).reshape(-1, 2)
    texts = np.array([[str(code) for code in row] for row in rows], object).reshape(-1, 2)
    sent = {"datatype": "INT64", "shape": list(array.shape)}
    whole = body(entry(**sent, data=array.tolist()))
    size = {"binary_data_size": array.nbytes}
    tail = binary({"inputs": [entry(**sent, data=..., parameters=size)]}, array.tobytes())
    for raw, header in ((whole, None), tail):
        decoder = Decoder([CODED], [Y], coded={"x"})
        equal(decoder(raw, header).feeds["x"], texts)
        equal(decoder.strict(raw, header).feeds["x"], texts)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"datatype": "INT64", "data": [1.5, 2]}, "expected an integer, got 1.5"),
        ({"datatype": "INT32", "data": [2**31, 2]}, "2147483648 is outside the range of INT32"),
        ({"datatype": "FP32", "data": [1, 2]}, "the model takes BYTES or INT64"),
        ({"datatype": "INT64", "data": ["1", "2"]}, "expected a number, got the string"),
        ({"datatype": ["INT64"]}, "the model takes BYTES or INT64"),
    ],
    ids=["fraction", "range", "float", "text", "list"],
)
def test_what_is_no_integer_is_no_coded_text(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidTensors, match=line):
        Decoder([CODED], [Y], coded={"x"})(body(entry(**({"shape": [1, 2]} | changes))))


@pytest.mark.parametrize("dtype", ["bfloat16", "seq(tensor(float))"])
def test_inputs_that_cannot_come_this_way_are_named(dtype: str) -> None:
    with pytest.raises(InvalidTensors, match='input "x" is'):
        Decoder([TensorSpec("x", dtype, (None,))], [Y])(body())


def test_a_model_that_accepts_no_missing_values_refuses_nan_in_binary_form_too() -> None:
    raw = np.float32([1, np.nan]).tobytes()
    with pytest.raises(InvalidTensors, match="holds NaN or infinity"):
        Decoder([X], [Y], finite=True)(raw, "0")
    assert np.isnan(decode(raw, header="0").feeds["x"][0, 1])


def test_an_empty_tensor_cannot_announce_a_huge_one() -> None:
    free = TensorSpec("x", "float32", (None, None))
    assert decode(body(entry(shape=[0, 5], data=[])), [free]).feeds["x"].shape == (0, 5)
    with pytest.raises(InvalidTensors, match="too large for a tensor without elements"):
        decode(body(entry(shape=[0, 2**40], data=[])), [free])


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["x", "y", "FP32", "BYTES", "BOOL", "INT8", 2**63, -(2**63), 10**30, 0, 1, 2]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "shape", "datatype", "data", "parameters", "binary_data_size", "id", "é"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
SPECS = st.sampled_from(
    [
        (TensorSpec("x", dtype, shape),)
        for dtype in ("float32", "float64", "int8", "uint64", "string", "bool", "float16")
        for shape in ((), (None,), (None, 2), (None, None), (2, None, 1))
    ]
)
SIZES = st.integers(0, 3) | st.sampled_from([-1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64, True, 1.0, "2", None])


def fits(request: InferRequest, specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        array = request.feeds[spec.name]
        assert array.dtype == (object if spec.dtype == "string" else spec.dtype)
        assert array.ndim == len(spec.shape)
        assert all(size in (None, came) for size, came in zip(spec.shape, array.shape, strict=True))


@given(SPECS, st.dictionaries(st.sampled_from(["inputs", "outputs", "id", "parameters"]), JSON_VALUES))
def test_random_json_is_refused_or_fits(specs: tuple[TensorSpec, ...], value: Any) -> None:
    result = outcome(Decoder(specs, [Y]), json.dumps(value).encode())
    if isinstance(result, InferRequest):
        fits(result, specs)


@given(SPECS, st.lists(SIZES, max_size=4), JSON_VALUES, st.none() | SIZES, st.binary(max_size=20))
@settings(max_examples=300)
def test_requests_that_are_nearly_right_are_refused_or_fit(
    specs: tuple[TensorSpec, ...], shape: list[Any], data: Any, size: Any, tail: bytes
) -> None:
    [spec] = specs
    tensor = {"name": "x", "datatype": DATATYPES[spec.dtype], "shape": shape}
    tensor |= {"data": data} if size is None else {"parameters": {"binary_data_size": size}}
    raw, length = binary({"inputs": [tensor]}, tail if size is not None else b"")
    result = outcome(Decoder(specs, [Y]), raw, length)
    if isinstance(result, InferRequest):
        fits(result, specs)
        assert result.feeds["x"].shape == tuple(shape)


@given(SPECS, st.binary(max_size=60), st.none() | st.integers(0, 70).map(str) | st.text(max_size=3))
def test_random_bytes_are_refused_or_fit(
    specs: tuple[TensorSpec, ...], raw: bytes, header: str | None
) -> None:
    result = attempt(lambda: Decoder(specs, [Y])(raw, header))
    if isinstance(result, InferRequest):
        fits(result, specs)


@given(st.lists(st.binary(max_size=5), max_size=4), st.binary(max_size=3))
def test_bytes_are_framed_exactly(elements: list[bytes], rest: bytes) -> None:
    raw = b"".join(struct.pack("<I", len(item)) + item for item in elements) + rest
    tensor = entry(
        shape=[len(elements)], datatype="BYTES", data=..., parameters={"binary_data_size": len(raw)}
    )
    whole, length = binary({"inputs": [tensor]}, raw)
    result = outcome(Decoder([TensorSpec("x", "string", (None,))], [Y]), whole, length)
    if isinstance(result, InferRequest):
        assert rest == b""
        assert [text.encode() for text in result.feeds["x"]] == elements
