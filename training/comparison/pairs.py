"""Means over seeds and differences of pairs of runs, with Student's intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean, and where the true one lies with the chance `CONFIDENCE`.

    Attributes:
        deviation: of the values, with n − 1; it and the interval are NaN for a single value.
    """

    mean: float
    deviation: float
    low: float
    high: float
    n: int

    @property
    def tells(self) -> bool:
        """Whether the interval of a difference leaves 0 out."""
        return self.low > 0 or self.high < 0


def estimate(values: Sequence[float]) -> Estimate | None:
    """mean ± t·s/√n with Student's t of n − 1 degrees of freedom; None of nothing.

    Values are taken for independent and normal; that equal values, without any scatter, make the interval a
    point says how little a few runs know, not how sure they are.
    """
    numbers = np.asarray(values, np.float64)
    if not len(numbers):
        return None
    n, mean = len(numbers), float(numbers.mean())
    if n == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    deviation = float(numbers.std(ddof=1))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Estimate(mean, deviation, mean - reach, mean + reach, n)


def paired(one: Sequence[float], other: Sequence[float]) -> Estimate | None:
    """Of one − other, seed by seed; pairs in which a number is missing (NaN) are left out."""
    pairs = zip(one, other, strict=True)
    return estimate([a - b for a, b in pairs if math.isfinite(a) and math.isfinite(b)])


def ratio(one: Sequence[float], other: Sequence[float]) -> Estimate | None:
    """Of one / other: the geometric mean, and an interval by logarithms. Numbers are positive."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if math.isfinite(a) and math.isfinite(b)]
    logs = estimate([math.log(a / b) for a, b in pairs])
    if logs is None:
        return None
    mean, low, high = (math.exp(value) for value in (logs.mean, logs.low, logs.high))
    return Estimate(mean, logs.deviation, low, high, logs.n)
