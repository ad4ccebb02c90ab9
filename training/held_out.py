"""HeldOut: the rows a certificate is computed on, as the unfolded model takes them and as its file does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.codebook import Codebook
from training.data import Split, Splits
from training.features import MISSING, UNKNOWN
from training.schema import Column

ROWS = 4096
"""With fewer held-out rows than this, points between them are added: means over a few rows are noise."""

MOST_ROWS = 16384

STRANGE = 256
"""Rows that are added with values missing and categories unknown, where the model takes such rows."""

Value = float | str | None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows, the first `genuine` of them from the data set.

    Attributes:
        columns: the features in the table's order.

    Shape: numeric (rows, numeric columns) with NaN where missing; codes (rows, categorical columns).
    """

    columns: tuple[Column, ...]
    numeric: NDArray[np.float32]
    codes: NDArray[np.int64]
    genuine: int

    @classmethod
    def of(cls, splits: Splits, seed: int) -> HeldOut:
        """Rows that training never saw; a table too small to hold any out is certified on its own rows."""
        split = next(s for s in (splits.test, splits.validation, splits.train) if len(s))
        return cls.of_rows(split, splits.columns, seed)

    @classmethod
    def of_rows(cls, split: Split, columns: tuple[Column, ...], seed: int) -> HeldOut:
        """The rows given; with points between pairs of them when they are few, and with strange ones."""
        generator = np.random.default_rng(seed)
        genuine = split.rows(np.arange(min(len(split), MOST_ROWS)))
        numeric, codes = _between(genuine, max(ROWS - len(genuine), 0), generator)
        strange = _strange(columns, numeric[:STRANGE], codes[:STRANGE], generator)
        numeric, codes = np.concatenate([numeric, strange[0]]), np.concatenate([codes, strange[1]])
        return cls(columns, numeric, codes, len(genuine))

    def __len__(self) -> int:
        return len(self.numeric)

    @cached_property
    def codebook(self) -> Codebook:
        """Of its columns of categories."""
        return Codebook(tuple(column for column in self.columns if column.kind == "categorical"))

    def tensors(self) -> tuple[Tensor, ...]:
        """What the unfolded model takes."""
        return tuple(torch.from_numpy(array) for array in self._arrays(self.codebook.places(self.codes)))

    def arrays(self, *, texts: bool) -> tuple[NDArray[Any], ...]:
        """What a file takes: categories as texts, or as places."""
        return self._arrays((self.codebook.texts if texts else self.codebook.places)(self.codes))

    def records(self, count: int) -> list[list[Value]]:
        """The first rows as lists of values, None where one is missing, in the order of the columns."""
        texts = self.codebook.texts(self.codes[:count])
        given = iter(self.numeric[:count].T), iter(texts.T)
        values = [next(given[column.kind == "categorical"]) for column in self.columns]
        return [[_value(cell) for cell in row] for row in zip(*values, strict=True)]

    def _arrays(self, categorical: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return tuple(array for array in (self.numeric, categorical) if array.shape[1])


def _between(
    rows: Split, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All rows, and points between pairs of them: numbers between, categories of the first of the pair."""
    first, second = generator.integers(0, len(rows), (2, count))
    share = generator.random((count, 1), dtype=np.float32)
    between = rows.numeric[first] * share + rows.numeric[second] * (1 - share)
    numeric = np.concatenate([rows.numeric, between.astype(np.float32)])
    return numeric, np.concatenate([rows.categorical, rows.categorical[first]])


def _strange(
    columns: Sequence[Column],
    numeric: NDArray[np.float32],
    codes: NDArray[np.int64],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows with a third of the cells missing or unknown, where they may be; none where none may."""
    free = np.array([column.missing for column in columns if column.kind == "numeric"], bool)
    if not free.any() and not codes.shape[1]:
        return numeric[:0], codes[:0]
    gaps = (generator.random(numeric.shape) < 1 / 3) & free
    other = generator.choice([UNKNOWN, MISSING], codes.shape)
    changed = np.where(generator.random(codes.shape) < 1 / 3, other, codes)
    return np.where(gaps, np.float32(np.nan), numeric), changed


def _value(cell: Any) -> Value:
    if isinstance(cell, str):
        return cell or None
    return None if np.isnan(cell) else float(cell)
