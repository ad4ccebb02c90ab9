from typing import Any

import pytest

from service.errors import InvalidTensors
from service.grpc.loading import read_load
from service.grpc.messages import message

Request: Any = message("inference.RepositoryModelLoadRequest")


def parameters(**given: dict[str, Any]) -> Any:
    return Request(parameters={key.replace("__", ":"): value for key, value in given.items()}).parameters


def test_files_and_a_configuration_are_read_and_the_rest_is_left() -> None:
    given = parameters(
        config={"string_param": "{}"},
        other={"bool_param": True},
        **{"file__1/model.onnx": {"bytes_param": b"x"}},
    )
    assert read_load(given) == ({"1/model.onnx": b"x"}, "{}")
    assert read_load(parameters()) == ({}, None)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("config", {"bytes_param": b"{}"}, "bytes_param, expected string_param"),
        ("config", {}, "empty, expected string_param"),
        ("file__1/model.onnx", {"string_param": "x"}, "string_param, expected bytes_param"),
    ],
)
def test_a_parameter_of_another_kind_is_refused(name: str, value: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTensors, match=words):
        read_load(parameters(**{name: value}))
