"""Arrays of any numeric dtype → one validated array in the model's dtype, by the rules of /predict in JSON.

A JSON number is a float64 (or an exact integer) that is then rounded once to the model's dtype. Arrays go the
same way, so the same number gives the same bits whatever form it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRows
from service.payloads import rules
from service.payloads.values import show
from service.signature import Rows, Signature

Array = NDArray[Any]


def from_array(values: Array, signature: Signature, where: str = "array") -> Rows:
    """The rows of one numeric array. Shape: (rows, features), or (features,) for a single row.

    Raises:
        InvalidRows: shape, width or a value does not fit.
    """
    table = values.reshape(1, -1) if values.ndim == 1 else values
    width = signature.width or (table.shape[1] if table.ndim == 2 else 0)
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise _unfit(f"the array holds {values.dtype}, expected integers or floats", values, "numbers", where)
    if table.ndim != 2 or table.shape[1] != width or not width:
        wanted = f"[rows, {width or 'features'}]"
        raise _unfit(f"expected shape {wanted}, got {list(values.shape)}", values, wanted, where)
    rules.check_count(len(table), signature, where)
    rows, faulty = convert(table, signature.dtype)
    if faulty.any():
        row, column = (int(index) for index in np.argwhere(faulty)[0])
        refuse(table[row, column].item(), signature, row, column)
    return rows


def from_columns(columns: Sequence[Array], signature: Signature, where: str = "table") -> Rows:
    """The rows of one array per feature, in the model's order. Shape: each (rows,).

    Raises:
        InvalidRows: there are no rows, or a value does not fit.
    """
    count = len(columns[0]) if columns else 0
    rules.check_count(count, signature, where)
    rows = np.empty((count, len(columns)), signature.dtype)
    for index, column in enumerate(columns):
        rows[:, index], faulty = convert(column, signature.dtype)
        if faulty.any():
            row = int(faulty.argmax())
            refuse(column[row].item(), signature, row, index)
    return rows


def convert(values: Array, dtype: str) -> tuple[Array, NDArray[np.bool_]]:
    """Values in another dtype, rounded once, and where they do not fit it."""
    target = np.dtype(dtype)
    if target.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = values.astype(np.float64, copy=False).astype(target)
        return rounded, ~np.isfinite(rounded)
    faulty = _beyond(values, target) if values.dtype.kind in "iu" else _not_whole(values, target)
    return np.where(faulty, values.dtype.type(0), values).astype(target), faulty


def refuse(value: object, signature: Signature, row: int, column: int) -> NoReturn:
    """Name a value that does not fit.

    Raises:
        InvalidRows: always.
    """
    name = signature.feature(column)
    where = f"row {row}, feature {show(name)}"
    rules.number(value, signature, row, name, where)
    # Only a decoder that disagrees with the rules gets here; the caller is still owed a plain refusal.
    raise rules.invalid(f"{where}: {show(value)} cannot be read", value, "a number", where)


def _beyond(values: Array, target: np.dtype[Any]) -> NDArray[np.bool_]:
    info = np.iinfo(target)
    if np.can_cast(values.dtype, target):
        return np.zeros(values.shape, np.bool_)
    return np.asarray((values < int(info.min)) | (values > int(info.max)))


def _not_whole(values: Array, target: np.dtype[Any]) -> NDArray[np.bool_]:
    info, exact = np.iinfo(target), values.astype(np.float64, copy=False)
    # Both bounds are powers of two, or zero, and so are exact in float64.
    inside = (exact >= float(info.min)) & (exact < float(int(info.max) + 1))
    fits: NDArray[np.bool_] = inside & (np.trunc(exact) == exact)
    return ~fits


def _unfit(message: str, values: Array, wanted: str, where: str) -> InvalidRows:
    return InvalidRows(message, got=f"{values.dtype}{list(values.shape)}", wanted=wanted, where=where)
