"""The largest values of each row, with their places and labels."""

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.payloads.oip import Encoder, InferRequest, Wanted
from service.payloads.oip.classification import top_classes
from service.session import TensorSpec


def test_the_largest_come_first_and_of_equals_the_first() -> None:
    array = np.array([[0.25, 0.5, 0.25], [3, 1, 2]], np.float32)
    assert top_classes(array, 2).tolist() == [["0.5:1", "0.25:0"], ["3.0:0", "2.0:2"]]
    assert top_classes(array, 1, ["a", "b:c", 7]).tolist() == [["0.5:1:b:c"], ["3.0:0:a"]]


def test_labels_are_for_as_many_columns_as_there_are() -> None:
    assert top_classes(np.ones((1, 2), np.float32), 1, ["a"]).tolist() == [["1.0:0"]]


def test_nan_comes_last() -> None:
    array = np.array([[np.nan, -np.inf, 1]], np.float32)
    assert top_classes(array, 3).tolist() == [["1.0:2", "-inf:1", "nan:0"]]


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.zeros((0, 3)), (0, 2)),
        (np.zeros((3, 0)), (3, 0)),
        (np.zeros(4), (4, 1)),
        (np.zeros((2, 2, 2)), (2, 2)),
    ],
)
def test_the_first_dimension_is_the_rows(array: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    assert top_classes(array, 2).shape == shape


@given(
    st.sampled_from(["int8", "uint8", "int64", "uint64", "float16", "float64", "bool"]).flatmap(
        lambda dtype: hnp.arrays(dtype, (2, 5), elements={} if dtype == "bool" else None)
    )
)
def test_the_order_is_that_of_the_values(array: NDArray[np.generic]) -> None:
    for texts, row in zip(top_classes(array, 5), array, strict=True):
        indices = [int(text.split(":")[1]) for text in texts]
        values = [value for value in row[indices].tolist() if value == value]
        assert values == sorted(values, reverse=True)
        assert sorted(indices) == list(range(5))


def test_the_answer_is_text_in_the_form_asked_for() -> None:
    encoder = Encoder("m", 1, [TensorSpec("y", "float32", (None, 2))], ["no", "yes"])
    array = np.array([[0.25, 0.75]], np.float32)
    answer = encoder(InferRequest(None, {}, (Wanted("y", False, 1),), 1), [array])
    [output] = orjson.loads(answer.body)["outputs"]
    assert output == {"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["0.75:1:yes"]}
    answer = encoder(InferRequest(None, {}, (Wanted("y", True, 1),), 1), [array])
    assert answer.body[answer.json_length :] == b"\x0a\0\0\x000.75:1:yes"
