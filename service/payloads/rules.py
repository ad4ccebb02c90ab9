"""What a value, a row and a set of names must be, whatever form they came in: every breach is named here.

All decoders, of JSON, CSV, Arrow, Parquet and npy, end in these rules, so that a fault has one name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from service.errors import InvalidRows
from service.payloads.values import bounds, kind, names, show
from service.signature import BOOL, FLOATS, TEXT, Column, Signature


def check_names(given: Collection[str], signature: Signature, place: str, where: str) -> None:
    """Refuse missing and unknown names; their order does not matter."""
    if isinstance(given, Mapping) and given.keys() == signature.feature_set:
        return
    missing = [name for name in signature.features if name not in given]
    unknown = [name for name in given if name not in signature.feature_set]
    faults = [f"missing {names(missing)}"] if missing else []
    faults += [f"unknown {names(unknown)}"] if unknown else []
    if faults:
        wanted = f"the features {names(signature.features)}"
        text = f"{place}: {'; '.join(faults)}"
        raise InvalidRows(text, got=names(list(given)) or "no features", wanted=wanted, where=where)


Value = bool | int | float | str
_NOTHING = (0.0, 0.0)
_WHOLE_FLOATS = 2.0**53


def value(given: Any, column: Column, row: int, where: str, at: int | str | None = None) -> Value:
    """What a column can hold, or the refusal that names its row and feature.

    Args:
        where: the place of the row in the request.
        at: the place of the value in its row, when `where` does not say it.

    Raises:
        InvalidRows: it is of another kind, or outside the range of the column's dtype.
    """
    # What is usual is known at a glance: the words of a refusal take longer than all else.
    if (kind := type(given)) is float or kind is int:
        low, high = bounds(column.dtype) if column.dtype in FLOATS else _NOTHING
        if low < given < high:
            return given  # type: ignore[no-any-return]
    elif kind is str and column.dtype == TEXT and given.isascii():
        return given  # type: ignore[no-any-return]
    return _checked(given, column, row, where if at is None else _place(where, at))


def _checked(given: Any, column: Column, row: int, where: str) -> Value:
    if given is None and column.missing:
        return "" if column.dtype == TEXT else math.nan
    if column.dtype == TEXT:
        return _text(given, column, row, where)
    if column.dtype == BOOL:
        return _flag(given, column, row, where)
    return _number(given, column, row, where)


def _place(where: str, at: int | str) -> str:
    return f"{where}[{at}]" if isinstance(at, int) else f"{where}.{at}"


def _text(given: Any, column: Column, row: int, where: str) -> str:
    place = f"row {row}, feature {show(column.name)}"
    if column.codes and (digits := _digits(given)) is not None:
        return digits
    if not isinstance(given, str):
        wanted = "text or an integer" if column.codes else "text"
        raise invalid(f"{place}: expected {wanted}, got {kind(given)}{_hint(given)}", given, wanted, where)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise invalid(f"{place}: {show(given)} is not Unicode", given, "Unicode", where) from None
    return given


def _digits(given: Any) -> str | None:
    """An integer in decimal, 7756.0 too; None for what is none. Beyond 2**53 a float stands for several."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    whole = isinstance(given, int) or (given.is_integer() and abs(given) <= _WHOLE_FLOATS)
    return str(int(given)) if whole else None


def _flag(given: Any, column: Column, row: int, where: str) -> bool:
    if not isinstance(given, bool):
        place = f"row {row}, feature {show(column.name)}"
        text = f"{place}: expected true or false, got {kind(given)}{_hint(given)}"
        raise invalid(text, given, "true or false", where)
    return given


def _hint(given: Any) -> str:
    return "; this model accepts no missing values" if given is None else ""


def _number(value: Any, column: Column, row: int, where: str) -> int | float:
    place = f"row {row}, feature {show(column.name)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = f"{place}: expected a number, got {kind(value)}{_hint(value)}"
        raise invalid(text, value, "a number", where)
    if isinstance(value, float) and math.isnan(value):
        raise invalid(f"{place}: expected a finite number, got NaN", value, "a finite number", where)
    low, high = bounds(column.dtype)
    if not low < value < high:
        text = f"{place}: {show(value)} is outside the range of {column.dtype}"
        raise invalid(text, value, f"a number between {low:.8g} and {high:.8g}", where)
    if np.dtype(column.dtype).kind in "iu":
        return _whole(value, place, where)
    return value


def _whole(value: int | float, place: str, where: str) -> int:
    if value != int(value):
        raise invalid(f"{place}: expected an integer, got {value}", value, "an integer", where)
    return int(value)


def check_count(rows: int, signature: Signature, where: str) -> None:
    """Refuse no rows at all, and another number than a graph with a fixed batch size takes."""
    if not rows:
        raise InvalidRows(
            f"{where} has no rows: send at least one", got="no rows", wanted="rows", where=where
        )
    if signature.rows is not None and rows != signature.rows:
        text = f"expected exactly {signature.rows} rows, got {rows}: the graph has a fixed batch size"
        raise InvalidRows(text, got=f"{rows} rows", wanted=f"{signature.rows} rows", where=where)


def invalid(message: str, got: Any, wanted: str, where: str) -> InvalidRows:
    """The refusal of a value, shown short."""
    return InvalidRows(message, got=show(got), wanted=wanted, where=where)
