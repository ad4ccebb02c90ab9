"""What a target's values leave open: classes or numbers, marks for missing, a long tail."""

from __future__ import annotations

import polars as pl

from training.config import Task
from training.outliers import long_tail, sentinel


def doubt(column: pl.Series, chosen: Task, *, asked: bool, most: int) -> str:
    """A word on a target that may be something else than it was taken for; "" when there is nothing to say.

    Args:
        asked: whether the task was given.
        most: how many different integers may be classes.
    """
    about = ""
    if chosen == "regression" and column.dtype.is_numeric():
        about = _far_values(column)
    if not about and not asked and column.dtype.is_integer():
        about = _other_task(column, chosen, most)
    return f"target {column.name!r} {about}" if about else ""


def _far_values(column: pl.Series) -> str:
    known = column.drop_nulls()
    if known.is_empty() or not known.is_finite().all():
        return ""
    if (found := sentinel(known)) is not None:
        flags = f"--missing={found.value} --drop-missing-target if so"
        return f"is {found.value} in {found.rows:,} rows, far from its other values: missing? ({flags})"
    tail = "has a long tail: its logarithm may be learnt better (--log-target)"
    return tail if long_tail(known) else ""


def _other_task(column: pl.Series, chosen: Task, most: int) -> str:
    distinct = column.n_unique()
    if not 2 < distinct <= most:
        return ""
    if chosen == "classification":
        return (
            f"has {distinct} whole numbers: taken for classes (--task regression if they measure something)"
        )
    advice = "taken for numbers (--task classification if they are classes)"
    return f"has {distinct} whole numbers in {len(column):,} rows: {advice}"
