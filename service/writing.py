"""Writing: how a column writes its numbers, such as "$1,234.50", "12,5" or "7.5 %", and those numbers.

1.234,50 €  →  before "", thousands ".", decimal ",", after "€"  →  1234.5
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

_NAMES = {",": "commas", ".": "points", " ": "blanks", "'": "apostrophes"}

FRAMED = (
    r"^(?P<open>\(?)(?P<sign>[+-]?)\s*(?P<before>[A-Z]{0,3}\p{Sc})?\s*(?P<minus>-?)"
    r"(?P<digits>\d[\d.,' ]*|[.,]\d+)"
    r"\s*(?P<after>[%‰]|\p{Sc}|°?\p{L}{1,12}[²³]?(?:/\p{L}{1,6}[²³]?)?)?(?P<close>\)?)$"
)
"""Digits, and what may stand around them."""

_BLANKS = "[\u00a0\u202f\u2009]"


@dataclass(frozen=True)
class Writing:
    """How numbers are written.

    Attributes:
        decimal: what stands before the decimals.
        thousands: what stands between groups of three digits; "" for nothing.
        before, after: what frames the digits: a sign of money, "%", a unit.
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    @property
    def plain(self) -> bool:
        """Whether numbers are written as any program reads them."""
        return self == Writing()

    @property
    def framed(self) -> bool:
        """Whether something stands around the digits."""
        return bool(self.before or self.after)

    def __str__(self) -> str:
        framed = [repr(part) for part in (self.before, self.after) if part]
        parts = [f"with {' and '.join(framed)}"] if framed else []
        if self.thousands:
            parts.append(f"with {_NAMES[self.thousands]} between thousands")
        if self.decimal == ",":
            parts.append("with a comma before the decimals")
        return "is written " + ", ".join(parts)

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The numbers that texts say, null where one says none so written."""
        digits = _digits(texts, self) if self.framed or self.thousands else texts
        if self.thousands:
            digits = _joined(digits, self)
        if self.decimal != ".":
            digits = digits.str.replace(self.decimal, ".", literal=True)
        return digits.cast(pl.Float64, strict=False).fill_nan(None)


PLAIN = Writing()
"""As any program reads numbers."""


def _digits(texts: pl.Series, writing: Writing) -> pl.Series:
    """Sign and digits, without what frames them; parentheses are a minus, as in accounts."""
    parts = texts.str.replace_all(_BLANKS, " ").str.extract_groups(FRAMED).struct.unnest()
    negative = (pl.col("open") == "(") & (pl.col("close") == ")")
    whole = (pl.col("open") == "(") == (pl.col("close") == ")")
    known = pl.col("before").fill_null("").is_in(["", writing.before])
    known &= pl.col("after").fill_null("").is_in(["", writing.after])
    minus = negative | (pl.col("sign") == "-") | (pl.col("minus") == "-")
    signed = pl.when(minus).then(pl.lit("-")).otherwise(pl.lit("")) + pl.col("digits").str.strip_chars()
    plain = pl.when(known & whole).then(signed)
    return parts.select(plain.alias(texts.name)).to_series()


def _joined(digits: pl.Series, writing: Writing) -> pl.Series:
    """Groups of three digits as one; null where they are no such groups."""
    mark, point = re.escape(writing.thousands), re.escape(writing.decimal)
    grouped = digits.str.contains(rf"^-?[1-9]\d{{0,2}}(?:{mark}\d{{3}})+(?:{point}\d+)?$")
    marked = digits.str.contains(writing.thousands, literal=True)
    joined = digits.str.replace_all(writing.thousands, "", literal=True)
    chosen = pl.when(grouped).then(joined).when(~marked).then(digits)
    return pl.select(chosen.alias(digits.name)).to_series()
