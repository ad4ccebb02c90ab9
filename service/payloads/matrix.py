"""Arrays of any dtype → validated arrays in the dtypes of the columns, by the rules of /predict in JSON.

A JSON number is a float64 (or an exact integer) that is then rounded once to the model's dtype. Arrays go the
same way, so the same number gives the same bits whatever form it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRows
from service.payloads import feeds, rules
from service.payloads.values import show
from service.signature import NUMERIC, Array, Column, Feeds, Signature


def from_array(values: Array, signature: Signature, where: str = "array") -> Feeds:
    """The rows of one numeric array. Shape: (rows, features), or (features,) for a single row.

    Raises:
        InvalidRows: shape, width or a value does not fit, or the model takes more than one table of numbers.
    """
    if (entry := signature.table) is None:
        text = "this model takes columns of their own, not one table of numbers: send JSON, CSV or Parquet"
        raise _unfit(text, values, "a form with columns", where)
    table = values.reshape(1, -1) if values.ndim == 1 else values
    width = signature.width or (table.shape[1] if table.ndim == 2 else 0)
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise _unfit(f"the array holds {values.dtype}, expected integers or floats", values, "numbers", where)
    if table.ndim != 2 or table.shape[1] != width or not width:
        wanted = f"[rows, {width or 'features'}]"
        raise _unfit(f"expected shape {wanted}, got {list(values.shape)}", values, wanted, where)
    rules.check_count(len(table), signature, where)
    rows, faulty = convert(table, entry.dtype)
    if faulty.any():
        _refuse_first(table, faulty, signature)
    return {entry.name: rows}


def from_columns(columns: Sequence[Array], signature: Signature, where: str = "table") -> Feeds:
    """The rows of one array per feature, in the model's order. Shape: each (rows,).

    Text and truth values must be in their column's dtype already; numbers may have any.

    Raises:
        InvalidRows: there are no rows, or a value does not fit.
    """
    rules.check_count(len(columns[0]) if columns else 0, signature, where)
    fitting = [_fitting(values, signature.column(i), i, signature) for i, values in enumerate(columns)]
    return feeds.of_columns(fitting, signature)


def _fitting(values: Array, column: Column, index: int, signature: Signature) -> Array:
    if column.dtype not in NUMERIC:
        return values
    converted, faulty = convert(values, column.dtype)
    if column.missing:
        faulty &= ~np.isnan(converted)
    if faulty.any():
        row = int(faulty.argmax())
        refuse(values[row].item(), signature, row, index)
    return converted


def _refuse_first(table: Array, faulty: NDArray[np.bool_], signature: Signature) -> None:
    """Refuse the first value that does not fit, unless it is NaN where values may be missing."""
    for row, index in np.argwhere(faulty).tolist():
        value = table[row, index].item()
        if not (signature.column(index).missing and np.isnan(value)):
            refuse(value, signature, row, index)


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
    feature = signature.column(column)
    where = f"row {row}, feature {show(feature.name)}"
    rules.value(value, feature, row, where)
    # Only a decoder that disagrees with the rules gets here; the caller is still owed a plain refusal.
    raise rules.invalid(f"{where}: {show(value)} cannot be read", value, "another value", where)


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
