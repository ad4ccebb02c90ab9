"""Numbers far from all others: -999 where there was no measurement, and targets whose tail is long."""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

LEAST_ROWS = 5
"""A mark for missing stands in so many rows at least."""

GAP = 2
"""It lies so many times as far from the others as they from each other."""

TAIL = 10
"""The mean of a long tail is so many times the median."""

_NINES = re.compile(r"-?99+")


class Sentinel(NamedTuple):
    """A number that may mean "missing", and how many rows have it."""

    value: str
    rows: int


def sentinel(known: pl.Series) -> Sentinel | None:
    """The number of nines at an end of a column, such as -999, that lies far from all others.

    Args:
        known: numbers, none missing.
    """
    if known.is_empty() or not known.is_finite().all():
        return None
    for end in _ends(known):
        text = f"{end:.0f}"
        others = known.filter(known != end) if _NINES.fullmatch(text) and float(text) == end else known
        rows = len(known) - len(others)
        if rows >= LEAST_ROWS and not others.is_empty() and _far(end, others):
            return Sentinel(text, rows)
    return None


def _ends(known: pl.Series) -> tuple[float, float]:
    return float(known.min()), float(known.max())  # type: ignore[arg-type]


def _far(end: float, others: pl.Series) -> bool:
    low, high = _ends(others)
    return max(low - end, end - high) > GAP * (high - low) and high > low


def long_tail(known: pl.Series) -> bool:
    """Whether positive numbers have a mean far above their median."""
    median = float(known.median() or 0)  # type: ignore[arg-type]
    return _ends(known)[0] > 0 and float(known.mean()) > TAIL * median  # type: ignore[arg-type]
