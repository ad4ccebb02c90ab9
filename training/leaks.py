"""Columns that say what another says: the target, which is a leak, or another column.

A column leaks when it predicts the target almost perfectly alone. Half of a sample of the rows is grouped by
the column's values (numbers in 64 groups of equal size), and the groups' commonest class or mean predicts the
other half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.columns import MOST_CODES, Finding
from training.profiles import Profile

SAMPLE = 6000
GROUPS = 64

LEAST_ROWS = 50
"""Fewer rows than this are predicted by chance too often."""

CLASS_ERROR = 0.02
"""The share of the errors of "always the commonest class" that a leaking column may leave."""

LEAST_R2 = 0.99


def duplicates(profiles: Sequence[Profile]) -> dict[str, str]:
    """Columns whose every value is that of a column before them → that column's name."""
    seen: dict[bytes, str] = {}
    found = {}
    for profile in profiles:
        first = seen.setdefault(_digest(profile), profile.name)
        if first != profile.name:
            found[profile.name] = first
    return found


def _digest(profile: Profile) -> bytes:
    series = profile.series
    if series.dtype.is_numeric():
        content = series.cast(pl.Float64).fill_null(float("nan")).to_numpy().tobytes()
        return hashlib.sha256(b"n" + content).digest()
    text = "\0".join(series.cast(pl.String).fill_null("\1").to_list())
    return hashlib.sha256(b"t" + text.encode()).digest()


def one_to_one(profiles: Sequence[Profile]) -> list[Finding]:
    """Pairs of columns of few values of which each says the other; both are kept."""
    seen: dict[bytes, str] = {}
    found = []
    for profile in profiles:
        if profile.missing or not 3 <= profile.distinct <= MOST_CODES or profile.rows < 5 * profile.distinct:
            continue
        first = seen.setdefault(_pattern(profile.series), profile.name)
        if first != profile.name:
            found.append(Finding(profile.name, "one-to-one", f"says the same as {first!r} in other words"))
    return found


def _pattern(series: pl.Series) -> bytes:
    """Which rows are alike: each value counts as the place at which it came first."""
    _, first, places = np.unique(series.rank("dense").to_numpy(), return_index=True, return_inverse=True)
    return hashlib.sha256(first[places].tobytes()).digest()


def leaks(profiles: Sequence[Profile], y: NDArray[Any], classes: int | None) -> list[Finding]:
    """The columns that predict the target almost perfectly.

    Shape: y (rows,), class indices or values.
    """
    if len(y) < LEAST_ROWS:
        return []
    rows = np.random.default_rng(0).permutation(len(y))[:SAMPLE]
    target = y[rows]
    found = []
    for profile in profiles:
        groups = _groups(profile.series[rows])
        series = profile.series[rows]
        text = (
            _class_leak(series, groups, target, classes) if classes else _value_leak(series, groups, target)
        )
        if text:
            found.append(Finding(profile.name, "leak", text))
    return found


def _groups(series: pl.Series) -> NDArray[np.int64]:
    """Each row's group, counted from 0; missing values are a group of their own."""
    if series.dtype.is_numeric() and series.n_unique() > GROUPS:
        values = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, GROUPS + 1)[1:-1]))
        return np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, side="right"))
    return series.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _class_leak(series: pl.Series, groups: NDArray[np.int64], y: NDArray[Any], classes: int) -> str:
    half = len(y) // 2
    counts = np.zeros((groups.max() + 1, classes))
    np.add.at(counts, (groups[:half], y[:half]), 1)
    common = np.bincount(y[:half], minlength=classes).argmax()
    said = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), common)[groups[half:]]
    usual = float((common != y[half:]).mean())
    wrong = float((said != y[half:]).mean())
    if usual < 0.01:
        return ""
    # Groups over a border between classes, and those without a known row, err where the column does not.
    if CLASS_ERROR * usual < wrong < 0.5 * usual and series.dtype.is_numeric() and not series.null_count():
        wrong = min(wrong, float((_of_the_nearest(series.cast(pl.Float64).to_numpy(), y) != y[half:]).mean()))
    if wrong > CLASS_ERROR * usual:
        return ""
    return f"predicts the target alone, {1 - wrong:.2%} of the rows right: does it come after the fact?"


def _of_the_nearest(values: NDArray[np.float64], y: NDArray[Any]) -> NDArray[Any]:
    """For each row of the second half, the class of the row of the first half whose value is nearest."""
    half = len(y) // 2
    order = np.argsort(values[:half], kind="stable")
    known, given = values[:half][order], values[half:]
    above = np.clip(np.searchsorted(known, given), 1, half - 1)
    nearest = np.where(given - known[above - 1] < known[above] - given, above - 1, above)
    return y[:half][order][nearest]


def _value_leak(series: pl.Series, groups: NDArray[np.int64], y: NDArray[Any]) -> str:
    y = y.astype(np.float64)
    explained = max(_r2_of_groups(groups, y), _r2_of_order(series, y))
    if explained < LEAST_R2:
        return ""
    return f"predicts the target alone (R² {explained:.4f}): does it come after the fact?"


def _r2_of_groups(groups: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    half = len(y) // 2
    size = int(groups.max()) + 1
    counts = np.bincount(groups[:half], minlength=size)
    sums = np.bincount(groups[:half], weights=y[:half], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), y[:half].mean())
    spread = float(((y[half:] - y[half:].mean()) ** 2).sum())
    return 1 - float(((y[half:] - means[groups[half:]]) ** 2).sum()) / spread if spread else 0.0


def _r2_of_order(series: pl.Series, y: NDArray[np.float64]) -> float:
    """The squared rank correlation: 1 for any rising function, such as a logarithm."""
    if not series.dtype.is_numeric() or series.null_count():
        return 0.0
    one, other = series.rank().to_numpy(), pl.Series(y).rank().to_numpy()
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1] ** 2)
