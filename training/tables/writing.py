"""How a column writes its numbers, found in its texts.

What stands before and after the digits is the same in nearly every row, or it is no writing: "3 km" beside
"5 m" are texts.
"""

from __future__ import annotations

import polars as pl

from service.writing import FRAMED, PLAIN, Writing

__all__ = ["PLAIN", "Writing", "found"]

SAMPLE = 1000
"""Values of which a writing must fit half."""

_FORMS = ((".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"))
"""What stands before the decimals and between thousands, in the order in which they are tried."""


def found(texts: pl.Series, *, comma: bool) -> Writing:
    """The writing by which most texts of a column say numbers; plain where no other says more.

    Args:
        comma: whether the table is one whose decimals stand behind a comma.
    """
    best, most = Writing(), _count(texts, Writing())
    if most == len(texts) - texts.null_count():
        return best
    sample = texts.drop_nulls().head(SAMPLE)
    before, after = _frame(texts)
    forms = sorted(_FORMS, key=lambda form: comma and form[0] != ",")
    for decimal, thousands in ((".", ""), *forms):
        writing = Writing(decimal, thousands, before, after)
        if 2 * _count(sample, writing) < len(sample) or not _may_be(texts, writing):
            continue
        count = _count(texts, writing)
        if count > most:
            best, most = writing, count
    return best


def _count(texts: pl.Series, writing: Writing) -> int:
    return int(writing.numbers(texts).is_not_null().sum())


def _frame(texts: pl.Series) -> tuple[str, str]:
    """What most often stands before and after the digits."""
    groups = texts.drop_nulls().str.extract_groups(FRAMED).struct.unnest()
    if groups.is_empty():
        return "", ""
    pairs = groups.filter(pl.col("digits").is_not_null()).select(pl.col("before", "after").fill_null(""))
    if pairs.is_empty():
        return "", ""
    before, after = pairs.group_by("before", "after").len().sort("len", "before", "after").row(-1)[:2]
    return before, after


def _may_be(texts: pl.Series, writing: Writing) -> bool:
    """Groups between other marks than commas also make telephone numbers, which are all of one length."""
    if writing.thousands in ("", ","):
        return True
    digits = texts.drop_nulls().str.replace_all(r"\D", "")
    return digits.str.len_chars().n_unique() > 1
