"""The target of a table → class indices or values, and the labels in the order of the indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.config import Task
from training.doubts import doubt
from training.errors import DataError
from training.tables import Table, counted, listing, refuse

MOST_INTEGER_CLASSES = 20
"""Integer targets with more distinct values than this are numbers, unless --task says otherwise."""

FEW_INTEGER_CLASSES = 5
LEAST_ROWS_PER_CLASS = 10
"""More distinct integers than these few are numbers, too, with fewer rows each."""

FEW_ROWS = 20
"""With fewer rows than this, many classes are no reason to stop."""

Label = str | int


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        classes: the labels in the order of the class indices; None for a regression.
        doubt: what its values leave open, in words.
    """

    name: str
    task: Task
    classes: tuple[Label, ...] | None

    doubt: str = ""

    @classmethod
    def of(cls, table: Table, name: str, task: Task | None) -> Target:
        """The task, as given or as the target's values suggest, and its classes.

        Raises:
            DataError: the values do not fit the task.
        """
        column = _whole(table.column(name))
        if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
            raise DataError(
                f"{table.source}: target {name!r} holds {column.dtype}; expected numbers or classes as text"
            )
        chosen = task or _guess(column)
        said = doubt(column, chosen, asked=task is not None, most=MOST_INTEGER_CLASSES)
        return cls(name, chosen, _classes(table, column) if chosen == "classification" else None, said)

    def encode(self, table: Table) -> NDArray[Any]:
        """Class indices in int64, or values in float32.

        Raises:
            DataError: a label that training lacks, or a value that is no finite number.
        """
        column = table.column(self.name)
        if self.classes is None:
            return self._values(table, column)
        texts = pl.Series([str(label) for label in self.classes])
        column = _whole(column).cast(pl.String)
        unknown = column.filter(~column.is_in(texts.to_list())).unique().sort()
        if len(unknown):
            raise DataError(
                f"{table.source}: target {self.name!r} has labels that training lacks: "
                f"{unknown.to_list()[:8]}; it knows {listing(self.classes)}"
            )
        codes = column.replace_strict(texts, pl.Series(range(len(texts))), return_dtype=pl.Int64)
        return codes.to_numpy()

    def _values(self, table: Table, column: pl.Series) -> NDArray[np.float32]:
        if not column.dtype.is_numeric():
            raise DataError(f"{table.source}: target {self.name!r} is text; a regression needs numbers")
        values = column.cast(pl.Float64).to_numpy()
        faulty = pl.Series(~(np.abs(values) <= np.finfo(np.float32).max))
        refuse(table.source, column, faulty, "not a finite target", "a target in every row")
        return values.astype(np.float32)


def with_known_targets(table: Table, name: str, *, drop: bool) -> tuple[Table, str]:
    """The rows that have a target, and how many had none, in words.

    Raises:
        DataError: some have none and they are not to be dropped, or all have none.
    """
    column = table.column(name)
    lacking = column.is_null()
    if not lacking.any():
        return table, ""
    if lacking.all():
        raise DataError(f"{table.source}: every target is missing in column {name!r}")
    if not drop:
        wanted = "a target in every row; --drop-missing-target leaves such rows out"
        refuse(table.source, column, lacking, f"a missing target{_marks(table, name)}", wanted)
    kept = table.frame.filter(~lacking)
    note = f"{table.source}: {counted(int(lacking.sum()), 'row')} without a target left out"
    return Table(table.source, kept, table.remarks, table.notes, table.fixed), note


def with_clean_labels(table: Table, name: str, known: Sequence[Label] | None = None) -> tuple[Table, str]:
    """Labels that others have without the dot at their end, or with it, as those; and a word on it.

    Args:
        known: the labels of the training rows; without them those of the table itself, of which the ones
            without a dot count.
    """
    column = table.column(name)
    if column.dtype != pl.String:
        return table, ""
    labels = column.unique().sort().to_list()
    there = set(map(str, known)) if known is not None else {x for x in labels if not x.endswith(".")}
    plain = {label.rstrip("."): label for label in sorted(there)}
    changes = {x: plain[x.rstrip(".")] for x in labels if x not in there and x.rstrip(".") in plain}
    if not changes or (known is not None and any(x not in there and x not in changes for x in labels)):
        return table, ""
    count = int(column.is_in(list(changes)).sum())
    frame = table.frame.with_columns(column.replace(changes))
    pairs = ", ".join(f"{old!r} as {new!r}" for old, new in list(changes.items())[:3])
    taken = f"{counted(count, 'label')} taken for others but for a dot at the end: {pairs}"
    note = f"{Path(table.source).name}: {taken}"
    return Table(table.source, frame, table.remarks, table.notes, table.fixed), note


def _marks(table: Table, name: str) -> str:
    marks = table.remark(name).marks
    return f" ({listing(marks)} counts as missing unless --missing names other texts)" if marks else ""


def _whole(column: pl.Series) -> pl.Series:
    """Floats that are all integers, as integers: what pandas makes of integers beside a missing one."""
    if not column.dtype.is_float() or not column.is_finite().all():
        return column
    return column.cast(pl.Int64) if (column == column.round()).all() and _small(column) else column


def _small(column: pl.Series) -> bool:
    return bool((column.abs() < 2**53).all())


def _guess(column: pl.Series) -> Task:
    if column.dtype.is_float():
        return "regression"
    return "regression" if column.dtype.is_integer() and _counts(column) else "classification"


def _counts(column: pl.Series) -> bool:
    """Whether integers are numbers: they are many, or many for their rows."""
    distinct = column.n_unique()
    if distinct <= FEW_INTEGER_CLASSES:
        return distinct > 2 and len(column) < 2 * distinct
    return distinct > MOST_INTEGER_CLASSES or len(column) < LEAST_ROWS_PER_CLASS * distinct


def _classes(table: Table, column: pl.Series) -> tuple[Label, ...]:
    name = column.name
    if column.dtype.is_float():
        raise DataError(f"{table.source}: target {name!r} has fractions; a class is not a fraction")
    if column.dtype == pl.Boolean:
        column = column.cast(pl.String)
    classes: tuple[Label, ...] = tuple(column.unique().sort().to_list())
    if len(classes) < 2:
        raise DataError(f"{table.source}: target {name!r} is {classes[0]!r} in every row; 2 classes needed")
    if len(classes) > len(column) / 2 and len(column) >= FEW_ROWS:
        raise DataError(
            f"{table.source}: target {name!r} has {len(classes):,} classes in {len(column):,} rows; "
            "expected several rows of each, or numbers for a regression"
        )
    return classes
