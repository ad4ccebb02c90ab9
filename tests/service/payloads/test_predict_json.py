"""The strict decoder says what a body means; the fast one must never say anything else."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import FoldserveError, InvalidRows, MalformedBody
from service.payloads import strict_json
from service.payloads.predict_json import Decoder, Encoder
from service.signature import Array, Signature
from tests.records import metadata

FLOAT32_MAX = float(np.finfo(np.float32).max)


def signature(width: int | None = 2, dtype: str = "float32", rows: int | None = None) -> Signature:
    names = ("age", "height", "weight", "x3", "x4")[: width or 0]
    return Signature.of_table("x", dtype, names, rows, "y", named=True)


def decode(body: str | bytes, model: Signature | None = None) -> Array:
    """By the fast decoder, once the strict one has said the same."""
    raw = body if isinstance(body, bytes) else body.encode()
    model = model or signature()
    fast, strict = outcome(Decoder(model), raw), outcome(lambda b: strict_json.decode(b, model), raw)
    if isinstance(strict, FoldserveError):
        assert type(fast) is type(strict)
        assert str(fast) == str(strict)
        raise strict
    assert isinstance(fast, np.ndarray)
    assert fast.dtype == strict.dtype == np.dtype(model.inputs[0].dtype)
    assert fast.shape == strict.shape
    assert fast.tobytes() == strict.tobytes()
    return strict


def outcome(decoder: Any, body: bytes) -> Any:
    try:
        return decoder(body)["x"]
    except FoldserveError as error:
        return error


@pytest.mark.parametrize(
    "body",
    [
        '{"inputs": [[1, 2.5]]}',
        '{"inputs": [1, 2.5]}',
        '{"records": [{"age": 1, "height": 2.5}]}',
        '{"records": [{"height": 25e-1, "age": 1.0}]}',
        '  {"inputs"\n:[ [1,2.5] ]}  ',
        '{"\\u0069nputs": [[1, 2.5]]}',
    ],
)
def test_rows_come_in_two_forms(body: str) -> None:
    assert decode(body).tolist() == [[1.0, 2.5]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "the body is empty"),
        ("  \n", "the body is empty"),
        ('{"inputs": [[1, 2]', "line 1, column 19"),
        ('{"inputs": [[1, 2]]} trailing', "Extra data"),
        ('{"inputs": [[01, 2]]}', "not JSON"),
        ("{'inputs': [[1, 2]]}", "not JSON"),
        (b'{"inputs": [[1, 2]], "\xff": 1}', "not UTF-8: byte 22 is 0xff"),
        ('{"inputs": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_malformed(body: str | bytes, message: str) -> None:
    with pytest.raises(MalformedBody, match=message):
        decode(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[[1, 2]]", "the body is a list, expected an object"),
        ("3", "the body is the number 3"),
        ("null", "the body is null"),
        ("{}", "neither inputs nor records"),
        ('{"input": [[1, 2]]}', "neither inputs nor records"),
        ('{"inputs": [[1, 2]], "records": []}', "both inputs and records"),
        ('{"inputs": [[1, 2]], "params": {}}', 'unknown key "params" beside inputs'),
        ('{"inputs": [[1, 2]], "inputs": [[3, 4]]}', 'the key "inputs" is given twice'),
        ('{"inputs": 3}', "inputs is the number 3, expected a list"),
        ('{"inputs": {"age": 1}}', "inputs is an object, expected a list"),
        ('{"inputs": []}', "inputs is empty: send at least one row"),
        ('{"records": []}', "records is empty: send at least one row"),
        ('{"inputs": [[]]}', "row 0: expected 2 features, got 0"),
        ('{"inputs": [[1]]}', "row 0: expected 2 features, got 1"),
        ('{"inputs": [1]}', "row 0: expected 2 features, got 1"),
        ('{"inputs": [[1, 2], [3], [4, 5, 6]]}', "row 1: expected 2 features, got 1"),
        ('{"inputs": [[1, 2, 3], [4]]}', "row 0: expected 2 features, got 3"),
        ('{"inputs": [[1, 2], 3]}', "row 1: expected a list of numbers, got the number 3"),
        ('{"inputs": [[1, [2]]]}', 'row 0, feature "height": expected a number, got a list'),
        ('{"inputs": [[[1, 2]]]}', "row 0: expected 2 features, got 1"),
        ('{"inputs": [[[1], [2]]]}', 'row 0, feature "age": expected a number, got a list'),
        ('{"inputs": [[1, "2"]]}', 'row 0, feature "height": expected a number, got the string "2"'),
        ('{"inputs": [[true, 2]]}', 'row 0, feature "age": expected a number, got the boolean true'),
        ('{"inputs": [[1, 2], [3, null]]}', 'row 1, feature "height": expected a number, got null'),
        ('{"inputs": [[1, NaN]]}', 'row 0, feature "height": expected a finite number, got NaN'),
        ('{"inputs": [[1, Infinity]]}', 'row 0, feature "height": Infinity is outside the range of float32'),
        ('{"inputs": [[-Infinity, 1]]}', 'row 0, feature "age": -Infinity is outside'),
        ('{"inputs": [[1e39, 1]]}', 'row 0, feature "age": 1e\\+39 is outside the range of float32'),
        ('{"inputs": [[1, -1e999]]}', "-Infinity is outside"),
        ('{"inputs": [[1, ' + "9" * 5000 + "]]}", "Infinity is outside"),
        ('{"records": [1]}', "row 0: expected an object of features, got the number 1"),
        ('{"records": [{"age": 1}]}', 'row 0: missing "height"'),
        (
            '{"records": [{"age": 1, "height": 2}, {"age": 1, "hight": 2}]}',
            'row 1: missing "height"; unknown "hight"',
        ),
        ('{"records": [{"age": 1, "height": 2, "age": 3}]}', 'the key "age" is given twice'),
        (
            '{"records": [{"age": 1, "height": "tall"}]}',
            'feature "height": expected a number, got the string',
        ),
        ('{"records": [{"age": 1, "height": null}]}', "accepts no missing values"),
    ],
)
def test_rows_that_do_not_fit_are_named(body: str, message: str) -> None:
    with pytest.raises(InvalidRows, match=message) as refusal:
        decode(body)
    assert refusal.value.got
    assert refusal.value.wanted
    assert refusal.value.where


def test_numbers_are_accepted_up_to_what_rounds_to_the_largest_float32() -> None:
    last, first_too_large = np.nextafter(3.4028235677973366e38, 0), 3.4028235677973366e38
    assert decode(json.dumps({"inputs": [[last, -last]]})).tolist() == [[FLOAT32_MAX, -FLOAT32_MAX]]
    with pytest.raises(InvalidRows, match="outside the range"):
        decode(json.dumps({"inputs": [[first_too_large, 0]]}))


@pytest.mark.parametrize("big", [2**63, 2**64, -(2**63) - 1, 10**30])
def test_integers_beyond_64_bits_are_numbers_too(big: int) -> None:
    assert decode(json.dumps({"inputs": [[big, 0]]}))[0, 0] == np.float32(big)


def test_an_integer_input_takes_whole_numbers_only() -> None:
    model = signature(dtype="int64")
    assert decode('{"inputs": [[9007199254740993, 2.0]]}', model).tolist() == [[9007199254740993, 2]]
    with pytest.raises(InvalidRows, match="expected an integer, got"):
        decode('{"inputs": [[1, 2.5]]}', model)
    with pytest.raises(InvalidRows, match="outside the range of int64"):
        decode('{"inputs": [[1, 9223372036854775808]]}', model)


def test_a_fixed_batch_size_is_held_to() -> None:
    with pytest.raises(InvalidRows, match="expected exactly 2 rows, got 1"):
        decode('{"inputs": [[1, 2]]}', signature(rows=2))
    assert decode('{"inputs": [[1, 2], [3, 4]]}', signature(rows=2)).shape == (2, 2)


def test_an_open_width_takes_any_rows_of_one_length_but_no_records() -> None:
    model = signature(None)
    assert decode('{"inputs": [[1, 2, 3], [4, 5, 6]]}', model).shape == (2, 3)
    for body in ('{"inputs": [[1, 2], [3]]}', '{"inputs": [[]]}', '{"records": [{"a": 1}]}'):
        with pytest.raises(InvalidRows):
            decode(body, model)


def test_a_decoder_serves_on_after_any_bad_body() -> None:
    decoder = Decoder(signature())
    good = b'{"inputs": [[1, 2]]}'
    for bad in (
        b"{",
        b"[]",
        b'{"inputs": [[1]]}',
        b'{"inputs": [[1, null]]}',
        b"\xff",
        b'{"a": [1, {"b": 2}]}',
    ):
        with pytest.raises(FoldserveError):
            decoder(bad)
        assert decoder(good)["x"].tolist() == [[1.0, 2.0]]


NUMBERS = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.text(max_size=3) | st.just(float("nan")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["age", "height", "["]), inner)
    ),
    max_leaves=8,
)
ROWS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4)
BODIES = (
    ROWS.map(lambda rows: {"inputs": rows})
    | VALUES.map(lambda value: {"inputs": value})
    | VALUES.map(lambda value: {"records": value})
    | st.dictionaries(st.sampled_from(["inputs", "records", "other"]), VALUES)
    | VALUES
)


@given(BODIES)
@example({"inputs": [[1, 2], [[3], 4]]})
@example({"inputs": [[], [1, 2, 3, 4]]})
def test_both_decoders_agree_on_any_json(document: Any) -> None:
    try:
        decode(json.dumps(document))
    except FoldserveError:
        return


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789eE+-.inputsrecd \\u', max_size=60).map(str.encode))
def test_both_decoders_agree_on_any_bytes(body: bytes) -> None:
    try:
        decode(body)
    except FoldserveError:
        return


def encode(output: np.ndarray, **document: Any) -> Any:
    return orjson.loads(Encoder("m", 2, metadata(**document))(output))


def test_a_classifier_answers_labels_and_probabilities() -> None:
    assert encode(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)) == {
        "model": "m",
        "version": 2,
        "predictions": ["yes", "no"],
        "probabilities": [[0.25, 0.75], [0.5, 0.5]],
        "classes": ["no", "yes"],
    }


def test_integer_labels_stay_integers() -> None:
    assert encode(np.array([[0.25, 0.75]], np.float32), classes=(7, 9))["predictions"] == [9]


def test_a_regression_answers_a_flat_list() -> None:
    answer = encode(np.array([[1.5], [2.5]], np.float32), task="regression", classes=None)
    assert answer == {"model": "m", "version": 2, "predictions": [1.5, 2.5]}


def test_a_bare_model_answers_its_rows_as_they_are() -> None:
    answer = orjson.loads(Encoder("m", 1, None)(np.array([[1, 2]], np.int64)))
    assert answer == {"model": "m", "version": 1, "predictions": [[1, 2]]}
    assert orjson.loads(Encoder("m", 1, None)(np.array(["a"], object)))["predictions"] == ["a"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_float32_survive_the_way_through_json_bit_for_bit(values: list[float]) -> None:
    output = np.array([[value] for value in values], np.float32)
    answer = encode(output, task="regression", classes=None)
    assert np.array(answer["predictions"], np.float32).tobytes() == output.tobytes()
