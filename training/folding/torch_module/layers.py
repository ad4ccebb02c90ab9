"""Linear layers as stacked matrices: what `affine` needs to take a field into the rows or the columns of W.

Linear, convolutions and transposed convolutions all compute, group by group, W·x + b with one row for each
output channel and `taps` columns for each input channel. A `Layer` brings the weight into that form and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from training.folding.affine import Affine, Array, amplification, into_next, into_previous
from training.folding.report import Reason
from training.folding.torch_module.axes import dims
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.field import Field
from training.folding.torch_module.operators import argument
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.rounding import wide

aten = torch.ops.aten

_NO_COLUMNS: Array = np.empty((1, 0))
_BLOCK = 2**20


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer.

    Attributes:
        node: the call.
        matrices: the weight as (groups, rows, columns).
        restored: a weight in that form, in its own form again.
        bias: (output channels,), zeros when there is none.
        axis: where the channels lie in its operand and its result.
        taps: columns for each input channel.
        even: whether a shift of the operand reaches every place of the result alike (no zero padding).
    """

    node: Node
    matrices: Array
    restored: Callable[[Array], Array]
    bias: Array
    axis: int
    taps: int
    even: bool

    def scaled_rows(self, field: Field) -> tuple[Array, Array]:
        """Weight and bias with a field of the result taken in."""
        groups, rows, columns = self.matrices.shape
        after = field.along(self.axis, groups * rows)
        weight, _ = into_previous(self.matrices.reshape(groups * rows, columns), self.bias, _narrow(after))
        _, bias = into_previous(_NO_COLUMNS, self.bias, after)
        return self.restored(weight.reshape(groups, rows, columns)), bias

    def scaled_columns(self, field: Field) -> tuple[Array, Array, float]:
        """Weight and bias with a field of the operand taken in, and the amplification of the result."""
        if field.shift.any() and not self.even:
            raise Blocked(Reason.ZERO_PADDING, "the convolution pads with zeros, which the shift would miss")
        groups, rows, columns = self.matrices.shape
        channels = groups * columns // self.taps
        before = field.along(self.axis, channels)
        mean, deviation = field.known_along(self.axis, channels)
        parts, amp = [], 1.0
        for group in range(groups):
            part = slice(group * columns // self.taps, (group + 1) * columns // self.taps)
            taken = _columns(
                self.matrices[group],
                self.bias[group * rows : (group + 1) * rows],
                Affine(*(np.repeat(a[part], self.taps) for a in (before.scale, before.shift))),
            )
            parts.append(taken)
            amp = max(amp, _amp(*taken, *(np.repeat(a[part], self.taps) for a in (mean, deviation))))
        weight = np.stack([weight for weight, _ in parts])
        return self.restored(weight), np.concatenate([bias for _, bias in parts]), amp


def layer_of(node: Node, constants: Constants) -> Layer | None:
    """The linear layer that a node calls with a constant weight, or None."""
    build = _LAYERS.get(node.target) if node.op == "call_function" else None
    if build is None or constants.is_constant(operand_of(node)):
        return None
    weight, bias = argument(node, "weight"), argument(node, "bias")
    if not constants.is_constant(weight) or not (bias is None or constants.is_constant(bias)):
        return None
    return build(node, constants.value(weight), constants.value(bias) if bias is not None else None)


def operand_of(node: Node) -> Any:
    """The tensor that a linear layer acts on; None for a product of two."""
    return None if node.target is aten.bilinear.default else argument(node, "input")


def _columns(weight: Array, bias: Array, before: Affine) -> tuple[Array, Array]:
    """`into_next` with the weight in float64 and the bias, where sums cancel, in the widest type.

    Row by row blocks: a wide copy of the whole weight would be four times its size.
    """
    folded, _ = into_next(weight, bias, _narrow(before))
    step = max(1, _BLOCK // max(1, weight.shape[1]))
    blocks = (slice(start, start + step) for start in range(0, len(weight), step))
    return folded, np.concatenate([into_next(wide(weight[rows]), bias[rows], before)[1] for rows in blocks])


def _narrow(affine: Affine) -> Affine:
    return Affine(affine.scale.astype(np.float64), affine.shift.astype(np.float64))


def _amp(weight: Array, bias: Array, mean: Array, deviation: Array) -> float:
    return amplification(*(np.asarray(a, dtype=np.float64) for a in (weight, bias, mean, deviation)))


def _linear(node: Node, weight: Array, bias: Array | None) -> Layer | None:
    if weight.ndim != 2 or (bias is not None and bias.ndim != 1):
        return None
    axis = len(dims(node)) - 1
    return Layer(node, weight[None], lambda m: m[0], _filled(bias, len(weight)), axis, 1, True)


def _bilinear(node: Node, weight: Array, bias: Array | None) -> Layer:
    """One row for each output over all products of the two inputs; nothing goes into its columns."""
    matrices = weight.reshape(1, len(weight), -1)
    axis = len(dims(node)) - 1
    return Layer(
        node, matrices, lambda m: m.reshape(weight.shape), _filled(bias, len(weight)), axis, 1, False
    )


def _convolution(node: Node, weight: Array, bias: Array | None) -> Layer:
    return _grouped(node, weight, bias, argument(node, "groups"), _unpadded(node, weight))


def _transposed(node: Node, weight: Array, bias: Array | None) -> Layer:
    """A transposed convolution: each place of the result sees its own taps, so only a 1×1 one is even."""
    plain = all(step == 1 for step in argument(node, "stride")) and not any(
        (*argument(node, "padding"), *argument(node, "output_padding"))
    )
    return _turned(node, weight, bias, plain and _pointwise(weight))


def _general(node: Node, weight: Array, bias: Array | None) -> Layer:
    return (
        _transposed(node, weight, bias) if argument(node, "transposed") else _convolution(node, weight, bias)
    )


def _grouped(node: Node, weight: Array, bias: Array | None, groups: int, even: bool) -> Layer:
    shape = weight.shape
    matrices = weight.reshape(groups, shape[0] // groups, -1)
    axis = len(dims(node)) - weight.ndim + 1
    taps = int(np.prod(shape[2:], dtype=int))
    return Layer(node, matrices, lambda m: m.reshape(shape), _filled(bias, shape[0]), axis, taps, even)


def _turned(node: Node, weight: Array, bias: Array | None, even: bool) -> Layer:
    groups = argument(node, "groups")
    inputs, outputs, *kernel = weight.shape
    taps = int(np.prod(kernel, dtype=int))
    apart = (groups, inputs // groups, outputs, taps)
    matrices = weight.reshape(apart).transpose(0, 2, 1, 3).reshape(groups, outputs, -1)

    def restored(m: Array) -> Array:
        turned = m.reshape(groups, outputs, inputs // groups, taps).transpose(0, 2, 1, 3)
        return turned.reshape(weight.shape)

    axis = len(dims(node)) - weight.ndim + 1
    return Layer(node, matrices, restored, _filled(bias, groups * outputs), axis, taps, even)


def _unpadded(node: Node, weight: Array) -> bool:
    padding = argument(node, "padding")
    if isinstance(padding, str):
        return padding == "valid" or _pointwise(weight)
    return not any(padding)


def _pointwise(weight: Array) -> bool:
    return all(size == 1 for size in weight.shape[2:])


def _filled(bias: Array | None, size: int) -> Array:
    return wide(np.zeros(size)) if bias is None else bias


_LAYERS: dict[Any, Callable[[Node, Array, Array | None], Layer | None]] = {
    aten.linear.default: _linear,
    aten.bilinear.default: _bilinear,
    **dict.fromkeys(
        [getattr(getattr(aten, f"conv{n}d"), kind) for n in (1, 2, 3) for kind in ("default", "padding")],
        _convolution,
    ),
    aten.conv_transpose1d.default: _transposed,
    aten.conv_transpose2d.input: _transposed,
    aten.conv_transpose3d.input: _transposed,
    aten.convolution.default: _general,
}
