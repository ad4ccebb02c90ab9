"""One column of a polars frame → an array that the rules of `matrix` can judge: numbers, truth values, text.

Text in a column of numbers is read as JSON would read it, for a CSV knows nothing else; what marked a missing
value in the table that was trained on marks one here, and blanks around a field are no part of it. In Arrow
and Parquet every value must already be of its column's kind.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from service.errors import TooManyNumbers
from service.payloads import matrix, rules
from service.payloads.values import show
from service.signature import BOOL, FLOATS, TEXT, Array, Column, Signature
from service.writing import Writing

_WHOLE = r"^(-?\d+)\.0+$"
"""A whole number as pandas writes it beside a missing one."""

_TRUTH = {"true": True, "false": False}


def check_text(frame: pl.DataFrame, most: int) -> None:
    """Refuse texts that are longer together than a body may be: a file may name one long text many times.

    Raises:
        TooManyNumbers: they are.
    """
    texts = [column for column in frame if column.dtype == pl.String]
    length = sum(int(column.str.len_bytes().sum()) for column in texts)
    if length > 2 * most:
        raise TooManyNumbers(length, 2 * most, "bytes of text")


def values(series: pl.Series, signature: Signature, index: int, *, typed: bool) -> Array:
    """The values of a column.

    Args:
        typed: whether text is meant as text; in a CSV it may be any value.

    Raises:
        InvalidRows: one is missing or of another kind.
    """
    column = signature.column(index)
    if not typed and series.dtype == pl.String:
        series = _plain(series, column)
    if series.null_count() and not column.missing:
        matrix.refuse(None, signature, int(series.is_null().arg_max() or 0), index)
    if series.dtype == pl.Null:
        series = series.cast(pl.String)
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if column.dtype == TEXT:
        return _texts(series, signature, index)
    if typed and series.dtype == pl.String and series.null_count() < len(series):
        _refuse_first(series, signature, index)
    if column.dtype == BOOL:
        return _truths(series, signature, index)
    return _numbers(series, signature, index)


def _plain(series: pl.Series, column: Column) -> pl.Series:
    """The fields of a CSV without what stands for nothing: blanks, marks, and the point of a whole code."""
    if column.marks:
        given = series.str.strip_chars(" \t")
        series = pl.select(pl.when(~given.is_in(column.marks)).then(series).alias(series.name)).to_series()
    if column.written is not None:
        numbers = Writing(**dict(column.written)).numbers(series)
        return numbers if numbers.null_count() == series.null_count() else series
    if column.trims:
        series = series.str.strip_chars()
    return series.str.replace(_WHOLE, "$1") if column.codes else series


def _texts(series: pl.Series, signature: Signature, index: int) -> Array:
    column, dtype = signature.column(index), series.dtype
    if column.codes and dtype.is_integer():
        series = series.cast(pl.String)
    elif column.codes and dtype.is_float():
        return _codes(series, column)
    elif dtype != pl.String:
        _refuse_first(series, signature, index)
    return np.array(series.fill_null("").to_list(), object)


def _codes(series: pl.Series, column: Column) -> Array:
    """The digits of whole floats; pandas makes floats of integers where some are missing."""
    given = series.fill_nan(None).to_list()
    return np.array([rules.value(item, column, row, f"row {row}") for row, item in enumerate(given)], object)


def _truths(series: pl.Series, signature: Signature, index: int) -> Array:
    if series.dtype == pl.Boolean:
        return series.to_numpy()
    if series.dtype != pl.String:
        _refuse_first(series, signature, index)
    found = [_TRUTH.get(text.strip().lower()) for text in series]
    if None in found:
        row = found.index(None)
        matrix.refuse(series[row], signature, row, index)
    return np.array(found, np.bool_)


def _refuse_first(series: pl.Series, signature: Signature, index: int) -> None:
    """A column of another kind: its first value shows which."""
    row = int(series.is_not_null().arg_max() or 0)
    value = series[row]
    matrix.refuse(
        value if isinstance(value, bool | int | float | None) else str(value), signature, row, index
    )


def _numbers(series: pl.Series, signature: Signature, index: int) -> Array:
    dtype = series.dtype
    if dtype == pl.String or dtype.is_decimal() or dtype in (pl.Int128, pl.UInt128):
        return _parsed(series.cast(pl.String), signature, index)
    if not dtype.is_numeric():
        _refuse_first(series, signature, index)
    return series.cast(pl.Float64).to_numpy() if series.null_count() else series.to_numpy()


def _parsed(text: pl.Series, signature: Signature, index: int) -> Array:
    """Numbers in text, read as JSON would read them: integers exactly for a model that takes integers."""
    column = signature.column(index)
    if column.dtype not in FLOATS:
        return _integers(text, column)
    values = text.cast(pl.Float64, strict=False)
    if values.null_count() > text.null_count():
        values = text.str.strip_chars(" \t").cast(pl.Float64, strict=False)
    if values.null_count() > text.null_count():
        row = int((values.is_null() & text.is_not_null()).arg_max() or 0)
        matrix.refuse(text[row], signature, row, index)
    return values.to_numpy()


def _integers(text: pl.Series, column: Column) -> Array:
    digits = text.cast(pl.Int64, strict=False)
    if not digits.null_count():
        return digits.to_numpy()
    values = []
    for row, field in enumerate(text):
        where = f"row {row}, feature {show(column.name)}"
        values.append(rules.value(_number(field), column, row, where))
    return np.array(values, column.dtype)


def _number(field: str | None) -> int | float | str | None:
    """What a field says; a field that says no number is itself."""
    if field is None or "_" in field or not field.isascii():
        return field
    try:
        return int(field) if len(field) < 400 else float(field)
    except ValueError:
        pass
    try:
        return float(field)
    except ValueError:
        return field
