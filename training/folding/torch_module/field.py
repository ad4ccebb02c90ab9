"""A field: y = scale·x + shift laid over the axes of a tensor, on its way to a linear layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.folding.affine import Affine, Array
from training.folding.report import Reason
from training.folding.torch_module.axes import Move, extents
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.rounding import wide


@dataclass(frozen=True, eq=False)
class Field:
    """y = scale·x + shift, with what is known of x.

    Shape: all four in broadcast form (`axes`) of the rank of the tensor; each varies along the axes it must.
    """

    scale: Array
    shift: Array
    mean: Array
    deviation: Array

    @classmethod
    def of(cls, scale: Array, shift: Array) -> Field:
        """A field nothing is known about: its input is taken for what it would make standard."""
        safe = np.where(scale == 0, wide(1.0), scale)
        return cls(scale, shift, -shift / safe, np.abs(1 / safe))

    @property
    def shape(self) -> tuple[int, ...]:
        """The broadcast form that scale and shift share."""
        return np.broadcast_shapes(self.scale.shape, self.shift.shape)

    @property
    def varies(self) -> tuple[int, ...]:
        """The axes along which the field varies."""
        return tuple(sorted({*extents(self.scale), *extents(self.shift)}))

    @property
    def is_finite(self) -> bool:
        """Whether every scale and shift is a finite number."""
        return bool(np.isfinite(self.scale).all() and np.isfinite(self.shift).all())

    def then(self, after: Field) -> Field:
        """`after` applied to the result of this one; what is known of the input follows from either."""
        shape = np.broadcast_shapes(self.shape, after.shape)
        both = self._flat(shape).then(after._flat(shape))
        return Field(both.scale.reshape(shape), both.shift.reshape(shape), self.mean, self.deviation)

    def beside(self, other: Field) -> Field:
        """Two fields that act on different places of one tensor, together."""
        both = self.then(other)
        return both.knowing(self.mean + other.mean, self.deviation * other.deviation)

    def knowing(self, mean: Array, deviation: Array) -> Field:
        """The same field of an input with this mean and deviation."""
        return Field(self.scale, self.shift, mean, deviation)

    def seen_before(self, earlier: Field) -> tuple[Array, Array]:
        """What this field knows of its input, told of the input of `earlier`, which comes before it."""
        safe = np.where(earlier.scale == 0, wide(1.0), earlier.scale)
        return (self.mean - earlier.shift) / safe, self.deviation / np.abs(safe)

    def moved(self, move: Move) -> Field:
        """The field on the other side of an operation."""
        return Field(
            move(self.scale, 1.0), move(self.shift, 0.0), move(self.mean, 0.0), move(self.deviation, 1.0)
        )

    def without_shift(self) -> Field:
        """Only the scale."""
        return Field(self.scale, wide(np.zeros((1,) * self.shift.ndim)), self.mean, self.deviation)

    def centred(self, centre: Array) -> Field:
        """What remains of the field once x − centre has been taken."""
        shape = np.broadcast_shapes(self.shape, centre.shape)
        rest = self._flat(shape).centred(np.broadcast_to(centre, shape).reshape(-1))
        return Field(self.scale, rest.shift.reshape(shape), self.mean - centre, self.deviation)

    def along(self, axis: int, size: int) -> Affine:
        """The field as one affine per index of an axis.

        Raises:
            Blocked: it varies along another axis.
        """
        wrong = [other for other in self.varies if other != axis]
        if wrong:
            raise Blocked(
                Reason.OTHER_AXIS, f"it acts along axis {wrong[0]}, the linear layer along axis {axis}"
            )
        return self._flat(tuple(size if i == axis else 1 for i in range(self.scale.ndim)))

    def known_along(self, axis: int, size: int) -> tuple[Array, Array]:
        """Mean and deviation of the input for each index of an axis."""
        shape = tuple(size if i == axis else 1 for i in range(self.scale.ndim))
        try:
            mean, deviation = (np.broadcast_to(a, shape).reshape(-1) for a in (self.mean, self.deviation))
        except ValueError:  # statistics that vary where the field does not: take those of an average place
            mean, deviation = np.full(size, self.mean.mean()), np.full(size, self.deviation.mean())
        return mean, deviation

    def _flat(self, shape: tuple[int, ...]) -> Affine:
        scale, shift = (np.broadcast_to(a, shape).reshape(-1) for a in (self.scale, self.shift))
        return Affine(scale, shift)
