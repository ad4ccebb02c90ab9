"""Which rows train, which validate and which test: by chance from a seed, each class in its share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def three_ways(
    y: NDArray[Any], classes: int | None, validation: float, test: float, seed: int
) -> tuple[Rows, Rows, Rows]:
    """Rows to train on, to validate and to test, in random order.

    Args:
        classes: how many classes y holds; None for a regression, whose rows are not grouped.
        validation, test: shares of all rows.
    """
    generator = np.random.default_rng(seed)
    rest, tested = _hold_out(np.arange(len(y)), y, classes, test, generator)
    train, validated = _hold_out(rest, y, classes, validation / (1 - test), generator)
    return train, validated, tested


def _hold_out(
    rows: Rows, y: NDArray[Any], classes: int | None, share: float, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Rows kept and rows held out, in random order; each class gives its share, but keeps one row."""
    if share == 0:
        return rows, rows[:0]
    groups = [rows] if classes is None else [rows[y[rows] == label] for label in range(classes)]
    kept, held = [], []
    for group in groups:
        shuffled = generator.permutation(group)
        count = min(round(share * len(group)), max(len(group) - 1, 0))
        held.append(shuffled[:count])
        kept.append(shuffled[count:])
    return generator.permutation(np.concatenate(kept)), generator.permutation(np.concatenate(held))
