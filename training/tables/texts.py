"""Columns of text → numbers where the texts say numbers; the rest stays text.

A column is numbers when every text that is not a mark for "missing" says one. A few words without digits
among many numbers are taken for marks too, and reported. Digits with leading zeros are codes, not numbers.
Numbers may be written as in accounts, or with a unit: that is reported.
"""

from __future__ import annotations

import polars as pl

from training.tables.table import Reading, Remark, refuse
from training.tables.writing import Writing, found

MOST_WORDS = 5
"""Different words among numbers that may be marks nobody named."""

LEAST_NUMBERS = 0.8
"""The share of the values that must be numbers for the others to be taken for marks."""

MANY_NUMBERS = 50
"""With more different numbers than this, a few texts with digits, such as "<0.01", are marks as well."""

FEW_FRAMED = 20
"""So few different texts such as "19 %", each in several rows, serve as they stand."""

_INTEGER = r"^(?:0|-?[1-9]\d{0,17})$"
_LEADING_ZERO = r"^[+-]?0\d"
_WANTED = "every value a number, or a mark that --missing names"


def typed(
    source: str, column: pl.Series, reading: Reading, *, comma: bool = False
) -> tuple[pl.Series, Remark]:
    """A column of text as what it says.

    Args:
        comma: whether the table's decimals are known to stand behind a comma.

    Raises:
        DataError: it is said to be numbers, and a text is none.
    """
    texts, marks = _without_marks(column, reading)
    kind, known = reading.kinds.get(column.name), reading.writings.get(column.name)
    if kind == "categorical":
        return texts, Remark(marks)
    numbers, writing = _numbers(texts, known, comma=comma)
    left = texts.filter(numbers.is_null() & texts.is_not_null())
    if kind == "numeric":
        refuse(source, column, numbers.is_null() & texts.is_not_null(), "not a number", _WANTED)
        return numbers, Remark(marks, writing=writing)
    if known is None and _stays_text(texts, writing):
        return texts, Remark(marks)
    if left.is_empty():
        coded = writing.plain and bool(texts.str.contains(_LEADING_ZERO).any()) and _digits_only(texts)
        if coded:
            return texts, Remark(marks, note="is written with leading zeros")
        return numbers, Remark(marks, writing=writing)
    words = _words(numbers, left)
    return (numbers, Remark((*marks, *words), words, writing=writing)) if words else (texts, Remark(marks))


def _without_marks(column: pl.Series, reading: Reading) -> tuple[pl.Series, tuple[str, ...]]:
    named = [*reading.missing, *reading.known_marks.get(column.name, ())]
    marked = column.is_in(named).fill_null(False)
    if not marked.any():
        return column.replace("", None) if (column == "").any() else column, ()
    marks = tuple(sorted(column.filter(marked).unique().to_list()))
    return column.replace([*named, ""], None), marks


def _numbers(texts: pl.Series, known: Writing | None, *, comma: bool) -> tuple[pl.Series, Writing]:
    """Numbers where the texts say some, else null, and how they are written."""
    given = texts.drop_nulls()
    if given.is_empty():
        return texts.cast(pl.Float64), Writing()
    if known is None and given.str.contains(_INTEGER).all():
        return texts.cast(pl.Int64), Writing()
    worth = given.str.contains(r"\d").sum() >= LEAST_NUMBERS * len(given)
    writing = known or (found(texts, comma=comma) if worth else Writing())
    return writing.numbers(texts), writing


def _stays_text(texts: pl.Series, writing: Writing) -> bool:
    distinct = texts.n_unique()
    return writing.framed and distinct <= FEW_FRAMED and len(texts) >= 2 * distinct


def _digits_only(texts: pl.Series) -> bool:
    return bool(texts.drop_nulls().str.contains(r"^\d+$").all())


def _words(numbers: pl.Series, left: pl.Series) -> tuple[str, ...]:
    """The words among many numbers; none when they are many, or hold digits and so mean something."""
    different = left.unique()
    said = len(numbers) - numbers.null_count()
    if len(different) > MOST_WORDS or len(left) > (1 - LEAST_NUMBERS) * (len(left) + said):
        return ()
    meaning = different.str.contains(r"\d").any() and numbers.n_unique() <= MANY_NUMBERS
    return () if meaning else tuple(sorted(different.to_list()))
