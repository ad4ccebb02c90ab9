"""Where a column of numbers lies and how wide it is, measured in float64.

Whatever the column, (x − centre) / scale is finite in float32 for each of its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT32_MAX = float(np.finfo(np.float32).max)
TINY = float(np.finfo(np.float32).tiny)
"""Below the smallest normal float32 a scale is no scale: its reciprocal may overflow."""

WIDE = 100
"""With more columns than this none may be scaled up far beyond the others."""

FLOOR = 0.1
"""The least scale in a wide table, as a share of the median one. A pixel that is black but in a few pictures
would otherwise have values of a hundred deviations."""

FILLED = 0.9
"""A column fills the span of all columns when its own range is so much of it."""

NORMAL_IQR = 1.349
"""The interquartile range of the normal distribution, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Shape: (columns,) both."""

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


def standard_scales(columns: Iterable[NDArray[np.float64]], *, shared: bool = False) -> Scales:
    """Mean and standard deviation; 1 for a constant column.

    In a wide table a scale is at least `FLOOR` · the median one.

    Args:
        shared: where the columns of a wide table have one unit, as the pixels of a picture have, all have one
            scale: the root of the mean variance.
    """
    measured = np.array([_of_standard(values) for values in columns])
    centre, deviation, low, high = measured.T
    scale, varies = deviation, deviation > 0
    if len(deviation) > WIDE and varies.any():
        positive = deviation[varies]
        scale = np.maximum(deviation, FLOOR * float(np.median(positive)))
        if shared and _have_one_unit(low[varies], high[varies]):
            scale = np.full_like(deviation, np.sqrt((positive**2).mean()))
    return Scales(centre, np.where(scale < TINY, 1.0, scale))


def _of_standard(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    return _centre(values, values.mean()), _deviation(values), values.min(), values.max()


def _have_one_unit(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Whether most columns fill the span of all of them."""
    return bool(np.median(high - low) >= FILLED * (high.max() - low.min()))


def robust_scales(columns: Iterable[NDArray[np.float64]]) -> Scales:
    """Median, and the deviation of the normal distribution with the same interquartile range; where that is
    0, half the range; where that is 0 too, 1."""
    measured = np.array([_median_and_width(values) for values in columns])
    centre, scale = measured.T
    return Scales(centre, scale)


def _deviation(values: NDArray[np.float64]) -> float:
    # Rounding may give a constant column a deviation.
    deviation = float(values.std()) if np.ptp(values) > 0 else 0.0
    return deviation if deviation >= TINY else 0.0


def _median_and_width(values: NDArray[np.float64]) -> tuple[float, float]:
    low, lower, median, upper, high = np.percentile(values, [0, 25, 50, 75, 100])
    widths = ((upper - lower) / NORMAL_IQR, (high - low) / 2, 1.0)
    return _centre(values, median), min(next(width for width in widths if width >= TINY), FLOAT32_MAX)


def _centre(values: NDArray[np.float64], centre: float) -> float:
    """The centre, or 0 for a column so wide that a difference to it would overflow in float32."""
    reach = max(values.max() - centre, centre - values.min())
    return float(centre) if reach <= FLOAT32_MAX else 0.0
