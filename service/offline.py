"""Predictions for a file of rows, without a server: the same numbers, bit for bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from service.errors import UnreadableTable
from service.metadata import ModelMetadata
from service.model import ServedModel
from service.signature import Rows, Signature

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of some rows.

    Shape: outputs (rows, outputs), as the graph gives them.
    """

    outputs: NDArray[np.generic]
    metadata: ModelMetadata | None

    def frame(self) -> pl.DataFrame:
        """A column `prediction`, then one column for each class's probability or further output."""
        outputs, classes = self.outputs, self.metadata.classes if self.metadata else None
        if classes is not None:
            labels = pl.Series("prediction", [classes[index] for index in outputs.argmax(axis=1).tolist()])
            shares = [pl.Series(f"probability_{label}", outputs[:, i]) for i, label in enumerate(classes)]
            return pl.DataFrame([labels, *shares])
        columns = outputs.reshape(len(outputs), -1)
        names = ["prediction", *(f"prediction_{index}" for index in range(1, columns.shape[1]))]
        return pl.DataFrame([pl.Series(name, columns[:, i]) for i, name in enumerate(names)])


def predict_file(model_file: Path, data: Path) -> Predictions:
    """Run a model file over a table; columns that the model does not know are ignored.

    Raises:
        UnreadableModel: the model file is not in order.
        UnreadableTable: the table cannot be read, lacks a feature, or a value is not a number.
        UnsupportedSignature: the model does not take one table of numbers.
    """
    model = ServedModel(model_file.parent.parent.name or "model", 1, model_file, "cpu")
    rows = read_rows(data, model.door.signature)
    outputs = [model.predict(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
    return Predictions(np.concatenate(outputs), model.metadata)


def read_rows(path: Path, signature: Signature) -> Rows:
    """The feature columns of a table, in the signature's order and dtype.

    Raises:
        UnreadableTable: the file cannot be read, lacks a feature, or a value is not a number.
    """
    if path.suffix == ".npz":
        return _read_npz(path, signature)
    frame = _read_frame(path)
    if not signature.named:
        return _matrix(path, frame, signature)
    missing = [name for name in signature.features if name not in frame.columns]
    if missing:
        raise UnreadableTable(path, f"it lacks the features {', '.join(map(repr, missing[:8]))}")
    return _matrix(path, frame.select(signature.features), signature)


def _read_frame(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise UnreadableTable(path, "there is no such file")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv" or path.name.endswith(".csv.gz"):
            return pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableTable(path, str(error).strip().splitlines()[0]) from error
    raise UnreadableTable(path, "expected .csv, .csv.gz, .parquet or .npz (an array X)")


def _matrix(path: Path, frame: pl.DataFrame, signature: Signature) -> Rows:
    if frame.is_empty():
        raise UnreadableTable(path, "it has no rows")
    for column in frame:
        faulty = _not_numbers(column)
        if faulty.any():
            row = int(faulty.arg_true()[0])
            shown = "empty" if column[row] is None else repr(column[row])
            raise UnreadableTable(
                path, f"column {column.name!r}, row {row + 1}: {shown} is not a finite number"
            )
    return _checked(
        path, np.column_stack([column.cast(pl.Float64).to_numpy() for column in frame]), signature
    )


def _not_numbers(column: pl.Series) -> pl.Series:
    if not column.dtype.is_numeric() and column.dtype != pl.String:
        return pl.Series([True] * len(column))
    return ~column.cast(pl.Float64, strict=False).is_finite().fill_null(value=False)


def _read_npz(path: Path, signature: Signature) -> Rows:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _checked(path, archive["X"], signature)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableTable(path, f"expected .npz with a numeric array X: {error}") from error


def _checked(path: Path, values: NDArray[np.generic], signature: Signature) -> Rows:
    """The matrix in the model's dtype, once its shape and range are right."""
    width = signature.width or values.shape[-1]
    if values.ndim != 2 or values.shape[1] != width or values.dtype.kind not in "iuf":
        came = f"{values.dtype}{list(values.shape)}"
        raise UnreadableTable(path, f"expected numbers in [rows, {width}], got {came}")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = values.astype(signature.dtype)
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        row, column = (int(index[0]) for index in np.nonzero(~np.isfinite(rows)))
        place = f"column {signature.feature(column)!r}, row {row + 1}"
        raise UnreadableTable(path, f"{place}: {values[row, column]} is not a finite {signature.dtype}")
    return rows


def write(frame: pl.DataFrame, path: Path | None) -> None:
    """Write predictions as CSV or Parquet by the path's ending; as CSV to stdout without one.

    Raises:
        UnreadableTable: the ending is unknown, or the disk refuses.
    """
    if path is None:
        sys.stdout.write(frame.write_csv())
        return
    writers: dict[str, Callable[[Path], None]] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    if path.suffix not in writers:
        raise UnreadableTable(path, "expected an output ending in .csv or .parquet")
    try:
        writers[path.suffix](path)
    except OSError as error:
        raise UnreadableTable(path, str(error)) from error
