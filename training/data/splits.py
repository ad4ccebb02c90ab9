"""The rows of a run, by their purpose, and what their columns mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import Task
from training.errors import DataError
from training.schema import Column, Schema
from training.splitting import Rows
from training.target import Label


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one purpose.

    Attributes:
        weight: of each row, with mean 1 over the training rows; None when all count the same.

    Shape: numeric (rows, numeric columns), raw values with NaN where missing; categorical (rows, categorical
    columns): 0 unknown, 1 missing, 2 + i for categories[i] of its column; y (rows,), class indices in int64
    or values in float32; weight (rows,).
    """

    numeric: NDArray[np.float32]
    categorical: NDArray[np.int64]
    y: NDArray[Any]
    weight: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, which: Rows) -> Split:
        """Some of its rows."""
        weight = None if self.weight is None else self.weight[which]
        return Split(self.numeric[which], self.categorical[which], self.y[which], weight)


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of a run and what its columns mean.

    Attributes:
        columns: the features, in the table's order.
        classes: the labels in the order of the class indices; None for a regression.
        schema: the roles of all columns of the table, and what was found about them.
        notes: what a person should know about the files and the rows.
        image: the width and height of the picture that a row is, when that was said.
    """

    train: Split
    validation: Split
    test: Split
    source: str
    target: str
    columns: tuple[Column, ...]
    task: Task
    classes: tuple[Label, ...] | None
    fingerprint: str
    schema: Schema = field(default_factory=Schema)
    notes: tuple[str, ...] = ()
    image: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        count, numbers = len(self.columns), len(self.numeric_columns)
        if self.image is not None and not math.prod(self.image) == numbers == count:
            size = "x".join(map(str, self.image))
            found = f"{count} features, {numbers} of them numbers,"
            raise DataError(f"{self.source}: {found} are no picture of {size} pixels")
        if len(self.train) < 2:
            raise DataError(
                f"{self.source}: {len(self.train)} training rows; Batch Normalization needs at least 2"
            )

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def numeric_columns(self) -> tuple[Column, ...]:
        """The columns of `Split.numeric`, in its order."""
        return tuple(column for column in self.columns if column.kind == "numeric")

    @property
    def categorical_columns(self) -> tuple[Column, ...]:
        """The columns of `Split.categorical`, in its order."""
        return tuple(column for column in self.columns if column.kind == "categorical")

    @property
    def outputs(self) -> int:
        """The width of the last layer."""
        return len(self.classes) if self.classes else 1
