"""Codebook: texts of categories, and the places of their rows in one table for all columns.

The places of a column follow one another: unknown, missing, then its categories in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features import FIRST, MISSING, UNKNOWN
from training.schema import Column


@dataclass(frozen=True)
class Codebook:
    """The columns of categories of a table, in its order."""

    columns: tuple[Column, ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The places of each column."""
        return tuple(FIRST + len(column.categories) for column in self.columns)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first place of each column. Shape: (columns,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    def places(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Codes of a split → places in the table. Shape: (rows, columns) → the same."""
        return codes + self.starts

    def counts(self, codes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """For each column, how many rows have each of its places."""
        sized = zip(codes.T, self.sizes, strict=True)
        return [np.bincount(column, minlength=size) for column, size in sized]

    def texts(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        """What a record would hold: its text, "" where missing, a text that no row has where unknown.

        Shape: (rows, columns) → the same, of objects.
        """
        found = np.empty(codes.shape, object)
        for place, column in enumerate(self.columns):
            known = np.array([self.stranger, "", *column.categories], object)
            found[:, place] = known[codes[:, place]]
        return found

    @cached_property
    def stranger(self) -> str:
        """A text that is no category of any column and marks nothing."""
        taken = {text for column in self.columns for text in (*column.categories, *column.marks)}
        text = "never seen"
        while text in taken:
            text += "!"
        return text

    def dictionary(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """All texts of all columns, and the place in the table of each of them in each column.

        The first place of the second stands for every text that is not among the first.

        Shape: texts; (columns, 1 + texts).
        """
        texts = tuple(dict.fromkeys(text for column in self.columns for text in _known(column)))
        number = {text: 1 + place for place, text in enumerate(texts)}
        places = np.full((len(self.columns), 1 + len(texts)), UNKNOWN, np.int64)
        for row, column in enumerate(self.columns):
            for text, code in _coded(column):
                places[row, number[text]] = code
        return texts, places + self.starts[:, None]


def _known(column: Column) -> Sequence[str]:
    return ("", *column.marks, *column.categories)


def _coded(column: Column) -> Iterator[tuple[str, int]]:
    """Each text of a column with its code; a category is one, whatever else it might mark."""
    yield from ((text, MISSING) for text in ("", *column.marks))
    yield from ((text, FIRST + place) for place, text in enumerate(column.categories))
