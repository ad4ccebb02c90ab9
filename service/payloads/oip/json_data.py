"""A tensor's `data` in JSON, flat or nested row by row → an array of the shape that was announced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import simdjson
from numpy.typing import NDArray

from service.payloads.oip.datatypes import datatype, elements, numpy_dtype
from service.payloads.oip.refusal import refuse, shown_shape
from service.payloads.values import bounds, kind, show
from service.session import TensorSpec

Array = NDArray[Any]

_BUFFERS: dict[str, tuple[Literal["d", "i", "u"], type[np.generic]]] = {
    "f": ("d", np.float64),
    "i": ("i", np.int64),
    "u": ("u", np.uint64),
}


def read_quickly(data: Any, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """An array from a simdjson list, without a Python object per number.

    The buffer flattens every list inside: that there are no more of them than `brackets` says is for the
    caller to check.

    Raises:
        ValueError, TypeError, KeyError, …: it is not of the usual form; `read` knows more.
    """
    if not isinstance(data, simdjson.Array):
        raise TypeError("not a list")
    dtype = numpy_dtype(spec)
    values = _scalars(data, str if spec.dtype == "string" else bool) if dtype.kind in "Ob" else None
    if values is not None:
        return np.array(values, dtype=dtype).reshape(shape)
    letter, wide = _BUFFERS[dtype.kind]
    numbers: Array = np.frombuffer(data.as_buffer(of_type=letter), wide)
    if _is_nested(data):
        _check_lengths(data, shape)
    return _narrow(numbers, dtype).reshape(shape)


def brackets(data: Any, shape: tuple[int, ...]) -> int:
    """How many lists a simdjson list of this shape consists of, itself included."""
    if not _is_nested(data):
        return 1
    return 1 + sum(elements(shape[:depth]) for depth in range(1, len(shape)))


def _is_nested(data: simdjson.Array) -> bool:
    return len(data) > 0 and isinstance(data[0], simdjson.Array)


def _scalars(data: simdjson.Array, wanted: type) -> list[Any]:
    values: list[Any] = data.as_list()
    if any(type(value) is not wanted for value in values):
        raise TypeError("not what was wanted")
    return values


def _check_lengths(data: Any, shape: tuple[int, ...]) -> None:
    if len(shape) < 2 or len(data) != shape[0]:
        raise ValueError("another shape")
    if len(shape) > 2:
        for part in data:
            _check_lengths(part, shape[1:])
    elif any(len(row) != shape[1] for row in data):
        raise ValueError("another shape")


def _narrow(numbers: Array, dtype: np.dtype[np.generic]) -> Array:
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            rounded = numbers.astype(dtype, copy=False)
        if not np.isfinite(rounded).all():
            raise ValueError("out of range")
        return rounded
    low, high = bounds(dtype.name)
    if numbers.size and not (low < numbers.min() and numbers.max() < high):
        raise ValueError("out of range")
    return numbers.astype(dtype, copy=False)


def read(data: Any, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    """An array from Python lists; every breach is named.

    Raises:
        InvalidTensors: another shape, or an element that the datatype cannot hold.
    """
    values = _flatten(data, shape, where)
    checked = [_element(value, spec, f"{where}, element {index}") for index, value in enumerate(values)]
    return np.array(checked, dtype=numpy_dtype(spec)).reshape(shape)


def _flatten(data: Any, shape: tuple[int, ...], where: str) -> list[Any]:
    if not isinstance(data, list):
        if not shape:
            return [data]
        raise refuse(f"data is {kind(data)}, expected a list", got=data, wanted="a list", where=where)
    if len(shape) > 1 and any(isinstance(value, list) for value in data):
        return _walk(data, shape, f"{where}, data")
    wanted = elements(shape)
    if len(data) != wanted:
        text = f"data has {len(data)} elements, shape {shown_shape(shape)} takes {show(wanted)}"
        raise refuse(text, got=len(data), wanted=f"{show(wanted)} elements", where=where)
    return data


def _walk(data: Any, shape: Sequence[int], where: str) -> list[Any]:
    if not isinstance(data, list) or len(data) != shape[0]:
        came = f"a list of {len(data)}" if isinstance(data, list) else kind(data)
        wanted = f"a list of {show(shape[0])}"
        raise refuse(f"expected {wanted}, got {came}", got=came, wanted=wanted, where=where)
    if len(shape) == 1:
        return data
    return [leaf for i, part in enumerate(data) for leaf in _walk(part, shape[1:], f"{where}[{i}]")]


def _element(value: Any, spec: TensorSpec, where: str) -> Any:
    if spec.dtype == "string":
        return _text(value, where)
    if spec.dtype == "bool":
        if not isinstance(value, bool):
            text = f"expected true or false, got {kind(value)}"
            raise refuse(text, got=value, wanted="true or false", where=where)
        return value
    return _number(value, spec, where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise refuse(f"expected a string, got {kind(value)}", got=value, wanted="a string", where=where)
    try:
        value.encode()
    except UnicodeEncodeError:
        text = f"{show(value)} has half a surrogate pair, which UTF-8 cannot hold"
        raise refuse(text, got=value, wanted="text that UTF-8 can hold", where=where) from None
    return value


def _number(value: Any, spec: TensorSpec, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(f"expected a number, got {kind(value)}", got=value, wanted="a number", where=where)
    if isinstance(value, float) and math.isnan(value):
        raise refuse("expected a finite number, got NaN", got=value, wanted="a finite number", where=where)
    low, high = bounds(spec.dtype)
    if not low < value < high:
        wanted = f"a number between {low:.8g} and {high:.8g}"
        raise refuse(
            f"{show(value)} is outside the range of {datatype(spec)}", got=value, wanted=wanted, where=where
        )
    if numpy_dtype(spec).kind not in "iu":
        return value
    if value != int(value):
        raise refuse(f"expected an integer, got {value}", got=value, wanted="an integer", where=where)
    return int(value)
