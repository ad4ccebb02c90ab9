"""Two model files, the same rows: how far apart are their answers?

This is the certificate of a fold. It trusts neither the folder nor its algebra: both files are opened by
onnxruntime as a server would, and fed alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.errors import CertificateError, DataError

if TYPE_CHECKING:
    from service.session import Session, TensorSpec

TOLERANCES = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 1e-4, "float64": 1e-9}
"""Largest row error, max|y − t| / max|t|, by the type of an output: some hundred roundings of that type."""

_BATCH = 64
_FREE = 16
"""What a free dimension other than the first is set to."""

Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class OutputDifference:
    """One output of both files.

    Attributes:
        worst: the largest row error, max|y − t| / max|t| within one row.
        mean: the mean row error.
        tolerance: what `worst` may be.
    """

    name: str
    worst: float
    mean: float
    tolerance: float

    @property
    def is_within(self) -> bool:
        """Whether the two files agree."""
        return self.worst <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """All outputs, over all rows."""

    rows: int
    outputs: tuple[OutputDifference, ...]

    @property
    def is_same(self) -> bool:
        """Whether the two files agree in every output."""
        return all(output.is_within for output in self.outputs)


def verify(
    original: Path,
    folded: Path,
    *,
    table: Path | None = None,
    random_rows: int = 1024,
    tolerance: float | None = None,
) -> Verification:
    """Run both files on the rows of a CSV table, or on random ones, and compare row by row.

    Raises:
        CertificateError: the files do not have the same inputs and outputs.
        DataError: the table does not fit the model.
    """
    from service.session import Session

    if random_rows < 1:
        raise DataError(f"--random is {random_rows}, expected at least 1 row")
    before, after = Session(original), Session(folded)
    if _names(before) != _names(after):
        raise CertificateError(f"{original} and {folded} have different inputs or outputs")
    batches = _table(before, table) if table is not None else _random(before, random_rows)
    errors: dict[str, list[NDArray[np.float64]]] = {spec.name: [] for spec in before.outputs}
    rows = 0
    for feeds in batches:
        rows += _rows(feeds)
        answers = zip(before.outputs, before.run(feeds), after.run(feeds), strict=True)
        for spec, wanted, got in answers:
            errors[spec.name].append(_row_errors(wanted, got))
    outputs = (_difference(spec, errors[spec.name], tolerance) for spec in before.outputs)
    return Verification(rows, tuple(outputs))


def _names(session: Session) -> tuple[list[str], list[str]]:
    return [spec.name for spec in session.inputs], [spec.name for spec in session.outputs]


def _rows(feeds: Mapping[str, NDArray[Any]]) -> int:
    return max((len(values) for values in feeds.values() if values.ndim), default=1)


def _row_errors(wanted: Any, got: Any) -> NDArray[np.float64]:
    """One error for each row; 0 where both are the same, also where both are not finite."""
    try:
        first, second = (np.asarray(values).astype(np.float64) for values in (wanted, got))
    except (TypeError, ValueError):  # text, sequences and maps are equal or they are not
        return np.array([0.0 if str(wanted) == str(got) else np.inf])
    if first.shape != second.shape:
        return np.array([np.inf])
    first, second = (values.reshape(len(values) if values.ndim > 1 else 1, -1) for values in (first, second))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(first - second))
    size = np.where(np.isfinite(first), np.abs(first), 0.0).max(axis=1, initial=0.0)
    errors: NDArray[np.float64] = apart.max(axis=1, initial=0.0) / np.maximum(size, np.finfo(np.float32).tiny)
    return errors


def _difference(
    spec: TensorSpec, errors: list[NDArray[np.float64]], tolerance: float | None
) -> OutputDifference:
    together = np.concatenate(errors) if errors else np.zeros(1)
    allowed = TOLERANCES.get(spec.dtype, 0.0) if tolerance is None else tolerance
    worst = np.nan_to_num(together, nan=np.inf).max(initial=0.0)
    return OutputDifference(spec.name, float(worst), float(together.mean()), allowed)


def _random(session: Session, rows: int) -> Iterator[Feeds]:
    """Batches of standard normal numbers; 0 and 1 for integers, which every table of embeddings has."""
    random = np.random.default_rng(0)
    done = 0
    while done < rows:
        feeds = {spec.name: _drawn(spec, random, min(_BATCH, rows - done)) for spec in session.inputs}
        done += max(1, _rows(feeds))
        yield feeds
        if not session.inputs:
            return


def _drawn(spec: TensorSpec, random: np.random.Generator, rows: int) -> NDArray[Any]:
    free = [rows, *[_FREE] * len(spec.shape)]
    shape = [size if size is not None else free[min(k, 1)] for k, size in enumerate(spec.shape)]
    if not spec.is_tensor or spec.dtype in ("string", "bfloat16"):
        raise DataError(f"input {spec.name} is {spec.dtype}: random rows need numbers; give --rows")
    if spec.dtype.startswith("float"):
        return np.asarray(random.standard_normal(shape)).astype(spec.dtype)
    return np.asarray(random.integers(0, 2, shape)).astype(spec.dtype)


def _table(session: Session, path: Path) -> Iterator[Feeds]:
    """The rows of a CSV file: one input takes all columns, several take the column of their name."""
    import polars as pl

    try:
        table = pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    for start in range(0, table.height, _BATCH):
        part = table.slice(start, _BATCH)
        if len(session.inputs) == 1:
            yield {session.inputs[0].name: _columns(session.inputs[0], part)}
        else:
            yield {spec.name: _column(spec, part) for spec in session.inputs}


def _columns(spec: TensorSpec, part: Any) -> NDArray[Any]:
    wanted = spec.shape[1] if len(spec.shape) == 2 else None
    if len(spec.shape) != 2 or wanted not in (None, part.width):
        shape = " × ".join("?" if size is None else str(size) for size in spec.shape)
        raise DataError(f"input {spec.name} is {shape}, the table has {part.width} columns")
    try:
        return np.asarray(part.to_numpy()).astype(spec.dtype)
    except ValueError as error:
        raise DataError(f"input {spec.name} takes numbers: {error}") from error


def _column(spec: TensorSpec, part: Any) -> NDArray[Any]:
    if spec.name not in part.columns:
        raise DataError(f"the table has no column {spec.name!r}, an input of the model")
    values = part[spec.name].to_numpy()
    if spec.dtype != "string":
        values = values.astype(spec.dtype)
    return np.asarray(values.reshape(-1, *(1,) * (len(spec.shape) - 1)))
