"""Pairs: which two columns of numbers are places on a plane, as latitude and longitude are.

Encoded one by one, two columns tell the first linear layer f(x) + g(y). Where the target has its own value in
each small region of the plane, a sum tells little of it. So for every two columns two forecasts are compared
on rows that neither has seen:

    apart      least squares on the filled bins of both columns: the best f(x) + g(y) there is
    together   the mean target of the nearest rows in the plane of the two columns' ranks

Those are a pair for which the second explains at least `GAIN` of the target's variance more than the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import Task

Matrix = NDArray[np.float64]

GAIN = 0.1
"""Latitude and longitude of houses gained a quarter; of four tables no other pair gained a sixteenth."""

FEWEST_ROWS = 2_000
"""With fewer rows the two forecasts differ by chance, and regions have no rows to learn from."""

MOST_ROWS = 6_000
"""Rows that are looked at; half of them forecast the other half."""

MOST_COLUMNS = 16
"""Columns of which all pairs are tried: those that tell most by themselves."""

DISTINCT = 32
"""A column with fewer values has its own bin for each of them, and few regions."""

NEIGHBOURS = 10
BINS = 16

RIDGE = 1e-3
"""Of the least squares, per row: columns of ranks in ties have bins that nothing fills."""


def pairs(
    numeric: NDArray[np.float32], y: NDArray[Any], task: Task, most: int
) -> tuple[tuple[int, int], ...]:
    """The columns that are places together, each in one pair at most; the clearest first.

    Args:
        numeric: training rows, NaN where a value is missing.
        y: class indices, or values on any scale.
        most: how many pairs there may be.

    Shape: numeric (rows, columns), y (rows,).
    """
    if not most or len(numeric) < FEWEST_ROWS:
        return ()
    rows = np.random.default_rng(0).permutation(len(numeric))[:MOST_ROWS]
    trial = _Trial(numeric[rows], y[rows], task)
    found: list[tuple[int, int]] = []
    for gain, pair in sorted(trial.gains(), reverse=True):
        if gain >= GAIN and len(found) < most and not {*pair} & {column for one in found for column in one}:
            found.append(pair)
    return tuple(found)


class _Trial:
    """Rows that forecast, the first half, and rows that are forecast."""

    def __init__(self, numeric: NDArray[np.float32], y: NDArray[Any], task: Task) -> None:
        self._half = len(numeric) // 2
        target = _indicators(y) if task == "classification" else y.astype(np.float64)[:, None]
        self._known, self._sought = np.split(target - target[: self._half].mean(axis=0), [self._half])
        self._ranks = {
            place: _ranks(column)
            for place, column in enumerate(numeric.T)
            if len(np.unique(column[~np.isnan(column)])) > DISTINCT
        }

    def gains(self) -> Iterator[tuple[float, tuple[int, int]]]:
        """What each two columns tell more together than apart, as a share of the target's variance."""
        alone = {place: self._apart([place]) for place in self._ranks}
        best = sorted(alone, key=lambda place: -alone[place])[:MOST_COLUMNS]
        for pair in combinations(sorted(best), 2):
            yield self._together(pair) - max(self._apart(pair), *(alone[place] for place in pair), 0.0), pair

    def _apart(self, places: Sequence[int]) -> float:
        each = [_filled(self._ranks[place]) for place in places]
        filled = np.hstack([np.ones((len(each[0]), 1)), *each])
        known, sought = filled[: self._half], filled[self._half :]
        square = known.T @ known + RIDGE * self._half * np.eye(known.shape[1])
        return self._explained(sought @ np.linalg.solve(square, known.T @ self._known))

    def _together(self, places: Sequence[int]) -> float:
        # scikit-learn takes a second to import, which only this needs.
        from sklearn.neighbors import KNeighborsRegressor

        plane = np.column_stack([self._ranks[place] for place in places])
        nearest = KNeighborsRegressor(NEIGHBOURS, algorithm="kd_tree")
        nearest.fit(plane[: self._half], self._known)
        return self._explained(nearest.predict(plane[self._half :]))

    def _explained(self, forecast: Matrix) -> float:
        """The share of the variance that a forecast explains; below 0 where it is worse than the mean."""
        total = float((self._sought**2).sum())
        return 1 - float(((self._sought - forecast) ** 2).sum()) / total if total else 0.0


def _indicators(y: NDArray[Any]) -> Matrix:
    of_class: Matrix = (y[:, None] == np.unique(y)).astype(np.float64)
    return of_class


def _ranks(column: NDArray[np.float32]) -> Matrix:
    """From 0 to 1; equal values have one rank, and a missing value the middle one."""
    known = np.where(np.isnan(column), np.nanmedian(column), column)
    _, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    each: Matrix = ((np.cumsum(counts) - counts / 2) / len(column))[place]
    return each


def _filled(ranks: Matrix) -> Matrix:
    """How far each of `BINS` bins of the ranks is filled. Shape: (rows,) → (rows, BINS)."""
    filled: Matrix = (ranks[:, None] * BINS - np.arange(BINS)).clip(0, 1)
    return filled
