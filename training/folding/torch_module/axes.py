"""Which axis carries the channels: how an array laid over the axes of a tensor follows its reshapes.

An array in *broadcast form* has the rank of the tensor; along each axis it has either one value or one for
each index. Only axes of a size fixed for every input can have more than one. A *move* takes such an array
from one side of an operation to the other, or raises `Blocked`. Sizes are compared only to find which
axes of a view belong together, and there as symbols: a batch of 8 is never taken for 8 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
import torch
from torch.fx import Node

from training.folding.affine import Array
from training.folding.report import Reason
from training.folding.torch_module.refusal import Blocked

Dims = tuple[Any, ...]
"""Sizes of a tensor: int where fixed for every input, a sympy expression where not."""

Move = Callable[[Array, float], Array]
"""(array, what stands for "untouched" where the array does not reach) → the array on the other side."""


def tensor_of(node: Node) -> torch.Tensor:
    """The fake tensor that export recorded for a node."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} is not a tensor")
    return value


def dims(node: Node) -> Dims:
    """The sizes of a node's result."""
    return tuple(d if isinstance(d, int) else d.node.expr for d in tensor_of(node).shape)


def extents(array: Array) -> tuple[int, ...]:
    """The axes along which an array in broadcast form varies."""
    return tuple(axis for axis, size in enumerate(array.shape) if size > 1)


def collapsed(array: Array) -> Array:
    """One value along each axis where all are equal. Sound: such axes have one size for all inputs."""
    for axis in extents(array):
        first = array.take([0], axis=axis)
        if np.array_equal(np.broadcast_to(first, array.shape), array, equal_nan=True):
            array = first
    return array


def aligned(array: Array, rank: int) -> Array:
    """An array that broadcasts from the right, written with all axes."""
    if array.ndim > rank:
        raise Blocked(Reason.OTHER_AXIS, f"a constant of rank {array.ndim} meets a tensor of rank {rank}")
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def unmoved(array: Array, _: float) -> Array:
    """The move of an operation that keeps every element in its place."""
    return array


def permuted(order: Sequence[int]) -> Move:
    """Axis i of the result is axis order[i] of the operand."""
    return lambda array, _: np.transpose(array, order)


def still(axes: Sequence[int], why: str) -> Move:
    """The operation mixes elements along these axes, so nothing may vary along them."""

    def move(array: Array, _: float) -> Array:
        if any(array.shape[axis] > 1 for axis in axes):
            raise Blocked(Reason.OTHER_AXIS, f"{why} along the axis that is normalised")
        return array

    return move


def chained(*moves: Move) -> Move:
    """One move after the other."""

    def move(array: Array, fill: float) -> Array:
        for each in moves:
            array = each(array, fill)
        return array

    return move


def without(axes: Sequence[int]) -> Move:
    """Drops axes along which nothing varies."""
    return lambda array, _: np.squeeze(array, axis=tuple(axes))


def inserted(axes: Sequence[int]) -> Move:
    """Adds axes along which nothing varies; positions are those of the result."""
    return lambda array, _: np.expand_dims(array, axis=tuple(axes))


def regrouped(before: Dims, after: Dims) -> Move:
    """A view: axes are split and merged in row-major order."""
    groups = _groups(before, after)

    def move(array: Array, _: float) -> Array:
        full: list[int] = []
        target: list[int] = []
        for old, new in groups:
            varies = any(array.shape[axis] > 1 for axis in old)
            sizes = [before[axis] for axis in old], [after[axis] for axis in new]
            if varies and not all(isinstance(size, int) for size in (*sizes[0], *sizes[1])):
                raise Blocked(Reason.OTHER_AXIS, "a view mixes the channels with an axis of free size")
            full += sizes[0] if varies else [1] * len(old)
            target += sizes[1] if varies else [1] * len(new)
        return collapsed(np.broadcast_to(array, full).reshape(target))

    return move


def window(axis: int, start: int, size: Any) -> Move:
    """A part of one axis."""

    def move(array: Array, _: float) -> Array:
        if array.shape[axis] == 1:
            return array
        return collapsed(array.take(range(start, start + _fixed(size)), axis=axis))

    return move


def placed(axis: int, start: int, size: Any, total: Any) -> Move:
    """Back into a longer axis, untouched before `start` and from `start + size` on."""

    def move(array: Array, fill: float) -> Array:
        shape = list(array.shape)
        shape[axis] = _fixed(total)
        result = np.full(shape, fill, dtype=array.dtype)
        part = [slice(None)] * array.ndim
        part[axis] = slice(start, start + _fixed(size))
        result[tuple(part)] = array
        return collapsed(result)

    return move


def _fixed(size: Any) -> int:
    if not isinstance(size, int):
        raise Blocked(Reason.OTHER_AXIS, "the channels lie on an axis of free size")
    return size


def _groups(before: Dims, after: Dims) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes on both sides whose sizes have the same product."""
    groups = []
    left, right = list(range(len(before))), list(range(len(after)))
    while left and right:
        old, new = [left.pop(0)], [right.pop(0)]
        while (ratio := _ratio(before, old, after, new)) != 1 and (left or right):
            top, bottom = sympy.fraction(ratio)
            if left and (bottom != 1 or not right):
                old.append(left.pop(0))
            elif right and (top != 1 or not left):
                new.append(right.pop(0))
            else:  # a ratio such as 2/s0: one of the two must grow, and both do in the end
                (old if left else new).append((left or right).pop(0))
        groups.append((old, new))
    if left or right:
        groups = _with_rest(groups, left, right)
    return groups


def _with_rest(
    groups: list[tuple[list[int], list[int]]], left: list[int], right: list[int]
) -> list[tuple[list[int], list[int]]]:
    """Axes of size 1 that were left over at the end."""
    if not groups:
        return [(left, right)]
    old, new = groups[-1]
    return [*groups[:-1], (old + left, new + right)]


def _ratio(before: Dims, old: list[int], after: Dims, new: list[int]) -> Any:
    top = sympy.prod([sympy.sympify(before[axis]) for axis in old])
    bottom = sympy.prod([sympy.sympify(after[axis]) for axis in new])
    if bottom == 0:
        return sympy.Integer(1) if top == 0 else sympy.Integer(0)
    return sympy.cancel(top / bottom)
