"""A table in, typed splits out; every statistic comes from the training rows only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.columns import Finding
from training.config import DataConfig, Task
from training.errors import DataError
from training.features import categories, matrices, sample_weights
from training.schema import Column, Role, Schema, infer_schema
from training.splitting import Rows, three_ways
from training.tables import EMBEDDED, Reading, Table, embedded_table, read_table
from training.tables.table import MARKS, Kind, difference
from training.target import Label, Target, with_clean_labels, with_known_targets


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


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and standard deviation, of each column or of the target; a constant column has deviation 1."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Moments:
        """Over the rows, in float64.

        Shape: (rows, ...) → (...).
        """
        mean = values.mean(axis=0, dtype=np.float64)
        deviation = values.std(axis=0, dtype=np.float64)
        constant = values.max(axis=0) == values.min(axis=0)
        # Below the smallest normal float32 the division would be by zero once stored.
        constant |= deviation < np.finfo(np.float32).tiny
        return cls(mean, np.where(constant, 1.0, deviation))

    def in_powers_of_two(self) -> Moments:
        """With each deviation rounded to a power of two: multiplying weights by it is exact in any float."""
        return Moments(self.mean, np.exp2(np.round(np.log2(self.deviation))))


def load(config: DataConfig, seed: int) -> Splits:
    """Read the table, infer its schema and split it.

    Raises:
        DataError: the table cannot be used; the message says where and why.
    """
    table, name = _source(config)
    table, dropped = with_known_targets(table, name, drop=config.drop_missing_target)
    table, cleaned = with_clean_labels(table, name)
    target = Target.of(table, name, config.task)
    y = target.encode(table)
    classes = len(target.classes) if target.classes else None
    schema = infer_schema(table, name, config, y, classes)
    test, test_notes = _test_table(config, table, target, schema)
    share = 0.0 if test else (config.validation if config.test_share is None else config.test_share)
    split_seed = seed if config.split_seed is None else config.split_seed
    rows = three_ways(y, classes, config.validation, share, split_seed)
    weight = sample_weights(table, config.weight) if config.weight is not None else None
    notes = tuple(dict.fromkeys(note for note in (*table.notes, dropped, cleaned, *test_notes) if note))
    splits = divided(Labelled(table, target, y, weight), schema, rows, test)
    return replace(splits, notes=notes, image=config.image)


@dataclass(frozen=True, eq=False)
class Labelled:
    """A table whose every row has its target.

    Shape: y (rows,), class indices or values; weight (rows,) or None.
    """

    table: Table
    target: Target
    y: NDArray[Any]
    weight: NDArray[np.float32] | None = None


def split_frame(given: Labelled, config: DataConfig, seed: int) -> Splits:
    """The splits of rows that are in memory: nothing is read, and none are held out for a test.

    Raises:
        DataError: the table cannot be used; the message says where and why.
    """
    classes = len(given.target.classes) if given.target.classes else None
    schema = infer_schema(given.table, given.target.name, config, given.y, classes)
    return divided(given, schema, three_ways(given.y, classes, config.validation, 0.0, seed))


def divided(
    given: Labelled, schema: Schema, rows: tuple[Rows, Rows, Rows], test: Table | None = None
) -> Splits:
    """The rows of each purpose, as numbers and codes.

    Args:
        test: a table of test rows, which then replace the third group.

    Raises:
        DataError: a value does not fit the role of its column, or all training rows weigh 0.
    """
    table, target = given.table, given.target
    schema = _known_in(table, schema, rows[0])
    columns = _columns(schema, table, rows[0], test)
    whole = Split(*matrices(table, columns), given.y, _scaled(given, rows[0]))
    train, validation, held_out = (whole.rows(which) for which in rows)
    return Splits(
        train,
        validation,
        held_out if test is None else Split(*matrices(test, columns), target.encode(test)),
        table.source,
        target.name,
        columns,
        target.task,
        target.classes,
        table.fingerprint(),
        schema,
    )


def _source(config: DataConfig) -> tuple[Table, str]:
    """The table and the name of its target."""
    if isinstance(config.source, str):
        return embedded_table(config.source), EMBEDDED[config.source]
    files = _files(config.source)
    if config.target is None:
        raise DataError(f"{files[0]}: name the column to predict with --target")
    kinds: dict[str, Kind] = dict.fromkeys(config.numeric, "numeric")
    kinds |= dict.fromkeys(config.categorical, "categorical")
    table = read_table(files, config.target, _reading(config, kinds))
    if config.weight is not None:
        table.column(config.weight)
    named = files[0].name + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    return replace(table, source=named), config.target


def _files(paths: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return (paths,) if isinstance(paths, Path) else paths


def _reading(config: DataConfig, kinds: dict[str, Kind], table: Table | None = None) -> Reading:
    words = {name: remark.words for name, remark in table.remarks.items() if remark.words} if table else {}
    return Reading(
        config.delimiter,
        config.header,
        config.columns,
        config.skip_lines,
        MARKS if config.missing is None else config.missing,
        kinds,
        words,
    )


def _test_table(
    config: DataConfig, table: Table, target: Target, schema: Schema
) -> tuple[Table | None, tuple[str, ...]]:
    """The test files, read as the training files were."""
    if config.test is None:
        return None, ()
    kinds: dict[str, Kind] = {
        role.name: "categorical" if role.kind == "categorical" else "numeric" for role in schema.features
    }
    test = read_table(_files(config.test), target.name, _reading(config, kinds, table))
    free = [role.name for role in schema.roles if role.kind in ("dropped", "weight")]
    differs = difference(
        [name for name in table.names if name not in free], [name for name in test.names if name not in free]
    )
    if differs:
        raise DataError(f"{test.source}: columns differ from {table.source}: {differs}")
    test, dropped = with_known_targets(test, target.name, drop=config.drop_missing_target)
    test, cleaned = with_clean_labels(test, target.name, target.classes or ())
    return test, (*test.notes, dropped, cleaned)


def _known_in(table: Table, schema: Schema, train: Rows) -> Schema:
    """The schema without columns that no training row has a value for: chance may take them all."""
    empty = [
        role.name for role in schema.features if table.frame[role.name][train].null_count() == len(train)
    ]
    if len(empty) == len(schema.features):
        raise DataError(f"{table.source}: no training row has a value in any of its features")
    roles = [
        replace(role, kind="dropped", why="empty") if role.name in empty else role for role in schema.roles
    ]
    findings = [Finding(name, "empty", "has no value in any training row") for name in empty]
    return Schema(tuple(roles), (*schema.findings, *findings))


def _columns(schema: Schema, table: Table, train: Rows, test: Table | None) -> tuple[Column, ...]:
    tables = [table] if test is None else [table, test]
    return tuple(_column(role, tables, train) for role in schema.features)


def _column(role: Role, tables: Sequence[Table], train: Rows) -> Column:
    marks = tuple(dict.fromkeys(mark for table in tables for mark in table.remark(role.name).marks))
    if role.kind == "categorical":
        return Column(role.name, "categorical", categories(tables[0].frame[role.name], train), True, marks)
    missing = any(table.frame[role.name].null_count() > 0 for table in tables)
    return Column(role.name, "numeric", (), missing, marks)


def _scaled(given: Labelled, train: Rows) -> NDArray[np.float32] | None:
    """Sample weights with mean 1 over the training rows, so that the loss keeps its size."""
    if given.weight is None:
        return None
    mean = given.weight[train].mean(dtype=np.float64)
    if not mean:
        raise DataError(f"{given.table.source}: every training row weighs 0")
    scaled: NDArray[np.float32] = (given.weight / mean).astype(np.float32)
    return scaled
