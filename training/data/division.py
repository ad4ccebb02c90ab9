"""One table → rows to train, validate and test; categories and gaps are those of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.columns import Finding
from training.config import DataConfig
from training.data.splits import Split, Splits
from training.errors import DataError
from training.features import categories, matrices
from training.schema import Column, Role, Schema, infer_schema
from training.splitting import Rows, three_ways
from training.tables import Table
from training.target import Target


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
    return Column(role.name, "numeric", (), missing, marks, tables[0].remark(role.name).writing)


def _scaled(given: Labelled, train: Rows) -> NDArray[np.float32] | None:
    """Sample weights with mean 1 over the training rows, so that the loss keeps its size."""
    if given.weight is None:
        return None
    mean = given.weight[train].mean(dtype=np.float64)
    if not mean:
        raise DataError(f"{given.table.source}: every training row weighs 0")
    scaled: NDArray[np.float32] = (given.weight / mean).astype(np.float32)
    return scaled
