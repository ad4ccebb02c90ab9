"""CSV and its relatives: bytes → text → a frame of texts, blanks trimmed, nothing interpreted."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
import zlib
from pathlib import Path

import polars as pl

from training.errors import DataError
from training.tables.dialect import BLANKS, SAMPLE, Dialect, sniff, tabbed
from training.tables.table import Reading, check_names, counted, first_line, listing

_GZIP = b"\x1f\x8b"


def read_delimited(path: Path, reading: Reading, target: str | None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The fields of a CSV as text, null where empty, and what was guessed about it.

    Raises:
        DataError: it is no text, has no columns, or a line has another number of fields.
    """
    text, encoded = _text(path)
    head = list(itertools.islice(io.StringIO(text, newline=None), SAMPLE))
    dialect = sniff([line.rstrip("\n") for line in head], reading, target)
    if not dialect.first:
        raise DataError(f"{path}: cannot be read as a table: it is empty")
    names = _names(path, dialect, reading)
    body = _body(text, dialect)
    frame = _frame(path, body, dialect, names)
    if frame.width > 1:
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame, (*encoded, *_notes(path, dialect, reading))


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be read as a table: {first_line(error)}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), (f"{path.name}: read as UTF-16",)
    if b"\0" in data[:4096]:
        raise DataError(f"{path}: cannot be read as a table: it holds bytes that are no text")
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        note = f"{path.name}: byte {error.start} is not UTF-8; read as Windows-1252"
        return data.decode("cp1252", errors="replace"), (note,)


def _names(path: Path, dialect: Dialect, reading: Reading) -> list[str]:
    if reading.columns and len(reading.columns) != len(dialect.first):
        named, there = len(reading.columns), len(dialect.first)
        raise DataError(f"{path}: --columns names {named} columns, its lines have {there} fields")
    if dialect.header:
        names = [name or f"unnamed_{index}" for index, name in enumerate(dialect.first)]
    else:
        names = list(reading.columns) or [f"x{index}" for index in range(len(dialect.first))]
    check_names(str(path), names)
    return names


def _body(text: str, dialect: Dialect) -> str:
    """The rows alone: without what was skipped, and without the header."""
    lines = io.StringIO(text, newline=None)
    for _ in dialect.skipped:
        next(lines)
    if dialect.header:
        _skip_header(lines, dialect)
    body = lines.read()
    if dialect.delimiter == BLANKS:
        return tabbed(body, dialect.quote)
    return body


def _skip_header(lines: io.StringIO, dialect: Dialect) -> None:
    """The first line with something in it, line breaks within quotes included."""
    line = next(lines)
    while not line.strip():
        line = next(lines)
    while line.count(dialect.quote) % 2:
        line += next(lines, dialect.quote)


def _frame(path: Path, body: str, dialect: Dialect, names: list[str]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    if not body.strip():
        return empty
    separator = "\t" if dialect.delimiter == BLANKS else dialect.delimiter
    beside = rf"(?:{re.escape(separator)}|^) +{dialect.quote}|{dialect.quote} +(?:{re.escape(separator)}|$)"
    try:
        if re.search(beside, body, re.MULTILINE):
            # The fast reader does not see a quote beside a blank.
            return _slowly(path, body, separator, dialect, names)
        frame = pl.read_csv(
            body.encode(),
            has_header=False,
            infer_schema=False,
            separator=separator,
            quote_char=dialect.quote,
            schema=dict.fromkeys(names, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        _check_widths(path, body, separator, dialect, len(names))
        raise DataError(f"{path}: cannot be read as a table: {first_line(error)}") from error
    # A line that ends early gives nulls at its end: the reader of tables does not tell.
    if len(names) > 1 and frame[names[-1]].null_count():
        _check_widths(path, body, separator, dialect, len(names))
    return _trimmed(frame)


def _trimmed(frame: pl.DataFrame) -> pl.DataFrame:
    trimmed = frame.with_columns(pl.all().str.strip_chars())
    return trimmed.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())


def _slowly(path: Path, body: str, separator: str, dialect: Dialect, names: list[str]) -> pl.DataFrame:
    _check_widths(path, body, separator, dialect, len(names))
    lines = io.StringIO(body)
    rows = csv.reader(lines, delimiter=separator, quotechar=dialect.quote, skipinitialspace=True)
    kept = [row for row in rows if len(row) == len(names)]
    return _trimmed(pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String), orient="row"))


def _check_widths(path: Path, body: str, separator: str, dialect: Dialect, width: int) -> None:
    before = len(dialect.skipped) + dialect.header
    lines = io.StringIO(body)
    rows = csv.reader(lines, delimiter=separator, quotechar=dialect.quote, skipinitialspace=True)
    for row in rows:
        if row and len(row) != width and any(field.strip() for field in row):
            line = rows.line_num + before
            raise DataError(f"{path}: line {line} has {counted(len(row), 'field')}, expected {width}")


def _notes(path: Path, dialect: Dialect, reading: Reading) -> list[str]:
    notes = []
    if dialect.skipped and reading.skip_lines is None:
        shown = listing([line for line in dialect.skipped if line.strip()], most=2)
        if shown:
            notes.append(
                f"{path.name}: skipped before the table, {len(dialect.skipped)} of its lines: {shown}"
            )
    if dialect.delimiter != "," and reading.delimiter is None:
        name = {"\t": "tabs", BLANKS: "blanks"}.get(dialect.delimiter, repr(dialect.delimiter))
        notes.append(f"{path.name}: fields are separated by {name}")
    if dialect.completed:
        place = "first" if not dialect.first[0] else "last"
        notes.append(f"{path.name}: rows have a field more than the header: the {place} has no name")
    if not dialect.header and not reading.columns and reading.header is None:
        last = len(dialect.first) - 1
        notes.append(
            f"{path.name}: no header found; its columns are x0 to x{last} unless --columns names them"
        )
    return notes
