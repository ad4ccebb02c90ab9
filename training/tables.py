"""Files in, one table of numbers out: CSV (gz too), Parquet, .npz and scikit-learn's embedded data sets.

In this version every feature is a number and none is missing; what breaks that is named by column and row.
Categories and missing values will enter here, as further kinds of column.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import DataError

EMBEDDED = ("digits", "breast-cancer", "wine", "diabetes")
READS = ".csv, .csv.gz, .parquet or .npz (arrays X and y)"

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Table:
    """Features and target of some rows.

    Shape: X (rows, features) in float32, y (rows,) of strings, integers or floats.
    """

    source: str
    target: str
    features: tuple[str, ...]
    X: NDArray[np.float32]
    y: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.X) != len(self.y):
            raise DataError(f"{self.source}: X has {len(self.X)} rows, y has {len(self.y)}")
        if not self.features:
            raise DataError(f"{self.source}: no features are left beside the target {self.target!r}")

    def fingerprint(self) -> str:
        """SHA-256 over the column names and the values."""
        digest = hashlib.sha256("\0".join((self.target, *self.features)).encode())
        digest.update(np.ascontiguousarray(self.X).tobytes())
        digest.update("\0".join(map(str, self.y.tolist())).encode())
        return digest.hexdigest()


def read_table(path: Path, target: str) -> Table:
    """The table in a file.

    Raises:
        DataError: the file cannot be read, the target is not in it, or a value is not a number.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; expected {READS}")
    if path.suffix == ".npz":
        return _read_npz(path, target)
    return _from_frame(str(path), _read_frame(path), target)


def embedded_table(name: str) -> Table:
    """One of scikit-learn's bundled data sets.

    Raises:
        DataError: there is no data set of that name.
    """
    from sklearn import datasets

    loaders = {
        "digits": datasets.load_digits,
        "breast-cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }
    if name not in loaders:
        raise DataError(f"no data set named {name!r}: there is {', '.join(EMBEDDED)}")
    bunch = loaders[name]()
    features = tuple(str(feature).replace(" ", "_") for feature in bunch.feature_names)
    labels = getattr(bunch, "target_names", None)
    y = bunch.target if labels is None else np.asarray(labels)[bunch.target]
    target = {"digits": "digit", "breast-cancer": "diagnosis", "wine": "cultivar", "diabetes": "progression"}
    return Table(name, target[name], features, bunch.data.astype(np.float32), y)


def _read_frame(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv" or path.name.endswith(".csv.gz"):
            _refuse_duplicates(path)
            return pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table: {_first_line(error)}") from error
    raise DataError(f"{path}: unknown kind of file; expected {READS}")


def _refuse_duplicates(path: Path) -> None:
    """A name that stands twice in a header; the reader of tables would rename the second."""
    names = pl.read_csv(path, has_header=False, n_rows=1, infer_schema=False).row(0)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: duplicate column names {_listing(twice)}; every name may stand once")


def _from_frame(source: str, frame: pl.DataFrame, target: str) -> Table:
    if target not in frame.columns:
        raise DataError(f"{source}: no column named {target!r}; there is {_listing(frame.columns)}")
    if frame.is_empty():
        raise DataError(f"{source}: the table has no rows")
    features = tuple(name for name in frame.columns if name != target)
    columns = [_numbers(source, frame[name]) for name in features]
    X = np.column_stack(columns) if columns else np.empty((len(frame), 0), np.float32)
    return Table(source, target, features, X, _target_values(source, frame[target]))


def _numbers(source: str, column: pl.Series) -> NDArray[np.float32]:
    """A feature column in float32."""
    numeric = column if column.dtype.is_numeric() else column.cast(pl.Float64, strict=False)
    _refuse(source, column, column.is_null(), "a missing value")
    if not column.dtype.is_numeric():
        not_numbers = numeric.is_null() if column.dtype == pl.String else pl.Series([True] * len(column))
        _refuse(source, column, not_numbers, "not a number")
    values = numeric.cast(pl.Float64).to_numpy()
    _refuse(source, column, pl.Series(~np.isfinite(values)), "not a finite number")
    _refuse(source, column, pl.Series(np.abs(values) > FLOAT32_MAX), "outside the range of float32")
    return values.astype(np.float32)


def _target_values(source: str, column: pl.Series) -> NDArray[Any]:
    _refuse(source, column, column.is_null(), "a missing target")
    if column.dtype.is_float():
        _refuse(source, column, ~column.is_finite(), "not a finite target")
    if column.dtype.is_numeric():
        return column.to_numpy()
    return column.cast(pl.String).to_numpy().astype(str)


def _refuse(source: str, column: pl.Series, faulty: pl.Series, what: str) -> None:
    if not faulty.any():
        return
    row = int(faulty.arg_true()[0])
    value = column[row]
    shown = "empty" if value is None else repr(value)
    wanted = "every feature a finite number" if "target" not in what else "a target in every row"
    raise DataError(
        f"{source}: column {column.name!r}, row {row + 1}: {shown} is {what} "
        f"({int(faulty.sum())} such rows); expected {wanted}"
    )


def _read_npz(path: Path, target: str) -> Table:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as .npz: {_first_line(error)}") from error
    if "X" not in arrays or target not in arrays:
        raise DataError(f"{path}: expected arrays 'X' and {target!r}, got {_listing(list(arrays))}")
    X, y = arrays["X"], arrays[target]
    if X.ndim != 2 or X.dtype.kind not in "iuf" or y.ndim != 1:
        shapes = f"X {X.dtype}{list(X.shape)}, {target} {y.dtype}{list(y.shape)}"
        raise DataError(f"{path}: expected X numeric [rows, features] and {target} [rows], got {shapes}")
    features = tuple(f"x{index}" for index in range(X.shape[1]))
    if not len(X):
        raise DataError(f"{path}: the table has no rows")
    _check_matrix(path, X, features)
    labels = _target_values(str(path), pl.Series(target, y))
    return Table(str(path), target, features, X.astype(np.float32), labels)


def _check_matrix(path: Path, X: NDArray[Any], features: tuple[str, ...]) -> None:
    if X.dtype.kind != "f":
        return
    faulty = ~(np.abs(X) <= FLOAT32_MAX)
    if faulty.any():
        row, column = (int(index[0]) for index in np.nonzero(faulty))
        place = f"column {features[column]!r}, row {row + 1}"
        raise DataError(f"{path}: {place}: {X[row, column]} is not a finite float32")


def _listing(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
