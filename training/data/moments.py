"""Mean and deviation, by which numbers are standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
