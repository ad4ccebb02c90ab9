"""MLflow's four ways to write the same rows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import FoldserveError, InvalidRows, MalformedBody, RequestError
from service.payloads import mlflow
from tests.service.payloads.tables import json_rows, signature

ROWS = [[1.0, 2.5], [3.0, 4.0]]
RECORDS = [{"age": 1, "height": 2.5}, {"height": 4, "age": 3}]
SAME: list[dict[str, Any]] = [
    {"dataframe_split": {"columns": ["age", "height"], "data": ROWS}},
    {"dataframe_split": {"columns": ["height", "age"], "index": [7, 8], "data": [[2.5, 1], [4, 3]]}},
    {"dataframe_records": RECORDS},
    {"instances": ROWS},
    {"instances": RECORDS},
    {"inputs": ROWS},
    {"inputs": RECORDS},
    {"inputs": {"height": [2.5, 4], "age": [1, 3]}},
    {"inputs": {"x": ROWS}},
    {"inputs": ROWS, "params": {"temperature": 1}},
    {"params": None, "inputs": ROWS},
]


def decode(document: Any, **model: Any) -> Any:
    return mlflow.decode(json.dumps(document).encode(), signature(**model))["x"]


@pytest.mark.parametrize("document", SAME)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_every_form_gives_the_same_rows(document: dict[str, Any], dtype: str) -> None:
    whole = json.loads(json.dumps(document).replace("2.5", "2"))
    document = whole if dtype == "int64" else document
    expected = json_rows([[1, 2 if dtype == "int64" else 2.5], [3, 4]], signature(dtype=dtype))
    rows = decode(document, dtype=dtype)
    assert rows.dtype == expected.dtype
    assert rows.tobytes() == expected.tobytes()


def test_a_bare_model_takes_the_columns_of_a_split_by_position() -> None:
    assert decode({"dataframe_split": {"columns": [0, 1], "data": ROWS}}, named=False).tolist() == ROWS


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the body is a list, expected an object"),
        ({}, "the body has no keys: send exactly one of dataframe_split"),
        ({"inputs": ROWS, "instances": ROWS}, 'has "inputs", "instances": send exactly one'),
        ({"inputs": ROWS, "more": 1}, 'has "inputs", "more": send exactly one'),
        ({"params": {}}, 'has "params": send exactly one'),
        ({"inputs": ROWS, "params": []}, "params is a list, expected an object"),
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": {}}, 'inputs: missing "age", "height"'),
        ({"inputs": 3}, "inputs is the number 3, expected a list"),
        ({"inputs": [1, 2]}, "row 0: expected a list of numbers, got the number 1"),
        ({"instances": [[1, 2], [1]]}, "row 1: expected 2 features, got 1"),
        ({"instances": [[1, "2"]]}, 'row 0, feature "height": expected a number, got the string "2"'),
        ({"instances": [[1, True]]}, "got the boolean true"),
        ({"instances": [{"age": 1}]}, 'row 0: missing "height"'),
        ({"inputs": {"age": [1], "height": [1, 2]}}, 'the columns have 1 values, "height" has 2'),
        ({"inputs": {"age": 1, "height": [1, 2]}}, 'column "age" is the number 1, expected a list'),
        ({"inputs": {"age": [], "height": []}}, "no rows"),
        ({"inputs": {"age": [None], "height": [1]}}, 'row 0, feature "age": expected a number, got null'),
        ({"dataframe_records": [{"age": 1, "height": 2, "z": 3}]}, 'row 0: unknown "z"'),
        ({"dataframe_records": ROWS}, "row 0: expected an object of features, got a list"),
        ({"dataframe_split": {"data": ROWS}}, 'dataframe_split has "data": columns and data are needed'),
        ({"dataframe_split": ROWS}, "dataframe_split has a list"),
        ({"dataframe_split": {"columns": "ab", "data": ROWS}}, 'columns is the string "ab"'),
        ({"dataframe_split": {"columns": [0, 1], "data": ROWS}}, "a column is named the number 0"),
        ({"dataframe_split": {"columns": ["age"], "data": ROWS}}, 'columns: missing "height"'),
        ({"dataframe_split": {"columns": ["age"] * 2, "data": ROWS}}, 'the column "age" is given twice'),
        ({"dataframe_split": {"columns": ["height", "age"], "data": [[1]]}}, "row 0: expected 2 features"),
        ({"dataframe_split": {"columns": ["height", "age"], "data": 1}}, "data is the number 1"),
        ({"dataframe_split": {"columns": ["height", "age"], "data": []}}, "data is empty"),
    ],
)
def test_what_does_not_fit_is_named(document: Any, message: str) -> None:
    with pytest.raises(InvalidRows, match=message):
        decode(document)


def test_what_is_not_json_is_malformed() -> None:
    with pytest.raises(MalformedBody, match="the body is empty"):
        mlflow.decode(b"", signature())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["age", "height", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["age", "height", "x", "columns", "data", "index"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*mlflow.KEYS, "params"]), JSON, max_size=2), st.binary(max_size=30))
def test_any_document_is_refused_or_read_as_sound_rows(document: Any, noise: bytes) -> None:
    for body in (json.dumps(document).encode(), noise, json.dumps(document).encode()[:-1] + noise):
        try:
            rows = mlflow.decode(body, signature())["x"]
        except RequestError as refusal:
            assert isinstance(refusal, FoldserveError)  # noqa: PT017 - any other error fails the test
        else:
            assert rows.shape[1:] == (2,)
            assert len(rows) > 0
