"""The fields of a request's JSON, one function each: the value, or the reason why it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.payloads.oip.datatypes import LARGEST_EMPTY, dimensions, elements
from service.payloads.oip.refusal import refuse, shown_shape
from service.payloads.values import kind, show
from service.session import TensorSpec

Entry = Mapping[str, Any]

_LONGEST_TIMEOUT = 86_400_000_000
_LARGEST_SIZE = 2**63 - 1


def identifier(document: Entry) -> str | None:
    """The request's id. Null counts as not given, here as in every optional field: some clients send it."""
    value = document.get("id")
    if value is None:
        return None
    if not isinstance(value, str):
        raise refuse(f"expected a string, got {kind(value)}", got=value, wanted="a string", where="id")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refuse(f"{show(value)} is not Unicode", got=value, wanted="Unicode", where="id") from None
    return value


def entries(document: Entry, key: str, *, optional: bool = False) -> Sequence[Entry]:
    """The objects listed under `inputs` or `outputs`."""
    value = document.get(key)
    if optional and value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        came = "missing" if key not in document else f"{kind(value)}, not a list of objects"
        came = "a list with something else than objects" if isinstance(value, list) else came
        raise refuse(f"it is {came}", got=came, wanted="a list of objects", where=key)
    return value


def name_of(entry: Entry, where: str) -> str:
    """The name of an input or output."""
    name = entry.get("name")
    if not isinstance(name, str):
        came = kind(name) if "name" in entry else "nothing"
        raise refuse(f"expected a name, got {came}", got=name, wanted="a name", where=where)
    return name


def parameters(entry: Entry, where: str) -> Entry:
    """The parameters: known ones are read by those they concern, others are accepted."""
    value = entry.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(f"parameters is {kind(value)}", got=value, wanted="an object", where=where)
    for key, item in value.items():
        if not isinstance(item, str | int | float):
            wanted = "a string, a number or a boolean"
            text = f"parameter {show(key)} is {kind(item)}, expected {wanted}"
            raise refuse(text, got=item, wanted=wanted, where=where)
    return value


def flag(given: Entry, key: str, where: str, *, default: bool = False) -> bool:
    """A parameter that is true or false."""
    value = given.get(key, default)
    if not isinstance(value, bool):
        text = f"parameter {key} is {kind(value)}, expected true or false"
        raise refuse(text, got=value, wanted="true or false", where=where)
    return value


def timeout(given: Entry, where: str) -> float | None:
    """The parameter `timeout`, given in microseconds, in seconds; 0 is none, as for Triton."""
    value = given.get("timeout", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        text = f"parameter timeout is {kind(value)}, expected microseconds"
        raise refuse(text, got=value, wanted="a whole number from 0", where=where)
    return min(value, _LONGEST_TIMEOUT) / 1e6 if value else None


def class_count(given: Entry, spec: TensorSpec, where: str) -> int:
    """The parameter `classification`: how many classes of each row are wanted; 0 when it is not given."""
    if "classification" not in given:
        return 0
    value = given["classification"]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        text = f"parameter classification is {kind(value)}, expected how many classes"
        raise refuse(text, got=value, wanted="a whole number from 1", where=where)
    if spec.dtype == "string" or not spec.shape:
        text = "classification needs rows of numbers, and this output has none"
        raise refuse(text, got="classification", wanted="another output", where=where)
    return value


def shape_of(entry: Entry, spec: TensorSpec, where: str) -> tuple[int, ...]:
    """The shape of an input, which the model takes."""
    shape = entry.get("shape")
    if not isinstance(shape, list):
        came = kind(shape) if "shape" in entry else "nothing"
        raise refuse(f"expected a shape, got {came}", got=shape, wanted="a list", where=where)
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _LARGEST_SIZE:
            text = f"shape holds {show(size)}, expected a whole number from 0 to 2^63 - 1"
            raise refuse(text, got=size, wanted="a dimension", where=where)
    if not _fits(shape, spec.shape):
        text = f"shape is {shown_shape(shape)}, the model takes {shown_shape(dimensions(spec))}"
        raise refuse(text, got=shape, wanted=shown_shape(dimensions(spec)), where=where)
    if 0 in shape and elements([size for size in shape if size]) > LARGEST_EMPTY:
        text = f"shape {shown_shape(shape)} is too large for a tensor without elements"
        raise refuse(text, got=shape, wanted=f"at most {LARGEST_EMPTY}", where=where)
    return tuple(shape)


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        size is None or size == came for came, size in zip(shape, wanted, strict=True)
    )
