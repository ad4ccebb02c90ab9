"""What is seen in one column: how its values are stored, how many are missing, how many differ, its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import polars as pl

Stored = Literal["whole numbers", "numbers", "text", "true or false", "dates", "nothing", "other"]

_ID_TOKENS = {"id", "uuid", "guid", "rowid"}
_INDEX_TOKENS = _ID_TOKENS | {"index", "idx", "key", "row", "rownames", "rownumber", "rownum", "number", "no"}
_CODE_TOKENS = {
    "code",
    "type",
    "kind",
    "class",
    "subclass",
    "category",
    "zip",
    "zipcode",
    "postcode",
    "postal",
}
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|\d{8}T\d{6}"
    r"|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4})"
    r"([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?(Z|[+-]\d{2}:?\d{2})?)?"
)


@dataclass(frozen=True, eq=False)
class Profile:
    """One column and the counts that the rules look at."""

    series: pl.Series

    @property
    def name(self) -> str:
        return self.series.name

    @cached_property
    def rows(self) -> int:
        return len(self.series)

    @cached_property
    def missing(self) -> int:
        return self.series.null_count()

    @cached_property
    def known(self) -> pl.Series:
        return self.series.drop_nulls() if self.missing else self.series

    @cached_property
    def distinct(self) -> int:
        """Different values, missing ones not counted."""
        if self.stored == "other":
            return len(self.known)
        return self.known.n_unique()

    @cached_property
    def stored(self) -> Stored:
        """What its values are."""
        dtype = self.series.dtype
        if self.missing == self.rows:
            return "nothing"
        if dtype.is_numeric():
            return "whole numbers" if self.whole else "numbers"
        if dtype == pl.Boolean:
            return "true or false"
        if dtype.is_temporal() and dtype != pl.Duration:
            return "dates"
        if dtype != pl.String:
            return "other"
        return "dates" if self._dated else "text"

    @cached_property
    def whole(self) -> bool:
        """Whether every number is an integer."""
        if self.series.dtype.is_integer():
            return True
        finite = self.known.is_finite()
        return bool(finite.all()) and bool((self.known == self.known.round()).all())

    @cached_property
    def _dated(self) -> bool:
        sample = self.known.unique(maintain_order=True).head(1000).to_list()
        return sum(_DATE.fullmatch(text) is not None for text in sample) >= 0.95 * len(sample)

    @cached_property
    def words(self) -> list[str]:
        """The words its name is made of, in lower case."""
        parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", self.name)
        return [part for part in re.split(r"[^A-Za-z]+", parts.lower()) if part] or [""]

    @property
    def named_id(self) -> bool:
        return self.words[-1] in _ID_TOKENS

    @property
    def named_index(self) -> bool:
        return self.words[-1] in _INDEX_TOKENS or self.words[0] == "unnamed"

    @property
    def named_code(self) -> bool:
        return self.words[-1] in _CODE_TOKENS or self.named_id
