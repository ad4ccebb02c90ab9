"""Passages through operations that only rearrange: views, permutations, slices, pixels, channels shuffled."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.fx import Node

from training.folding.affine import Array
from training.folding.torch_module import axes
from training.folding.torch_module.axes import Move
from training.folding.torch_module.operators import argument
from training.folding.torch_module.passage import Crossing, mixed, operand_of


def same(node: Node) -> Crossing:
    return Crossing(operand_of(node))


def cast(node: Node) -> Crossing | None:
    operand = operand_of(node)
    both = axes.tensor_of(operand).dtype, axes.tensor_of(node).dtype
    return Crossing(operand) if all(dtype.is_floating_point for dtype in both) else None


def view(node: Node) -> Crossing:
    operand = operand_of(node)
    before, after = axes.dims(operand), axes.dims(node)
    return Crossing(operand, axes.regrouped(before, after), axes.regrouped(after, before))


def permute(order: list[int], operand: Node) -> Crossing:
    order = [axis % len(order) for axis in order]
    return Crossing(operand, axes.permuted(order), axes.permuted([int(i) for i in np.argsort(order)]))


def _swap(node: Node, first: int, second: int) -> Crossing:
    operand = operand_of(node)
    order = list(range(len(axes.dims(operand))))
    order[first], order[second] = order[second], order[first]
    return permute(order, operand)


def transpose(node: Node) -> Crossing:
    return _swap(node, argument(node, "dim0"), argument(node, "dim1"))


def turned(node: Node) -> Crossing:
    return _swap(node, 0, -1)


def expand(node: Node) -> Crossing:
    operand = operand_of(node)
    before, after = axes.dims(operand), axes.dims(node)
    new = list(range(len(after) - len(before)))
    grown = new + [len(new) + i for i, size in enumerate(before) if size == 1 and after[len(new) + i] != 1]
    backward = axes.chained(axes.still(grown, "elements are repeated"), axes.without(new))
    return Crossing(operand, axes.inserted(new), backward)


def repeat(node: Node) -> Crossing:
    operand = operand_of(node)
    repeats = argument(node, "repeats")
    rank = len(axes.dims(operand))
    new = list(range(len(repeats) - rank))
    moved = [i for i, count in enumerate(repeats[len(new) :]) if count != 1]
    grown = new + [len(new) + i for i in moved]
    return Crossing(
        operand,
        axes.chained(axes.still(moved, "elements are repeated"), axes.inserted(new)),
        axes.chained(axes.still(grown, "elements are repeated"), axes.without(new)),
    )


def narrow(node: Node) -> Crossing:
    operand = operand_of(node)
    before, after = axes.dims(operand), axes.dims(node)
    axis = argument(node, "dim") % len(before)
    if before[axis] == after[axis]:
        return Crossing(operand)
    start, step = argument(node, "start") or 0, argument(node, "step")
    if not isinstance(start, int) or not isinstance(before[axis], int) or step != 1:
        still = axes.still([axis], "elements are left out")
        return Crossing(operand, still, still)
    start = max(start + before[axis], 0) if start < 0 else start
    return _part(operand, axis, start, after[axis], before[axis])


def _part(operand: Node, axis: int, start: int, size: Any, total: Any) -> Crossing:
    place = axes.placed(axis, start, size, total)

    def backward(array: Array, fill: float) -> Array:
        return array if array.shape[axis] == 1 and size != 1 else place(array, fill)

    return Crossing(operand, axes.window(axis, start, size), backward)


def select(node: Node) -> Crossing:
    operand = operand_of(node)
    sizes = axes.dims(operand)
    axis, index = argument(node, "dim") % len(sizes), argument(node, "index")
    if not isinstance(index, int) or not isinstance(sizes[axis], int):
        still = axes.still([axis], "one element is taken")
        return Crossing(operand, axes.chained(still, axes.without([axis])), axes.inserted([axis]))
    part = _part(operand, axis, index % sizes[axis], 1, sizes[axis])
    return Crossing(
        operand,
        axes.chained(part.forward, axes.without([axis])),
        axes.chained(axes.inserted([axis]), part.backward),
    )


def flip(node: Node) -> Crossing:
    rank = len(axes.dims(node))
    return mixed(node, [axis % rank for axis in argument(node, "dims")], "elements change places")


def pixels(node: Node, channels_first: bool) -> Crossing | None:
    """pixel_shuffle: (…, C·r², H, W) → (…, C, H·r, W·r); its inverse the other way round."""
    operand = operand_of(node)
    factor = argument(node, "upscale_factor" if channels_first else "downscale_factor")
    axis = len(axes.dims(operand)) - 3
    spatial = axes.still([axis + 1, axis + 2], "pixels change places")

    def many(array: Array, _: float) -> Array:
        return array if array.shape[axis] == 1 else np.repeat(array, factor**2, axis=axis)

    def few(array: Array, _: float) -> Array:
        if array.shape[axis] == 1:
            return array
        shape = list(array.shape)
        shape[axis : axis + 1] = [shape[axis] // factor**2, factor**2]
        return np.squeeze(
            axes.still([axis + 1], "channels become pixels")(_even(array, shape, axis), 0), axis + 1
        )

    moves = (few, many) if channels_first else (many, few)
    return Crossing(operand, axes.chained(spatial, moves[0]), axes.chained(spatial, moves[1]))


def _even(array: Array, shape: list[int], axis: int) -> Array:
    """Split in two axes, the second collapsed where all its values are equal."""
    split = array.reshape(shape)
    first = split.take([0], axis=axis + 1)
    return first if np.array_equal(np.broadcast_to(first, split.shape), split) else split


def shuffle(node: Node) -> Crossing:
    """channel_shuffle: (N, g·c, …) → (N, c·g, …)."""
    groups = argument(node, "groups")

    def mover(first: int) -> Move:
        def move(array: Array, _: float) -> Array:
            if array.shape[1] == 1:
                return array
            shape = array.shape
            parts = array.reshape(shape[0], first, shape[1] // first, *shape[2:])
            return np.swapaxes(parts, 1, 2).reshape(shape)

        return move

    channels = axes.dims(node)[1]
    return Crossing(operand_of(node), mover(groups), mover(channels // groups))
