"""What a value is, in words short enough for one line, and which numbers a dtype can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

_LONGEST_SHOWN = 60


@cache
def bounds(dtype: str) -> tuple[float, float]:
    """The open interval of the numbers that the dtype can hold once rounded to it."""
    numpy = np.dtype(dtype)
    if numpy.kind in "iu":
        return int(np.iinfo(numpy).min) - 1, int(np.iinfo(numpy).max) + 1
    if numpy == np.float64:
        return -math.inf, math.inf
    largest = np.finfo(numpy).max
    # Up to half a unit in the last place above the largest number, rounding leads back to it.
    bound = float(largest) + float(largest - np.nextafter(largest, numpy.type(0))) / 2
    return -bound, bound


def kind(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the string {show(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the boolean {show(value)}" if isinstance(value, bool) else f"the number {show(value)}"


def show(value: Any) -> str:
    """A value as JSON, short enough for one line."""
    text = json.dumps(value) if isinstance(value, str | int | float | bool | None) else kind(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def names(names: Iterable[str], most: int = 8) -> str:
    """Some names, the first few of them, for one line."""
    shown = [show(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
