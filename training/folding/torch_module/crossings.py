"""Operations a field can cross: nothing is computed there that y = scale·x + shift per channel would change.

Each rule says where the elements go, forward and backward; whether a shift survives (in the mean of a
window it does, in one that counts zeros of the padding not); whether the scale must be ≥ 0 (a maximum).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from training.folding.affine import Array
from training.folding.report import Reason
from training.folding.torch_module import axes
from training.folding.torch_module.axes import Move
from training.folding.torch_module.field import Field
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.refusal import Blocked

aten = torch.ops.aten


@dataclass(frozen=True)
class Crossing:
    """How a field crosses one operation.

    Attributes:
        operand: the tensor the operation takes.
        forward, backward: the moves.
        shift: the reason why a shift cannot cross, or None.
        positive: whether the scale must not be negative.
    """

    operand: Node
    forward: Move = axes.unmoved
    backward: Move = axes.unmoved
    shift: Reason | None = None
    positive: bool = False

    def onward(self, field: Field) -> Field:
        """The field after the operation."""
        self._check(field)
        return field.moved(self.forward)

    def back(self, field: Field) -> Field:
        """The field before the operation."""
        self._check(field)
        return field.moved(self.backward)

    def _check(self, field: Field) -> None:
        if self.shift is not None and field.shift.any():
            what = "padding" if self.shift is Reason.ZERO_PADDING else "an activation or a sum"
            raise Blocked(self.shift, f"{what} on the way does not keep a shift")
        if self.positive and (field.scale < 0).any():
            raise Blocked(Reason.NEGATIVE_SCALE, "a maximum is on the way and a scale is negative")


def crossing(node: Node) -> Crossing | None:
    """The rule for a node, or None when nothing crosses it."""
    if node.op != "call_function":
        return None
    if is_call(node, operator.getitem) and node.args[1] == 0:
        source = node.all_input_nodes[0]
        first = _FIRST_OF.get(source.target)
        return first(source) if first else None
    rule = _RULES.get(node.target)
    return rule(node) if rule else None


def _operand(node: Node) -> Node:
    return node.all_input_nodes[0]


def _same(node: Node) -> Crossing:
    return Crossing(_operand(node))


def _cast(node: Node) -> Crossing | None:
    operand = _operand(node)
    both = axes.tensor_of(operand).dtype, axes.tensor_of(node).dtype
    return Crossing(operand) if all(dtype.is_floating_point for dtype in both) else None


def _view(node: Node) -> Crossing:
    operand = _operand(node)
    before, after = axes.dims(operand), axes.dims(node)
    return Crossing(operand, axes.regrouped(before, after), axes.regrouped(after, before))


def _permute(order: list[int], operand: Node) -> Crossing:
    order = [axis % len(order) for axis in order]
    return Crossing(operand, axes.permuted(order), axes.permuted([int(i) for i in np.argsort(order)]))


def _swap(node: Node, first: int, second: int) -> Crossing:
    operand = _operand(node)
    order = list(range(len(axes.dims(operand))))
    order[first], order[second] = order[second], order[first]
    return _permute(order, operand)


def _transpose(node: Node) -> Crossing:
    return _swap(node, argument(node, "dim0"), argument(node, "dim1"))


def _t(node: Node) -> Crossing:
    return _swap(node, 0, -1)


def _expand(node: Node) -> Crossing:
    operand = _operand(node)
    before, after = axes.dims(operand), axes.dims(node)
    new = list(range(len(after) - len(before)))
    grown = new + [len(new) + i for i, size in enumerate(before) if size == 1 and after[len(new) + i] != 1]
    backward = axes.chained(axes.still(grown, "elements are repeated"), axes.without(new))
    return Crossing(operand, axes.inserted(new), backward)


def _repeat(node: Node) -> Crossing:
    operand = _operand(node)
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


def _slice(node: Node) -> Crossing:
    operand = _operand(node)
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


def _select(node: Node) -> Crossing:
    operand = _operand(node)
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


def _mixed(node: Node, along: list[int], why: str, **more: Any) -> Crossing:
    still = axes.still(along, why)
    return Crossing(_operand(node), still, still, **more)


def _flip(node: Node) -> Crossing:
    rank = len(axes.dims(node))
    return _mixed(node, [axis % rank for axis in argument(node, "dims")], "elements change places")


def _reduced(node: Node, **more: Any) -> Crossing:
    operand = _operand(node)
    rank = len(axes.dims(operand))
    given = argument(node, "dim")
    given = [given] if isinstance(given, int) else given
    along = sorted({axis % rank for axis in given or range(rank)})
    still = axes.still(along, "elements are summed up")
    if argument(node, "keepdim"):
        return Crossing(operand, still, still, **more)
    return Crossing(operand, axes.chained(still, axes.without(along)), axes.inserted(along), **more)


def _mean(node: Node) -> Crossing:
    return _reduced(node)


def _sum(node: Node) -> Crossing:
    return _reduced(node, shift=Reason.NO_LINEAR_NEIGHBOUR)


def _largest(node: Node) -> Crossing:
    return _reduced(node, positive=True)


def _spatial(node: Node, count: int) -> list[int]:
    rank = len(axes.dims(_operand(node)))
    return list(range(rank - count, rank))


def _average(count: int) -> Callable[[Node], Crossing]:
    def rule(node: Node) -> Crossing:
        padding = argument(node, "padding")
        padded = any(padding if isinstance(padding, (list, tuple)) else [padding])
        zeros = padded and argument(node, "count_include_pad")
        divided = count > 1 and argument(node, "divisor_override") is not None
        reason = Reason.ZERO_PADDING if zeros or divided else None
        return _mixed(node, _spatial(node, count), "a window is averaged", shift=reason)

    return rule


def _windowed(count: int, **more: Any) -> Callable[[Node], Crossing]:
    return lambda node: _mixed(node, _spatial(node, count), "elements of a window are mixed", **more)


def _pad(node: Node) -> Crossing | None:
    widths = argument(node, "pad")
    rank = len(axes.dims(_operand(node)))
    along = [rank - 1 - i // 2 for i, width in enumerate(widths) if width != 0]
    if argument(node, "mode") != "constant":
        return _mixed(node, sorted(set(along)), "elements are repeated")
    if argument(node, "value") not in (None, 0):
        return None
    if not along:
        return Crossing(_operand(node))
    return _mixed(node, sorted(set(along)), "zeros are put around", shift=Reason.ZERO_PADDING)


def _pixels(node: Node, channels_first: bool) -> Crossing | None:
    """pixel_shuffle: (…, C·r², H, W) → (…, C, H·r, W·r); its inverse the other way round."""
    operand = _operand(node)
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


def _shuffle(node: Node) -> Crossing:
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
    return Crossing(_operand(node), mover(groups), mover(channels // groups))


def _homogeneous(node: Node) -> Crossing:
    """relu and its kin: f(s·x) = s·f(x) for s ≥ 0."""
    return Crossing(_operand(node), shift=Reason.NO_LINEAR_NEIGHBOUR, positive=True)


Rule = Callable[[Node], Crossing | None]

_RULES: dict[Any, Rule] = {
    **dict.fromkeys(
        [
            aten.clone.default,
            aten.alias.default,
            aten.detach.default,
            aten.contiguous.default,
            aten.lift_fresh_copy.default,
        ],
        _same,
    ),
    aten._to_copy.default: _cast,
    aten.to.dtype: _cast,
    **dict.fromkeys(
        [
            aten.view.default,
            aten.reshape.default,
            aten._unsafe_view.default,
            aten.flatten.using_ints,
            aten.unflatten.int,
            aten.unsqueeze.default,
            aten.squeeze.default,
            aten.squeeze.dim,
            aten.squeeze.dims,
        ],
        _view,
    ),
    aten.permute.default: lambda node: _permute(list(argument(node, "dims")), _operand(node)),
    aten.transpose.int: _transpose,
    aten.t.default: _t,
    aten.expand.default: _expand,
    aten.repeat.default: _repeat,
    aten.slice.Tensor: _slice,
    aten.select.int: _select,
    aten.flip.default: _flip,
    aten.roll.default: lambda node: _flip(node) if argument(node, "dims") else None,
    aten.mean.dim: _mean,
    aten.sum.dim_IntList: _sum,
    aten.amax.default: _largest,
    aten.amin.default: _largest,
    aten.avg_pool1d.default: _average(1),
    aten.avg_pool2d.default: _average(2),
    aten.avg_pool3d.default: _average(3),
    aten.adaptive_avg_pool1d.default: _windowed(1),
    aten.adaptive_avg_pool2d.default: _windowed(2),
    aten._adaptive_avg_pool2d.default: _windowed(2),
    aten.adaptive_avg_pool3d.default: _windowed(3),
    aten._adaptive_avg_pool3d.default: _windowed(3),
    aten.max_pool1d.default: _windowed(1, positive=True),
    aten.max_pool2d.default: _windowed(2, positive=True),
    aten.max_pool3d.default: _windowed(3, positive=True),
    aten.upsample_nearest1d.vec: _windowed(1),
    aten.upsample_nearest2d.vec: _windowed(2),
    aten.upsample_nearest3d.vec: _windowed(3),
    aten.upsample_linear1d.vec: _windowed(1),
    aten.upsample_bilinear2d.vec: _windowed(2),
    aten.upsample_trilinear3d.vec: _windowed(3),
    aten.upsample_bicubic2d.vec: _windowed(2),
    aten.pad.default: _pad,
    aten.pixel_shuffle.default: lambda node: _pixels(node, True),
    aten.pixel_unshuffle.default: lambda node: _pixels(node, False),
    aten.channel_shuffle.default: _shuffle,
    aten.relu.default: _homogeneous,
    aten.leaky_relu.default: _homogeneous,
}

_FIRST_OF: dict[Any, Rule] = {
    aten.adaptive_max_pool1d.default: _windowed(1, positive=True),
    aten.adaptive_max_pool2d.default: _windowed(2, positive=True),
    aten.adaptive_max_pool3d.default: _windowed(3, positive=True),
    aten.max_pool2d_with_indices.default: _windowed(2, positive=True),
    aten.max_pool3d_with_indices.default: _windowed(3, positive=True),
    aten.max.dim: _largest,
    aten.min.dim: _largest,
}
"""Operations that return several tensors, of which the first is the one."""
