"""A table in, typed splits out; every statistic comes from the training rows only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import DataConfig, Task
from training.errors import DataError
from training.tables import Table, embedded_table, read_table

MOST_INTEGER_CLASSES = 20
"""Integer targets with more distinct values than this are numbers, unless --task says otherwise."""

Label = str | int


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one purpose.

    Shape: X (rows, features) in float32; y (rows,), class indices in int64 or values in float32.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of a run and what its columns mean.

    Attributes:
        classes: the labels in the order of the class indices; None for a regression.
    """

    train: Split
    validation: Split
    test: Split
    source: str
    target: str
    features: tuple[str, ...]
    task: Task
    classes: tuple[Label, ...] | None
    fingerprint: str

    def __post_init__(self) -> None:
        if len(self.train) < 2:
            raise DataError(
                f"{self.source}: {len(self.train)} training rows; Batch Normalization needs at least 2"
            )

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
    """Read the table and split it.

    Raises:
        DataError: the table cannot be used; the message says where and why.
    """
    table = _table(config)
    task = config.task or _guess_task(table)
    classes = _classes(table) if task == "classification" else None
    y = _encode(table, classes)
    generator = np.random.default_rng(seed)
    if config.test is not None:
        test = _test_split(config, table, classes)
        train, validation = _hold_out(np.arange(len(y)), y, classes, config.validation, generator)
    else:
        rest, tested = _hold_out(np.arange(len(y)), y, classes, config.validation, generator)
        share = config.validation / (1 - config.validation)
        train, validation = _hold_out(rest, y, classes, share, generator)
        test = Split(table.X[tested], y[tested])
    return Splits(
        Split(table.X[train], y[train]),
        Split(table.X[validation], y[validation]),
        test,
        source=table.source,
        target=table.target,
        features=table.features,
        task=task,
        classes=classes,
        fingerprint=table.fingerprint(),
    )


def _table(config: DataConfig) -> Table:
    if isinstance(config.source, str):
        return embedded_table(config.source)
    if config.target is None:
        raise DataError(f"{config.source}: name the column to predict with --target")
    return replace(read_table(config.source, config.target), source=config.source.name)


def _guess_task(table: Table) -> Task:
    if table.y.dtype.kind == "f":
        return "regression"
    many = table.y.dtype.kind in "iu" and len(np.unique(table.y)) > MOST_INTEGER_CLASSES
    return "regression" if many else "classification"


def _classes(table: Table) -> tuple[Label, ...]:
    y = table.y
    if y.dtype.kind == "f":
        if (y != np.round(y)).any():
            raise DataError(
                f"{table.source}: target {table.target!r} has fractions; a class is not a fraction"
            )
        y = y.astype(np.int64)
    classes = tuple(np.unique(y).tolist())
    if len(classes) < 2:
        raise DataError(
            f"{table.source}: target {table.target!r} is {classes[0]!r} in every row; 2 classes needed"
        )
    return classes


def _encode(table: Table, classes: tuple[Label, ...] | None) -> NDArray[Any]:
    """Class indices, or values."""
    if classes is None:
        if table.y.dtype.kind not in "iuf":
            raise DataError(f"{table.source}: target {table.target!r} is text; a regression needs numbers")
        return table.y.astype(np.float32)
    index = {label: position for position, label in enumerate(classes)}
    y = table.y.astype(np.int64) if table.y.dtype.kind == "f" else table.y
    unknown = sorted({str(label) for label in y.tolist() if label not in index})
    if unknown:
        raise DataError(
            f"{table.source}: target {table.target!r} has labels that training lacks: {unknown[:8]}"
        )
    return np.array([index[label] for label in y.tolist()], dtype=np.int64)


def _test_split(config: DataConfig, train: Table, classes: tuple[Label, ...] | None) -> Split:
    assert config.test is not None  # noqa: S101 - the caller asked
    table = read_table(config.test, train.target)
    missing = [name for name in train.features if name not in table.features]
    unknown = [name for name in table.features if name not in train.features]
    if missing or unknown:
        raise DataError(
            f"{config.test}: columns differ from {train.source}: missing {missing}, unknown {unknown}"
        )
    order = [table.features.index(name) for name in train.features]
    return Split(table.X[:, order], _encode(table, classes))


def _hold_out(
    rows: NDArray[np.intp],
    y: NDArray[Any],
    classes: tuple[Label, ...] | None,
    share: float,
    generator: np.random.Generator,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows kept and rows held out, in random order; each class gives its share, but keeps one row."""
    groups = [rows] if classes is None else [rows[y[rows] == label] for label in range(len(classes))]
    kept, held = [], []
    for group in groups:
        shuffled = generator.permutation(group)
        count = min(round(share * len(group)), max(len(group) - 1, 0))
        held.append(shuffled[:count])
        kept.append(shuffled[count:])
    return generator.permutation(np.concatenate(kept)), generator.permutation(np.concatenate(held))
