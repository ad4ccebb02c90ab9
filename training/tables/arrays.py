""".npz files: a matrix X with vectors beside it, or vectors alone."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.errors import DataError
from training.tables.table import Table, check_names, first_line, listing

Arrays = Mapping[str, NDArray[Any]]

_DAMAGED = (
    *(OSError, ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What NumPy and zipfile raise when the bytes are not what they should be."""


def read_npz(path: Path, target: str | None) -> Table:
    """X as columns x0, x1, …, and every other array of one dimension as a column of its own.

    Raises:
        DataError: it is no such file, or its arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGED as error:
        raise DataError(f"{path}: cannot be read as .npz: {first_line(error)}") from error
    if target is not None and (target not in arrays or len(arrays) < 2):
        raise DataError(f"{path}: expected arrays 'X' and {target!r}, got {listing(list(arrays))}")
    _check(path, arrays)
    series = [column for name, array in arrays.items() for column in _columns(name, array)]
    check_names(str(path), [column.name for column in series])
    return Table(str(path), pl.DataFrame(series).fill_nan(None), fixed="X" in arrays)


def _check(path: Path, arrays: Arrays) -> None:
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items())
    sound = all(
        array.ndim == 2 and array.dtype.kind in "iufb"
        if name == "X"
        else array.ndim == 1 and array.dtype.kind in "iufbU"
        for name, array in arrays.items()
    )
    if not sound:
        wanted = "X numeric [rows, features] and every other array [rows]"
        raise DataError(f"{path}: expected {wanted}, got {shapes}")
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"{path}: {', '.join(f'{name} has {count} rows' for name, count in counts.items())}")


def _columns(name: str, array: NDArray[Any]) -> list[pl.Series]:
    if name == "X":
        return [pl.Series(f"x{i}", np.ascontiguousarray(column)) for i, column in enumerate(array.T)]
    return [pl.Series(name, array.tolist() if array.dtype.kind == "U" else array)]
