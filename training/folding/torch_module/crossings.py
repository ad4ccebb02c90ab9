"""Operations a field can cross: nothing is computed there that y = scale·x + shift per channel would change.

Each rule says where the elements go, forward and backward; whether a shift survives (in the mean of a
window it does, in one that counts zeros of the padding not); whether the scale must be ≥ 0 (a maximum).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from training.folding.torch_module import views, windows
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.passage import Crossing, operand_of

aten = torch.ops.aten


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
        views.same,
    ),
    aten._to_copy.default: views.cast,
    aten.to.dtype: views.cast,
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
        views.view,
    ),
    aten.permute.default: lambda node: views.permute(list(argument(node, "dims")), operand_of(node)),
    aten.transpose.int: views.transpose,
    aten.t.default: views.turned,
    aten.expand.default: views.expand,
    aten.repeat.default: views.repeat,
    aten.slice.Tensor: views.narrow,
    aten.select.int: views.select,
    aten.flip.default: views.flip,
    aten.roll.default: lambda node: views.flip(node) if argument(node, "dims") else None,
    aten.mean.dim: windows.mean,
    aten.sum.dim_IntList: windows.total,
    aten.amax.default: windows.largest,
    aten.amin.default: windows.largest,
    aten.avg_pool1d.default: windows.average(1),
    aten.avg_pool2d.default: windows.average(2),
    aten.avg_pool3d.default: windows.average(3),
    aten.adaptive_avg_pool1d.default: windows.windowed(1),
    aten.adaptive_avg_pool2d.default: windows.windowed(2),
    aten._adaptive_avg_pool2d.default: windows.windowed(2),
    aten.adaptive_avg_pool3d.default: windows.windowed(3),
    aten._adaptive_avg_pool3d.default: windows.windowed(3),
    aten.max_pool1d.default: windows.windowed(1, positive=True),
    aten.max_pool2d.default: windows.windowed(2, positive=True),
    aten.max_pool3d.default: windows.windowed(3, positive=True),
    aten.upsample_nearest1d.vec: windows.windowed(1),
    aten.upsample_nearest2d.vec: windows.windowed(2),
    aten.upsample_nearest3d.vec: windows.windowed(3),
    aten.upsample_linear1d.vec: windows.windowed(1),
    aten.upsample_bilinear2d.vec: windows.windowed(2),
    aten.upsample_trilinear3d.vec: windows.windowed(3),
    aten.upsample_bicubic2d.vec: windows.windowed(2),
    aten.pad.default: windows.pad,
    aten.pixel_shuffle.default: lambda node: views.pixels(node, True),
    aten.pixel_unshuffle.default: lambda node: views.pixels(node, False),
    aten.channel_shuffle.default: views.shuffle,
    aten.relu.default: windows.homogeneous,
    aten.leaky_relu.default: windows.homogeneous,
}

_FIRST_OF: dict[Any, Rule] = {
    aten.adaptive_max_pool1d.default: windows.windowed(1, positive=True),
    aten.adaptive_max_pool2d.default: windows.windowed(2, positive=True),
    aten.adaptive_max_pool3d.default: windows.windowed(3, positive=True),
    aten.max_pool2d_with_indices.default: windows.windowed(2, positive=True),
    aten.max_pool3d_with_indices.default: windows.windowed(3, positive=True),
    aten.max.dim: windows.largest,
    aten.min.dim: windows.largest,
}
"""Operations that return several tensors, of which the first is the one."""
