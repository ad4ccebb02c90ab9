"""What a value, a row and a set of names must be, whatever form they came in: every breach is named here.

All decoders, of JSON, CSV, Arrow, Parquet and npy, end in these rules, so that a fault has one name.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from service.errors import InvalidRows
from service.payloads.values import bounds, kind, names, show
from service.signature import Signature


def check_names(given: Collection[str], signature: Signature, place: str, where: str) -> None:
    """Refuse missing and unknown names; their order does not matter."""
    missing = [name for name in signature.features if name not in given]
    unknown = [name for name in given if name not in signature.feature_set]
    faults = [f"missing {names(missing)}"] if missing else []
    faults += [f"unknown {names(unknown)}"] if unknown else []
    if faults:
        wanted = f"the features {names(signature.features)}"
        text = f"{place}: {'; '.join(faults)}"
        raise InvalidRows(text, got=names(list(given)) or "no features", wanted=wanted, where=where)


def number(value: Any, signature: Signature, index: int, name: str, where: str) -> int | float:
    """A number that the model's dtype can hold, or the refusal that names its row and feature."""
    place = f"row {index}, feature {show(name)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; this model accepts no missing values" if value is None else ""
        raise invalid(f"{place}: expected a number, got {kind(value)}{hint}", value, "a number", where)
    if isinstance(value, float) and math.isnan(value):
        raise invalid(f"{place}: expected a finite number, got NaN", value, "a finite number", where)
    low, high = bounds(signature.dtype)
    if not low < value < high:
        text = f"{place}: {show(value)} is outside the range of {signature.dtype}"
        raise invalid(text, value, f"a number between {low:.8g} and {high:.8g}", where)
    if np.dtype(signature.dtype).kind in "iu":
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
