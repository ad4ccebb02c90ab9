"""Columns of text → numbers where the texts say numbers; the rest stays text.

A column is numbers when every text that is not a mark for "missing" says one. A few words without digits
among many numbers are taken for marks too, and reported. Digits with leading zeros are codes, not numbers.
"""

from __future__ import annotations

import polars as pl

from training.tables.table import Reading, Remark, refuse

MOST_WORDS = 5
"""Different words among numbers that may be marks nobody named."""

LEAST_NUMBERS = 0.8
"""The share of the values that must be numbers for the others to be taken for marks."""

_INTEGER = r"^(?:0|-?[1-9]\d{0,17})$"
_LEADING_ZERO = r"^[+-]?0\d"
_THOUSANDS = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
_DECIMAL_COMMA = r"^[+-]?\d*,\d+$"


def typed(source: str, column: pl.Series, reading: Reading) -> tuple[pl.Series, Remark]:
    """A column of text as what it says.

    Raises:
        DataError: it is said to be numbers, and a text is none.
    """
    texts, marks = _without_marks(column, reading)
    kind = reading.kinds.get(column.name)
    if kind == "categorical":
        return texts, Remark(marks)
    numbers, note = _numbers(texts)
    left = texts.filter(numbers.is_null() & texts.is_not_null())
    if kind == "numeric":
        faulty = numbers.is_null() & texts.is_not_null()
        refuse(source, column, faulty, "not a number", "every value a number, or a mark that --missing names")
        return numbers, Remark(marks, note=note)
    if left.is_empty():
        coded = note == "" and bool(texts.str.contains(_LEADING_ZERO).any()) and _digits_only(texts)
        plain = Remark(marks, note="is written with leading zeros" if coded else note)
        return (texts if coded else numbers), plain
    words = _words(texts, left)
    return (numbers, Remark((*marks, *words), words, note)) if words else (texts, Remark(marks))


def _without_marks(column: pl.Series, reading: Reading) -> tuple[pl.Series, tuple[str, ...]]:
    named = [*reading.missing, *reading.known_marks.get(column.name, ())]
    marked = column.is_in(named).fill_null(False)
    if not marked.any():
        return column.replace("", None) if (column == "").any() else column, ()
    marks = tuple(sorted(column.filter(marked).unique().to_list()))
    return column.replace([*named, ""], None), marks


def _numbers(texts: pl.Series) -> tuple[pl.Series, str]:
    """Numbers where the texts say some, else null, and how they were read when not as they stand."""
    known = texts.drop_nulls()
    if known.is_empty():
        return texts.cast(pl.Float64), ""
    if known.str.contains(_INTEGER).all():
        return texts.cast(pl.Int64), ""
    numbers = texts.cast(pl.Float64, strict=False)
    if numbers.null_count() == texts.null_count():
        return numbers.fill_nan(None), ""
    for pattern, old, new, note in (
        (_THOUSANDS, ",", "", "is written with commas between thousands"),
        (_DECIMAL_COMMA, ",", ".", "is written with a comma before the decimals"),
    ):
        commas = texts.str.contains(pattern).fill_null(False)
        changed = pl.select(
            pl.when(commas).then(texts.str.replace_all(old, new, literal=True)).otherwise(texts)
        )
        other = changed.to_series().cast(pl.Float64, strict=False)
        if commas.any() and other.null_count() == texts.null_count():
            return other.alias(texts.name), note
    return numbers.fill_nan(None), ""


def _digits_only(texts: pl.Series) -> bool:
    return bool(texts.drop_nulls().str.contains(r"^\d+$").all())


def _words(texts: pl.Series, left: pl.Series) -> tuple[str, ...]:
    """The words among many numbers; none when they are many, or hold digits and so mean something."""
    different = left.unique()
    enough = len(left) <= (1 - LEAST_NUMBERS) * (len(texts) - texts.null_count())
    meaning = different.str.contains(r"\d").any()
    return (
        tuple(sorted(different.to_list())) if enough and len(different) <= MOST_WORDS and not meaning else ()
    )
