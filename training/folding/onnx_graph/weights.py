"""A constant of the graph as it will be: the stored tensor and exact steps, then one rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from training.folding.onnx_graph.refused import Refused
from training.folding.precise import Precise
from training.folding.report import Reason

BLOCK = 1 << 16
"""Elements worked on at once: the dozen float64 temporaries then stay in the cache."""

FLOATS: dict[ir.DataType, np.dtype[Any]] = {
    ir.DataType.FLOAT: np.dtype(np.float32),
    ir.DataType.DOUBLE: np.dtype(np.float64),
    ir.DataType.FLOAT16: np.dtype(np.float16),
    ir.DataType.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}

Slices = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """x → scale·x + shift on the tensor looked at in the shape `view`; the arrays broadcast against it."""

    view: tuple[int, ...]
    scale: Precise
    shift: Precise | None = None


@dataclass(frozen=True, eq=False)
class Weights:
    """A floating constant: what is stored, and the steps still to be applied to it.

    Attributes:
        read: gives the stored elements; called when they are needed, so that nothing large is kept.
        name: a name for what replaces it.
        beside: the largest magnitude of what it is added to; subnormals far below that do not matter.
    """

    read: Callable[[], NDArray[Any] | Precise]
    shape: tuple[int, ...]
    dtype: ir.DataType
    name: str
    steps: tuple[Step, ...] = ()
    beside: float = 0.0

    @classmethod
    def of(cls, values: Precise, dtype: ir.DataType, name: str, beside: float = 0.0) -> Weights:
        """A constant whose exact values are known."""
        return cls(lambda: values, values.shape, dtype, name, beside=beside)

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    def then(self, step: Step) -> Weights:
        """With one more step; two scalings of the same axes become one."""
        last = self.steps[-1] if self.steps else None
        if (
            last is not None
            and last.shift is None
            and step.shift is None
            and last.view == step.view
            and last.scale.shape == step.scale.shape
        ):
            return replace(self, steps=(*self.steps[:-1], Step(step.view, last.scale * step.scale)))
        return replace(self, steps=(*self.steps, step))

    def exact(self) -> Precise:
        """All values in full precision; meant for what is small."""
        values = _precise(self.read())
        for step in self.steps:
            values = _apply(step, values.reshape(step.view), _everything(step.view))
        return values.reshape(self.shape)

    def part(self, view: tuple[int, ...], place: Slices) -> Precise:
        """The exact values at one place of the shape `view`."""
        if any(step.view != view for step in self.steps):
            return self.exact().reshape(view).at(place)
        return self._stepped(self.read().reshape(view), place)

    def _stepped(self, stored: NDArray[Any] | Precise, place: Slices) -> Precise:
        values = stored.at(place) if isinstance(stored, Precise) else Precise.of(stored[place])
        for step in self.steps:
            values = _apply(step, values, place)
        return values

    def blocks(self, view: tuple[int, ...]) -> Iterator[tuple[Slices, Precise]]:
        """The exact values in the shape `view`, a block at a time, each with its place."""
        if any(step.view != view for step in self.steps):
            whole = self.exact().reshape(view)
            for place in _places(view):
                yield place, whole.at(place)
            return
        stored = self.read().reshape(view)
        for place in _places(view):
            yield place, self._stepped(stored, place)

    def rounded(self) -> NDArray[Any]:
        """The stored tensor: each value the nearest, subnormals flushed where they do not matter."""
        dtype = FLOATS[self.dtype]
        view = self.steps[-1].view if self.steps else self.shape
        result = np.empty(view, dtype)
        for place, block in self.blocks(view):
            result[place] = block.rounded(dtype)
        result = result.reshape(self.shape)
        return _flushed(result, self.beside)

    def check_range(self) -> float:
        """The largest magnitude; refuses what the dtype cannot hold.

        Raises:
            Refused: a value is not finite, overflows the dtype, or all vanish below its normal range.
        """
        largest = self._largest()
        info: Any = _finfo(FLOATS[self.dtype])
        # Not finite before it was scaled: there is no sound fold of such a layer.
        if not math.isfinite(largest):
            raise Refused(Reason.NON_FINITE, f"{self.name} would hold a value that is not finite")
        if largest > float(info.max):
            raise Refused(Reason.OUT_OF_RANGE, f"{self.name} would reach {largest:.3g} in {self.dtype.name}")
        if self.steps and 0 < largest < 2 * float(info.smallest_normal) and not self._was_tiny(info):
            raise Refused(
                Reason.OUT_OF_RANGE, f"{self.name} would shrink to {largest:.3g} in {self.dtype.name}"
            )
        return largest

    def _largest(self) -> float:
        view = self.steps[-1].view if self.steps else self.shape
        found = 0.0
        for _, block in self.blocks(view):
            largest = block.largest
            if not math.isfinite(largest):
                return math.inf
            found = max(found, largest)
        return found

    def _was_tiny(self, info: Any) -> bool:
        return replace(self, steps=())._largest() < 2 * float(info.smallest_normal)


def _finfo(dtype: np.dtype[Any]) -> Any:
    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def largest_of(dtype: ir.DataType) -> float:
    """The largest number of a floating type."""
    return float(_finfo(FLOATS[dtype]).max)


def _apply(step: Step, values: Precise, place: Slices) -> Precise:
    scaled = values * cut(step.scale, place)
    return scaled if step.shift is None else scaled + cut(step.shift, place)


def cut(array: Precise, place: Slices) -> Precise:
    """The part of a broadcast array that meets a block."""
    at = tuple(slice(None) if size == 1 else where for size, where in zip(array.shape, place, strict=True))
    return array.at(at)


def _places(view: tuple[int, ...]) -> Iterator[Slices]:
    """Cut a shape into blocks: whole trailing axes, a range of one axis, single indices of those before."""
    axis = next((k for k in range(len(view)) if math.prod(view[k + 1 :]) <= BLOCK), None)
    if axis is None:
        yield ()
        return
    step = max(1, BLOCK // max(1, math.prod(view[axis + 1 :])))
    rest = (slice(None),) * (len(view) - axis - 1)
    for index in np.ndindex(*view[:axis]):
        for start in range(0, view[axis], step):
            yield (*(slice(i, i + 1) for i in index), slice(start, start + step), *rest)


def _everything(view: tuple[int, ...]) -> Slices:
    return (slice(None),) * len(view)


def _precise(values: NDArray[Any] | Precise) -> Precise:
    return values if isinstance(values, Precise) else Precise.of(values)


def _flushed(values: NDArray[Any], beside: float) -> NDArray[Any]:
    """Subnormals slow CPUs several-fold (fasterai PR 82); zero them where larger neighbours drown them.

    float16 keeps them: there they are ordinary small numbers, and no CPU computes in float16 alone.
    """
    info = _finfo(values.dtype)
    tiny = float(info.smallest_normal)
    if values.dtype == np.float16 or not values.size:
        return values
    magnitude = np.abs(values)
    if max(beside, float(magnitude.max())) >= tiny / float(info.eps):
        values[magnitude < tiny] = 0
    return values
