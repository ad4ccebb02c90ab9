"""Columns of a table → the arrays of a split: raw numbers with NaN, and codes of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import DataError
from training.schema import Column
from training.tables import Table, refuse

UNKNOWN, MISSING, FIRST = 0, 1, 2
"""The codes of a category that training lacks, of none, and of the first of those it has."""

FLOAT32_MAX = float(np.finfo(np.float32).max)


def numbers(table: Table, name: str) -> NDArray[np.float32]:
    """A column of numbers, NaN where one is missing. Shape: (rows,).

    Raises:
        DataError: a value is text, a date, infinite, or outside the range of float32.
    """
    column = table.frame[name]
    source, wanted = table.source, "every feature a finite number"
    if column.dtype == pl.Boolean or column.null_count() == len(column):
        column = column.cast(pl.Float64, strict=False)
    if column.dtype.is_temporal():
        advice = "make numbers of them, such as days, or leave the column out"
        raise DataError(f"{source}: column {name!r} holds dates or times; {advice}")
    if not column.dtype.is_numeric():
        parsed = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else None
        faulty = column.is_not_null() & (parsed.is_null() if parsed is not None else True)
        refuse(source, column, faulty, "not a number", wanted)
        column = parsed if parsed is not None else column
    values = column.cast(pl.Float64).to_numpy()
    refuse(source, column, pl.Series(np.isinf(values)), "not a finite number", wanted)
    too_large = pl.Series(np.abs(values) > FLOAT32_MAX)
    refuse(source, column, too_large, "outside the range of float32", wanted)
    return values.astype(np.float32)


def texts(column: pl.Series) -> pl.Series:
    """A column of categories as the texts that records will hold: 7745 is "7745", true is "true"."""
    if column.dtype.is_float():
        known = column.drop_nulls()
        if known.is_finite().all() and (known == known.round()).all() and (known.abs() < 2**53).all():
            column = column.cast(pl.Int64)
    return column.cast(pl.String)


def categories(column: pl.Series, rows: NDArray[np.intp]) -> tuple[str, ...]:
    """The texts of some rows, sorted."""
    return tuple(texts(column)[rows].drop_nulls().unique().sort().to_list())


def codes(column: pl.Series, known: Sequence[str]) -> NDArray[np.int64]:
    """Each row's code. Shape: (rows,)."""
    given = texts(column)
    if not known:
        coded = pl.repeat(UNKNOWN, len(given), dtype=pl.Int64, eager=True)
    else:
        old, new = pl.Series(list(known)), pl.Series(range(FIRST, FIRST + len(known)), dtype=pl.Int64)
        coded = given.replace_strict(old, new, default=UNKNOWN, return_dtype=pl.Int64)
    found = np.array(coded.to_numpy(), np.int64)
    found[given.is_null().to_numpy()] = MISSING
    return found


def matrices(table: Table, columns: Sequence[Column]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All features of a table. Shape: (rows, numeric columns) and (rows, categorical columns)."""
    numeric = [numbers(table, column.name) for column in columns if column.kind == "numeric"]
    coded = [
        codes(table.frame[column.name], column.categories) for column in columns if column.kind != "numeric"
    ]
    return _stack(numeric, np.float32, len(table)), _stack(coded, np.int64, len(table))


def _stack(columns: list[NDArray[Any]], dtype: type, rows: int) -> NDArray[Any]:
    return np.column_stack(columns) if columns else np.empty((rows, 0), dtype)


def sample_weights(table: Table, name: str) -> NDArray[np.float32]:
    """A column of weights. Shape: (rows,).

    Raises:
        DataError: one is missing, negative or no number, or all are 0.
    """
    column = table.column(name)
    wanted = "every weight a number of at least 0"
    refuse(table.source, column, column.is_null(), "no weight", wanted)
    values = numbers(table, name)
    refuse(table.source, column, pl.Series(values < 0), "a negative weight", wanted)
    if not values.any():
        raise DataError(f"{table.source}: every weight in column {name!r} is 0")
    return values
