"""The table that every kind of file becomes: named columns with null where a value is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import polars as pl

from training.errors import DataError
from training.tables.writing import PLAIN, Writing

MARKS = (
    *("?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "None"),
)
"""Texts that mean "missing" unless --missing names others: what pandas takes, and UCI's question mark."""

Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Reading:
    """How files are to be read; None lets the reader find out.

    Attributes:
        delimiter: what separates the fields of a CSV; " " stands for any run of blanks.
        header: whether the first line of a CSV names the columns.
        columns: the names of the columns, for a CSV without a header.
        skip_lines: how many lines of a CSV to leave out at its start.
        missing: the texts that mean "missing"; the empty text always does.
        kinds: columns whose kind is known: those of numbers must be numbers, those of categories stay text.
        known_marks: further texts that mean "missing" in one column.
        writings: how the numbers of a column are written, where that is known.
    """

    delimiter: str | None = None
    header: bool | None = None
    columns: tuple[str, ...] = ()
    skip_lines: int | None = None
    missing: tuple[str, ...] = MARKS
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    known_marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    writings: Mapping[str, Writing] = field(default_factory=dict)


@dataclass(frozen=True)
class Remark:
    """What the reader noticed about the texts of a column.

    Attributes:
        marks: the texts that were read as missing.
        words: of those, the ones that no flag names: a few words among numbers.
        note: what else is to be said of its texts.
        writing: how its numbers are written.
    """

    marks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    note: str = ""
    writing: Writing = PLAIN


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named columns.

    Attributes:
        source: where it comes from, for messages.
        frame: integers, floats, text, truth values or dates; null where a value is missing, never NaN.
        remarks: by column, what the reader noticed.
        notes: what a person should know about the file.
        fixed: whether the columns are those of an array or of a known data set, which keep their places.
    """

    source: str
    frame: pl.DataFrame
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fixed: bool = False

    def __post_init__(self) -> None:
        if self.frame.is_empty():
            raise DataError(f"{self.source}: the table has no rows")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        return self.frame.columns

    def column(self, name: str) -> pl.Series:
        """A column by its name.

        Raises:
            DataError: there is none.
        """
        if name not in self.frame.columns:
            hint = "".join(f" ({note})" for note in self.notes if "no header" in note)
            raise DataError(f"{self.source}: no column named {name!r}; there is {listing(self.names)}{hint}")
        return self.frame[name]

    def remark(self, name: str) -> Remark:
        """What was noticed about a column."""
        return self.remarks.get(name, Remark())

    def fingerprint(self) -> str:
        """SHA-256 over the names and the values."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        for column in self.frame:
            digest.update(_bytes(column))
        return digest.hexdigest()


def _bytes(column: pl.Series) -> bytes:
    """The values of a column, missing ones told apart from all others."""
    if column.dtype.is_numeric():
        present = column.is_null().to_numpy().tobytes() if column.null_count() else b""
        return column.fill_null(0).to_numpy().tobytes() + present
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Duration, pl.Object):
        return str(column.to_list()).encode()
    texts = column.cast(pl.String).fill_null("\1")
    return "\0".join(texts.to_list()).encode()


def refuse(source: str, column: pl.Series, faulty: pl.Series, what: str, wanted: str) -> None:
    """Stop at the first faulty row, when there is one.

    Raises:
        DataError: with the column, the row counted from 1, its value and how many there are.
    """
    if not faulty.any():
        return
    row = int(faulty.arg_true()[0])
    value = column[row]
    shown = "empty" if value is None else repr(value)
    raise DataError(
        f"{source}: column {column.name!r}, row {row + 1}: {shown} is {what} "
        f"({counted(int(faulty.sum()), 'such row')}); expected {wanted}"
    )


def check_names(source: str, names: Sequence[str]) -> None:
    """A name may stand once.

    Raises:
        DataError: naming those that stand twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{source}: duplicate column names {listing(twice)}; every name may stand once")


def concatenated(tables: Sequence[Table]) -> Table:
    """One table of the rows of several with the same columns, in the first one's order.

    Raises:
        DataError: naming the columns that differ.
    """
    first = tables[0]
    for table in tables[1:]:
        differs = difference(first.names, table.names)
        if differs:
            raise DataError(f"{table.source}: columns differ from {first.source}: {differs}")
    models = [_first_known(tables, name) for name in first.names]
    frames = [
        pl.DataFrame([_alike(model, table, name) for model, name in zip(models, first.names, strict=True)])
        for table in tables
    ]
    frame = pl.concat(frames, how="vertical_relaxed")
    names = dict.fromkeys(name for table in tables for name in table.remarks)
    remarks = {name: reduce(_joined, [table.remark(name) for table in tables]) for name in names}
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    return Table(first.source, frame, remarks, notes, all(table.fixed for table in tables))


def _first_known(tables: Sequence[Table], name: str) -> Table:
    """The first table with a value in the column: a column of nulls alone is of any kind."""
    for table in tables:
        if table.frame[name].null_count() < len(table):
            return table
    return tables[0]


def _alike(first: Table, other: Table, name: str) -> pl.Series:
    """A column of the other table, of the kind that the first one has."""
    here, column = first.frame[name].dtype, other.frame[name]
    if here == column.dtype or (here.is_numeric() and column.dtype.is_numeric()):
        return column
    if column.null_count() == len(column):
        return pl.Series(name, [None] * len(column), here)
    there = column.dtype
    raise DataError(f"column {name!r} is {here} in {first.source} and {there} in {other.source}")


def difference(wanted: Sequence[str], given: Sequence[str]) -> str:
    """What is missing and what is unknown, in words; empty when the names agree."""
    missing = [name for name in wanted if name not in set(given)]
    unknown = [name for name in given if name not in set(wanted)]
    parts = [f"missing {listing(missing)}"] if missing else []
    return ", ".join([*parts, *([f"unknown {listing(unknown)}"] if unknown else [])])


def _joined(one: Remark, other: Remark) -> Remark:
    marks = tuple(dict.fromkeys((*one.marks, *other.marks)))
    words = tuple(dict.fromkeys((*one.words, *other.words)))
    writing = other.writing if one.writing.plain else one.writing
    return Remark(marks, words, one.note or other.note, writing)


def counted(count: int, thing: str) -> str:
    """A number of things: 1 row, 2 rows."""
    return f"{count:,} {thing}" + ("s" if count != 1 else "")


def listing(names: Sequence[object], most: int = 8) -> str:
    """Some names, for one line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def first_line(error: BaseException) -> str:
    """What an error of a library says first."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
