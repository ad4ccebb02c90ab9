"""Slices of a permutation that cover all rows once."""

from __future__ import annotations

from collections.abc import Iterator


def batches(rows: int, size: int) -> Iterator[slice]:
    """Slices that cover all rows once, none shorter than 2: a tail of one row joins the batch before it."""
    size = max(size, 2)
    start = 0
    while start < rows:
        stop = rows if rows - (start + size) < 2 else start + size
        yield slice(start, stop)
        start = stop


def single_rows(rows: int) -> Iterator[slice]:
    """Every row by itself, for single-sample descent; a normalisation then uses its running statistics."""
    return (slice(row, row + 1) for row in range(rows))
