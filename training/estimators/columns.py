"""X → columns of polars: arrays column by column, frames of pandas, polars and others by their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import ConfigError, DataError
from training.features import texts
from training.tables import listing

SOURCE = "X"
"""What messages call the table."""

_TEXT = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def is_frame(X: Any) -> bool:
    """Whether its columns have types of their own."""
    return bool(nw.dependencies.is_into_dataframe(X))


def array_columns(X: NDArray[Any], names: Sequence[str]) -> list[pl.Series]:
    """The columns of a matrix; truth values count as 0 and 1."""
    if X.dtype.kind == "O":
        return [_of_objects(name, column.tolist()) for name, column in zip(names, X.T, strict=True)]
    if X.dtype.kind in "US":
        return [pl.Series(name, column.tolist()) for name, column in zip(names, X.T, strict=True)]
    plain = X if X.dtype.kind in "iu" or X.dtype == np.float32 else X.astype(np.float64)
    columns = (np.ascontiguousarray(column) for column in plain.T)
    return [_without_nan(pl.Series(name, column)) for name, column in zip(names, columns, strict=True)]


def check_frame(X: Any) -> None:
    """Refuse what is no table.

    Raises:
        DataError: a data frame without columns, or with two of one name.
    """
    try:
        names = nw.from_native(X, eager_only=True).columns
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"{SOURCE}: duplicate column names; every name may stand once") from error
    if not names:
        raise DataError(f"{SOURCE}: 0 features in {len(X)} rows; expected at least one column")


def frame_columns(X: Any, names: Sequence[str]) -> list[pl.Series]:
    """The columns of a data frame, under these names."""
    frame = nw.from_native(X, eager_only=True)
    return [_of_frame(frame[:, place], name) for place, name in enumerate(names)]


def chosen_categories(asked: Any, columns: Sequence[pl.Series], named: bool) -> tuple[str, ...]:
    """The names of the columns that are categories.

    Args:
        asked: as the parameter `categorical_features` says it.
        named: whether the columns have names of their own.

    Raises:
        ConfigError: it names what is not there.
    """
    names = [column.name for column in columns]
    if asked is None:
        return ()
    if isinstance(asked, str):
        if asked != "from_dtype":
            raise ConfigError(f"categorical_features is {asked!r}, expected 'from_dtype', names or indices")
        return tuple(column.name for column in columns if named and column.dtype in _TEXT)
    wanted = np.asarray(asked)
    if wanted.dtype.kind == "b" and len(wanted) == len(names):
        return tuple(name for name, yes in zip(names, wanted, strict=True) if yes)
    return tuple(dict.fromkeys(_name(entry, names, named) for entry in wanted.tolist()))


def as_frame(columns: Sequence[pl.Series], categories: Sequence[str]) -> pl.DataFrame:
    """The columns as the loader leaves them: categories as texts, nothing empty but null."""
    return pl.DataFrame([_text(column) if column.name in categories else column for column in columns])


def _name(entry: Any, names: Sequence[str], named: bool) -> str:
    if isinstance(entry, str) and named and entry in names:
        return entry
    if isinstance(entry, int) and not isinstance(entry, bool) and -len(names) <= entry < len(names):
        return names[entry]
    there = listing(names) if named else f"indices below {len(names)}"
    raise ConfigError(f"categorical_features names {entry!r}, no such column; there is {there}")


def _text(column: pl.Series) -> pl.Series:
    """The empty text is what a record says for "missing"."""
    given = texts(column)
    return given.set(given == "", None)


def _without_nan(column: pl.Series) -> pl.Series:
    return column.fill_nan(None) if column.dtype.is_float() else column


def _of_frame(column: Any, name: str) -> pl.Series:
    native = column.to_native()
    if isinstance(native, pl.Series):
        plain = native.cast(pl.String) if native.dtype in (pl.Categorical, pl.Enum) else native
        return _without_nan(plain.alias(name))
    if column.dtype.is_numeric() and not column.is_null().any():
        return _without_nan(pl.Series(name, column.to_numpy()))
    missing = column.is_null().to_list()
    values = [None if gone else value for value, gone in zip(column.to_list(), missing, strict=True)]
    if isinstance(column.dtype, nw.Categorical | nw.Enum):
        return texts(_of_objects(name, values)).cast(pl.String)
    return _of_objects(name, values, pl.Float64 if column.dtype.is_float() else None)


def _of_objects(name: str, values: list[Any], dtype: Any = None) -> pl.Series:
    """Python's values: numbers where all are, else texts."""
    known = [None if isinstance(value, float) and np.isnan(value) else value for value in values]
    try:
        series = pl.Series(name, known, dtype)
    except (TypeError, pl.exceptions.PolarsError):
        pass
    else:
        # NumPy has no such integers.
        return series.cast(pl.Float64) if series.dtype in (pl.Int128, pl.UInt128) else series
    if all(value is None or isinstance(value, int | float | np.number) for value in known):
        return pl.Series(name, [None if value is None else float(value) for value in known])
    return pl.Series(name, [None if value is None else str(value) for value in known])
