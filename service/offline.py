"""Predictions for a file of rows, without a server: the same numbers, bit for bit."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from service.errors import RequestError, UnreadableTable
from service.metadata import ModelMetadata
from service.model import ServedModel
from service.payloads import matrix, tabular
from service.signature import Feeds, Signature

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of some rows.

    Shape: outputs (rows, outputs), as the graph gives them; probabilities beside them when they are labels.
    """

    outputs: NDArray[np.generic]
    metadata: ModelMetadata | None
    probabilities: NDArray[np.generic] | None = None

    def frame(self) -> pl.DataFrame:
        """A column `prediction`, then one column for each class's probability or further output."""
        classes = self.metadata.classes if self.metadata else None
        return tabular.predictions(self.outputs, classes, self.probabilities)


def predict_file(
    model_file: Path, data: Path, observe: Callable[[int, int], None] = lambda _done, _of: None
) -> Predictions:
    """Run a model file over a table; columns that the model does not know are ignored.

    Args:
        observe: is told how many rows are done, and of how many.

    Raises:
        UnreadableModel: the model file is not in order.
        UnreadableTable: the table cannot be read, lacks a feature, or a value does not fit.
        UnsupportedSignature: the model does not take rows of columns.
    """
    model = ServedModel(model_file.parent.parent.name or "model", 1, model_file)
    signature = model.door.signature
    feeds = read_rows(data, signature)
    rows, parts = signature.count(feeds), []
    for start in range(0, rows, CHUNK):
        parts.append(model.predict({name: array[start : start + CHUNK] for name, array in feeds.items()}))
        observe(min(start + CHUNK, rows), rows)
    outputs, *beside = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Predictions(outputs, model.metadata, *beside)


def read_rows(path: Path, signature: Signature) -> Feeds:
    """The feature columns of a table, in the signature's order and dtype, by the rules of /predict.

    Raises:
        UnreadableTable: the file cannot be read, lacks a feature, or a value does not fit.
    """
    if not path.is_file():
        raise UnreadableTable(path, "there is no such file")
    try:
        if path.suffix == ".npz":
            return matrix.from_array(_array(path), signature, "array X")
        return _rows(path, signature)
    except (RequestError, OSError) as error:
        raise UnreadableTable(path, str(error)) from error


def _rows(path: Path, signature: Signature) -> Feeds:
    if path.suffix not in (".csv", ".parquet") and not path.name.endswith(".csv.gz"):
        raise UnreadableTable(path, "expected .csv, .csv.gz, .parquet or .npz (an array X)")
    frame = tabular.read_file(path, signature)
    missing = [name for name in signature.features if name not in frame.columns] if signature.named else []
    if missing:
        lacking = f"it lacks the features {', '.join(map(repr, missing[:8]))}"
        alone = frame.width == 1 < len(signature.features)
        hint = f"; its first line is one field, {frame.columns[0]!r}: expected commas between them"
        raise UnreadableTable(path, lacking + (hint if alone else ""))
    known = frame.select(signature.features) if signature.named else frame
    tabular.check_names(known.columns, known.width, signature)
    return tabular.rows_of(known, signature, typed=path.suffix == ".parquet")


def _array(path: Path) -> NDArray[np.generic]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            values: NDArray[np.generic] = archive["X"]
            return values
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UnreadableTable(path, f"expected .npz with a numeric array X: {error}") from error


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
