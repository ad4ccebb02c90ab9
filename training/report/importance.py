"""How much worse a model answers when the values of one column are shuffled among the rows.

Breiman 2001, "Random Forests", section 10: what a column tells is lost, its distribution stays. The model may
use another column that says the same, and then neither seems to matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.codebook import Codebook
from training.data import Split, Splits
from training.predictor import Predictor
from training.report.answers import answers_for

MOST_ROWS = 2000
FEWEST_ROWS = 200
REPEATS = 5

BUDGET = 200_000
"""Rows that are answered in all: rows × columns × repeats. It counts no seconds, for a page shows the same on
every machine."""

Score = Callable[[NDArray[np.float32], NDArray[np.int64]], float]


@dataclass(frozen=True)
class Column:
    """What shuffling one column costs.

    Attributes:
        rise: of the error, the mean over the repeats.
        spread: its standard deviation over the repeats; NaN with one repeat.
    """

    name: str
    rise: float
    spread: float


@dataclass(frozen=True)
class Importance:
    """The columns, the one that matters most first.

    Attributes:
        measure: the error that rises, in words.
        error: without shuffling, on these rows.
        left_out: how many columns were not tried, as the budget was spent.
    """

    columns: tuple[Column, ...]
    measure: str
    error: float
    rows: int
    repeats: int
    left_out: int = 0


@dataclass(frozen=True)
class Share:
    """How much of a table is tried."""

    rows: int
    columns: int
    repeats: int

    @classmethod
    def of(cls, rows: int, columns: int) -> Share:
        """Within the budget repeats are given up first, then rows down to the fewest, then columns."""
        columns = max(columns, 1)
        taken = min(rows, MOST_ROWS, max(FEWEST_ROWS, BUDGET // columns))
        answered = max(taken, 1)
        tried = min(columns, max(1, BUDGET // answered))
        return cls(taken, tried, min(REPEATS, max(1, BUDGET // (answered * tried))))


def importance(
    predictor: Predictor, codebook: Codebook, splits: Splits, split: Split, *, logarithm: bool
) -> Importance:
    """Of every column, on rows of one split; of a very wide table of some columns, drawn by chance.

    Args:
        logarithm: the error is that of logarithms.
    """
    draws = np.random.default_rng(0)
    share = Share.of(len(split), len(splits.columns))
    rows = split.rows(draws.permutation(len(split))[: share.rows])

    def error(numeric: NDArray[np.float32], codes: NDArray[np.int64]) -> float:
        outputs = answers_for(predictor, codebook, numeric, codes)
        return _error(outputs, rows, logarithm=logarithm)

    base = error(rows.numeric, rows.categorical)
    rises = _rises(error, rows, splits, draws, share)
    columns = [_column(name, np.array(errors) - base) for name, errors in rises.items()]
    columns.sort(key=lambda column: -column.rise)
    measure = _measure(splits, logarithm=logarithm)
    return Importance(
        tuple(columns), measure, base, len(rows), share.repeats, len(splits.columns) - len(columns)
    )


def _rises(
    error: Score, rows: Split, splits: Splits, draws: np.random.Generator, share: Share
) -> dict[str, list[float]]:
    """The errors with each column shuffled."""
    places = _places(splits)
    found: dict[str, list[float]] = {}
    for number in draws.permutation(len(places))[: share.columns]:
        name, kind, place = places[number]
        orders = [draws.permutation(len(rows)) for _ in range(share.repeats)]
        found[name] = [error(*_shuffled(rows, kind, place, order)) for order in orders]
    return found


def _places(splits: Splits) -> list[tuple[str, str, int]]:
    """Name, kind and place of each column among those of its kind."""
    numeric = [(column.name, "numeric", place) for place, column in enumerate(splits.numeric_columns)]
    texts = [(column.name, "categorical", place) for place, column in enumerate(splits.categorical_columns)]
    return numeric + texts


def _shuffled(
    rows: Split, kind: str, place: int, order: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    numeric, codes = rows.numeric, rows.categorical
    if kind == "numeric":
        numeric = numeric.copy()
        numeric[:, place] = numeric[order, place]
    else:
        codes = codes.copy()
        codes[:, place] = codes[order, place]
    return numeric, codes


def _column(name: str, rises: NDArray[np.float64]) -> Column:
    spread = float(rises.std(ddof=1)) if len(rises) > 1 else float("nan")
    return Column(name, float(rises.mean()), spread)


def _measure(splits: Splits, *, logarithm: bool) -> str:
    if splits.task == "classification":
        return "log loss"
    return "root mean square error of the logarithm" if logarithm else "root mean square error"


def _error(outputs: NDArray[np.float32], rows: Split, *, logarithm: bool) -> float:
    """The log loss, or the root mean square error."""
    wide, y = outputs.astype(np.float64), rows.y
    if y.dtype == np.int64:
        own = wide[np.arange(len(y)), y]
        return -float(np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())
    values, y = wide[:, 0], y.astype(np.float64)
    errors = np.log(values) - np.log(y) if logarithm else values - y
    return float(np.sqrt((errors**2).mean()))
