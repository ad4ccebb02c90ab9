"""read_table(paths) → Table: each file by its kind, all of them with the same columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from training.errors import DataError
from training.tables.arrays import read_npz
from training.tables.delimited import read_delimited
from training.tables.table import Reading, Remark, Table, check_names, concatenated, first_line
from training.tables.texts import typed

READS = "CSV (gz too), .parquet, .arrow, .feather or .npz (arrays X and y)"

_BINARY: dict[str, Callable[[Path], pl.DataFrame]] = {
    **dict.fromkeys((".parquet", ".pq"), lambda path: pl.read_parquet(path, glob=False)),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), lambda path: _read_arrow(path)),
}
_OTHERS = {".xlsx": "Excel", ".xls": "Excel", ".json": "JSON", ".jsonl": "JSON", ".zip": "zip", ".npy": "npy"}


def read_table(paths: Path | Sequence[Path], target: str | None, reading: Reading | None = None) -> Table:
    """The rows of one or more files.

    Args:
        target: the column that must be there; it also tells a header from a row.

    Raises:
        DataError: a file cannot be read, its columns differ from the first one's, or there is no row.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    plan = reading or Reading()
    raw = [_read(path, target, plan) for path in files]
    for table in raw:
        if target is not None:
            table.column(target)
    if all(_is_text(table) for table in raw):
        # Typed once together: whether a text is a number may show in another file.
        return _typed(concatenated(raw), plan)
    return concatenated([_typed(table, plan) for table in raw])


def _read(path: Path, target: str | None, reading: Reading) -> Table:
    if not path.is_file():
        kind = "it is a folder" if path.is_dir() else "there is no such file"
        raise DataError(f"{path}: {kind}; expected {READS}")
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            return read_npz(path, target)
        if suffix in _BINARY:
            frame = _BINARY[suffix](path)
            check_names(str(path), frame.columns)
            return Table(str(path), _plain(frame))
        if suffix in _OTHERS:
            raise DataError(f"{path}: {_OTHERS[suffix]} is not read; expected {READS}")
        frame, notes = read_delimited(path, reading, target)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table: {first_line(error)}") from error
    return Table(str(path), frame, notes=notes)


def _read_arrow(path: Path) -> pl.DataFrame:
    """An Arrow file, or a stream."""
    with path.open("rb") as opened:
        is_file = opened.read(6) == b"ARROW1"
    return pl.read_ipc(path) if is_file else pl.read_ipc_stream(path)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Categories as text, decimals as floats, NaN as null."""
    frame = frame.with_columns(
        pl.col(name).cast(pl.String if dtype in (pl.Categorical, pl.Enum) else pl.Float64)
        for name, dtype in frame.schema.items()
        if dtype in (pl.Categorical, pl.Enum, pl.Float16) or dtype.is_decimal()
    )
    return frame.fill_nan(None)


def _is_text(table: Table) -> bool:
    return all(dtype == pl.String for dtype in table.frame.dtypes)


def _typed(table: Table, reading: Reading) -> Table:
    """Its texts as what they say."""
    texts = [column for column in table.frame if column.dtype == pl.String]
    found = {column.name: typed(table.source, column, reading) for column in texts}
    if any(remark.writing.decimal == "," for _, remark in found.values()):
        # What might be commas between thousands are not, where decimals stand behind commas.
        again = [column for column in texts if found[column.name][1].writing.thousands == ","]
        found |= {column.name: typed(table.source, column, reading, comma=True) for column in again}
    remarks = dict(table.remarks)
    for name, (column, remark) in found.items():
        if column.dtype.is_numeric() and not _is_text(table) and remark.writing.plain:
            remark = replace(remark, note="holds numbers as text")
        if remark != Remark():
            remarks[name] = remark
    columns = [found[column.name][0] if column.name in found else column for column in table.frame]
    return Table(table.source, pl.DataFrame(columns), remarks, table.notes, table.fixed)
