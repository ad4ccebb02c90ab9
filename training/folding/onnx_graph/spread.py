"""An affine y = scale·x + shift laid out over the axes of a tensor, so that its channels can be followed.

Every array has the rank of the tensor; an axis has size 1 where nothing varies along it. Which axis carries
the channels is thereby a fact of the layout and is never guessed from a size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.folding.onnx_graph.refused import Refused
from training.folding.precise import Array, Precise
from training.folding.report import Reason

Move = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Spread:
    """The affine, and what is known of the x it acts on: a mean and a deviation, laid out alike."""

    scale: Precise
    shift: Precise
    mean: Array
    deviation: Array

    @classmethod
    def over(cls, axis: int, rank: int, scale: Precise, shift: Precise) -> Spread:
        """An affine whose parameters are vectors, along one axis of a tensor."""
        layout = tuple(-1 if k == axis else 1 for k in range(rank))
        return cls.affine(scale.reshape(layout), shift.reshape(layout))

    @classmethod
    def affine(cls, scale: Precise, shift: Precise) -> Spread:
        """With the statistics that make the result standard: mean −shift / scale, deviation 1 / |scale|."""
        with np.errstate(all="ignore"):
            mean = np.where(scale.hi == 0, 0.0, -shift.hi / scale.hi)
            deviation = np.where(scale.hi == 0, 0.0, 1 / np.abs(scale.hi))
        return cls(scale, shift, np.asarray(mean), np.asarray(deviation))

    @property
    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return self.scale.is_finite and self.shift.is_finite

    def then(self, after: Spread) -> Spread:
        """`after` applied to the result of this one; the statistics stay those of x."""
        return replace(self, scale=after.scale * self.scale, shift=after.scale * self.shift + after.shift)

    def linear(self) -> Spread:
        """Without the shift."""
        return replace(self, shift=Precise.of(np.zeros((1,) * len(self.shift.shape))))

    def centred(self, centre: Precise) -> Spread:
        """What remains once x − centre has been taken."""
        return replace(self, shift=self.shift + self.scale * centre, mean=self.mean - centre.hi)

    def moved(self, move: Move) -> Spread:
        """Laid out over another tensor."""
        return self.moved_with(lambda array, _: move(array))

    def moved_with(self, move: Callable[[NDArray[Any], float], NDArray[Any]]) -> Spread:
        """As `moved`; the second argument is what leaves new elements alone: 1 for scales, 0 for shifts."""
        return Spread(
            Precise(move(self.scale.hi, 1.0), move(self.scale.lo, 0.0)),
            self.shift.map(lambda part: move(part, 0.0)),
            move(self.mean, 0.0),
            move(self.deviation, 1.0),
        )

    def still(self, axes: Iterable[int], where: str) -> Spread:
        """With size 1 along these axes.

        Raises:
            Refused: a parameter varies along one of them.
        """
        at = tuple(axes)
        return Spread(
            still(self.scale, at, where),
            still(self.shift, at, where),
            self.mean.mean(axis=at, keepdims=True) if at else self.mean,
            self.deviation.mean(axis=at, keepdims=True) if at else self.deviation,
        )


def still(array: Precise, axes: Iterable[int], where: str) -> Precise:
    """The array with size 1 along these axes, along which all its values are equal.

    Raises:
        Refused: they are not equal.
    """
    for axis in axes:
        if array.shape[axis] == 1:
            continue
        first = array.map(lambda part, k=axis: np.take(part, [0], axis=k))  # type: ignore[misc]
        if (array.hi != first.hi).any() or (array.lo != first.lo).any():
            raise Refused(Reason.OTHER_AXIS, f"it varies along axis {axis}, which {where}")
        array = first
    return array
