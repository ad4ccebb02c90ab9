"""The meaning of a /predict body, spelled out: every rule here, every breach named by row and feature.

`predict_json` decodes well-formed bodies faster; whatever it does not accept comes here, so the answer to a
bad body, and to every odd but legal one, is decided by this module alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from service.errors import InvalidRows, MalformedBody
from service.signature import Rows, Signature

WANTED = '{"inputs": [[number, ...], ...]} or {"records": [{"feature": number, ...}, ...]}'
_DOORS = ("inputs", "records")


def decode(body: bytes, signature: Signature) -> Rows:
    """The rows of a body.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRows: it is JSON, but not rows that fit the signature.
    """
    door, value = _door(_parse(body))
    if not isinstance(value, list):
        raise _invalid(f"{door} is {_kind(value)}, expected a list", value, "a list of rows", door)
    if not value:
        raise _invalid(f"{door} is empty: send at least one row", value, "at least one row", door)
    rows = _rows_of_inputs(value, signature) if door == "inputs" else _rows_of_records(value, signature)
    if signature.rows is not None and len(rows) != signature.rows:
        text = f"expected exactly {signature.rows} rows, got {len(rows)}: the graph has a fixed batch size"
        raise _invalid(text, value, f"{signature.rows} rows", door)
    return np.array(rows, dtype=signature.dtype)


def _parse(body: bytes) -> Any:
    if not body.strip():
        raise MalformedBody("the body is empty", got="nothing", wanted=WANTED)
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}"
        raise MalformedBody(text, got=f"0x{body[error.start]:02x}", wanted="JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        text = f"the body is not JSON: {error.msg} at {place}"
        raise MalformedBody(text, got=error.msg, wanted=WANTED, where=place) from None
    except RecursionError:
        raise MalformedBody("the body is nested too deeply", got="deep nesting", wanted=WANTED) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key given twice has no single meaning and is refused."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise _invalid(f"the key {_show(twice)} is given twice", twice, "each key once", twice[:80])
    return result


def _integer(text: str) -> int | float:
    """An integer; beyond the range of a float64 there is no need for its digits."""
    return int(text) if len(text) < _LONGEST_INTEGER else math.copysign(math.inf, -(text[0] == "-"))


_LONGEST_INTEGER = 400


def _door(document: Any) -> tuple[str, Any]:
    if not isinstance(document, dict):
        raise _invalid(f"the body is {_kind(document)}, expected an object", document, WANTED, "body")
    given = [key for key in _DOORS if key in document]
    if len(given) != 1:
        came = "both inputs and records" if given else "neither inputs nor records"
        keys = ", ".join(_show(key) for key in list(document)[:8]) or "no keys"
        raise InvalidRows(f"the body has {came}: send one of them", got=keys, wanted=WANTED)
    unknown = next((key for key in document if key not in _DOORS), None)
    if unknown is not None:
        text = f"unknown key {_show(unknown)} beside {given[0]}"
        raise _invalid(text, unknown, WANTED, unknown[:80])
    return given[0], document[given[0]]


def _rows_of_inputs(value: list[Any], signature: Signature) -> list[list[int | float]]:
    if not any(isinstance(row, list) for row in value):
        return [_row(value, signature, 0, "inputs")]
    rows: list[list[int | float]] = []
    for index, row in enumerate(value):
        where = f"inputs[{index}]"
        if not isinstance(row, list):
            text = f"row {index}: expected a list of numbers, got {_kind(row)}"
            raise _invalid(text, row, "a list of numbers", where)
        rows.append(_row(row, signature, index, where, width=len(rows[0]) if rows else None))
    return rows


def _row(
    row: Sequence[Any], signature: Signature, index: int, where: str, width: int | None = None
) -> list[int | float]:
    """One row of numbers; where the graph leaves the width open, every row must be as wide as the first."""
    expected = signature.width or width or len(row)
    if len(row) != expected or not expected:
        wanted = f"{expected} numbers" if expected else "at least one number"
        text = f"row {index}: expected {expected or 'some'} features, got {len(row)}"
        raise InvalidRows(text, got=f"{len(row)} values", wanted=wanted, where=where)
    return [
        _number(value, signature, index, signature.feature(column), f"{where}[{column}]")
        for column, value in enumerate(row)
    ]


def _rows_of_records(value: list[Any], signature: Signature) -> list[list[int | float]]:
    if not signature.features:
        text = "this model's features have no names: send inputs instead of records"
        raise InvalidRows(text, got="records", wanted='{"inputs": [[number, ...], ...]}', where="records")
    return [_record(record, signature, index) for index, record in enumerate(value)]


def _record(record: Any, signature: Signature, index: int) -> list[int | float]:
    where = f"records[{index}]"
    if not isinstance(record, dict):
        text = f"row {index}: expected an object of features, got {_kind(record)}"
        raise _invalid(text, record, '{"feature": number, ...}', where)
    _check_names(record, signature, index, where)
    return [_number(record[name], signature, index, name, f"{where}.{name}") for name in signature.features]


def _check_names(record: Mapping[str, Any], signature: Signature, index: int, where: str) -> None:
    missing = [name for name in signature.features if name not in record]
    unknown = [name for name in record if name not in signature.feature_set]
    faults = [f"missing {_names(missing)}"] if missing else []
    faults += [f"unknown {_names(unknown)}"] if unknown else []
    if faults:
        wanted = f"the features {_names(signature.features)}"
        text = f"row {index}: {'; '.join(faults)}"
        raise InvalidRows(text, got=_names(list(record)) or "no features", wanted=wanted, where=where)


def _number(value: Any, signature: Signature, index: int, name: str, where: str) -> int | float:
    place = f"row {index}, feature {_show(name)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; this model accepts no missing values" if value is None else ""
        raise _invalid(f"{place}: expected a number, got {_kind(value)}{hint}", value, "a number", where)
    if isinstance(value, float) and math.isnan(value):
        raise _invalid(f"{place}: expected a finite number, got NaN", value, "a finite number", where)
    low, high = _range(signature.dtype)
    if not low < value < high:
        text = f"{place}: {_show(value)} is outside the range of {signature.dtype}"
        raise _invalid(text, value, f"a number between {low:.8g} and {high:.8g}", where)
    if np.dtype(signature.dtype).kind in "iu":
        return _whole(value, place, where)
    return value


def _whole(value: int | float, place: str, where: str) -> int:
    if value != int(value):
        raise _invalid(f"{place}: expected an integer, got {value}", value, "an integer", where)
    return int(value)


@cache
def _range(dtype: str) -> tuple[float, float]:
    """The open interval of the numbers that the dtype can hold once rounded to it."""
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        return int(np.iinfo(kind).min) - 1, int(np.iinfo(kind).max) + 1
    if kind == np.float64:
        return -math.inf, math.inf
    largest = np.finfo(kind).max
    # Up to half a unit in the last place above the largest number, rounding leads back to it.
    bound = float(largest) + float(largest - np.nextafter(largest, kind.type(0))) / 2
    return -bound, bound


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the string {_show(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the boolean {_show(value)}" if isinstance(value, bool) else f"the number {_show(value)}"


def _show(value: Any) -> str:
    """A value as JSON, short enough for one line."""
    text = json.dumps(value) if isinstance(value, str | int | float | bool | None) else _kind(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _names(names: Iterable[str], most: int = 8) -> str:
    shown = [_show(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _invalid(message: str, got: Any, wanted: str, where: str) -> InvalidRows:
    return InvalidRows(message, got=_show(got), wanted=wanted, where=where)


_LONGEST_SHOWN = 60
