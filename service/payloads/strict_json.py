"""The meaning of a /predict body, spelled out: every rule here, every breach named by row and feature.

`predict_json` decodes well-formed bodies faster; whatever it does not accept comes here, so the answer to a
bad body, and to every odd but legal one, is decided by this module alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.errors import InvalidRows
from service.payloads import feeds, json_text, rules
from service.payloads.rules import Value
from service.payloads.values import kind, show
from service.signature import Column, Feeds, Signature

WANTED = '{"inputs": [[value, ...], ...]} or {"records": [{"feature": value, ...}, ...]}'
_DOORS = ("inputs", "records")


def decode(body: bytes, signature: Signature) -> Feeds:
    """The rows of a body.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRows: it is JSON, but not rows that fit the signature.
    """
    door, value = _door(parse(body, WANTED))
    if door == "records":
        return of_records(value, signature, door)
    if isinstance(value, list) and value and not any(isinstance(row, list) for row in value):
        value = [value]
    return of_lists(value, signature, door)


def of_lists(value: Any, signature: Signature, where: str) -> Feeds:
    """The rows of a list of lists of values, in feature order.

    Raises:
        InvalidRows: it is something else, or a row does not fit the signature.
    """
    given = _list(value, where)
    return feeds.of_rows(_rows_of_lists(given, signature, where), signature, where)


def of_records(value: Any, signature: Signature, where: str) -> Feeds:
    """The rows of a list of objects, from feature name to value.

    Raises:
        InvalidRows: it is something else, or a record does not fit the signature.
    """
    records = _list(value, where)
    if not signature.features:
        text = "this model's features have no names: send inputs instead of records"
        raise InvalidRows(text, got="records", wanted='{"inputs": [[value, ...], ...]}', where=where)
    rows = [_record(record, signature, index, f"{where}[{index}]") for index, record in enumerate(records)]
    return feeds.of_rows(rows, signature, where)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise rules.invalid(f"{where} is {kind(value)}, expected a list", value, "a list of rows", where)
    if not value:
        raise rules.invalid(f"{where} is empty: send at least one row", value, "at least one row", where)
    return value


def parse(body: bytes, wanted: str) -> Any:
    """A JSON document in UTF-8, each key once.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRows: a key is given twice.
    """
    return json_text.parse(body, wanted, _given_twice)


def _given_twice(key: str) -> InvalidRows:
    return rules.invalid(f"the key {show(key)} is given twice", key, "each key once", key[:80])


def _door(document: Any) -> tuple[str, Any]:
    if not isinstance(document, dict):
        raise rules.invalid(f"the body is {kind(document)}, expected an object", document, WANTED, "body")
    given = [key for key in _DOORS if key in document]
    if len(given) != 1:
        came = "both inputs and records" if given else "neither inputs nor records"
        keys = ", ".join(show(key) for key in list(document)[:8]) or "no keys"
        raise InvalidRows(f"the body has {came}: send one of them", got=keys, wanted=WANTED)
    unknown = next((key for key in document if key not in _DOORS), None)
    if unknown is not None:
        text = f"unknown key {show(unknown)} beside {given[0]}"
        raise rules.invalid(text, unknown, WANTED, unknown[:80])
    return given[0], document[given[0]]


def _rows_of_lists(value: list[Any], signature: Signature, door: str) -> list[list[Value]]:
    rows: list[list[Value]] = []
    for index, row in enumerate(value):
        where = f"{door}[{index}]"
        if not isinstance(row, list):
            text = f"row {index}: expected a list of {_what(signature)}, got {kind(row)}"
            raise rules.invalid(text, row, f"a list of {_what(signature)}", where)
        rows.append(_row(row, signature, index, where, width=len(rows[0]) if rows else None))
    return rows


def _row(
    row: Sequence[Any], signature: Signature, index: int, where: str, width: int | None = None
) -> list[Value]:
    """One row of values; where the graph leaves the width open, every row must be as wide as the first."""
    expected = signature.width or width or len(row)
    if len(row) != expected or not expected:
        wanted = f"{expected} {_what(signature)}" if expected else "at least one number"
        text = f"row {index}: expected {expected or 'some'} features, got {len(row)}"
        raise InvalidRows(text, got=f"{len(row)} values", wanted=wanted, where=where)
    return [
        rules.value(value, column, index, where, position)
        for position, (value, column) in enumerate(zip(row, _columns(signature, expected), strict=True))
    ]


def _columns(signature: Signature, width: int) -> Sequence[Column]:
    return signature.columns or [signature.column(index) for index in range(width)]


def _record(record: Any, signature: Signature, index: int, where: str) -> list[Value]:
    if not isinstance(record, dict):
        text = f"row {index}: expected an object of features, got {kind(record)}"
        raise rules.invalid(text, record, '{"feature": value, ...}', where)
    rules.check_names(record, signature, f"row {index}", where)
    return [
        rules.value(record[column.name], column, index, where, column.name) for column in signature.columns
    ]


def _what(signature: Signature) -> str:
    return "numbers" if signature.table else "values"
