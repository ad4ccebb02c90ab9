"""Elementwise operations with a constant as fields: Add, Sub, Mul, Div, Neg, the constant on either side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from training.folding.affine import Array
from training.folding.torch_module.axes import aligned, dims
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.field import Field
from training.folding.torch_module.operators import argument
from training.folding.torch_module.rounding import wide

aten = torch.ops.aten

Parts = tuple[Node, Field] | None


def _value(operand: Any, constants: Constants) -> Array | None:
    if isinstance(operand, (int, float)) and not isinstance(operand, bool):
        return wide(operand)
    return wide(constants.value(operand)) if constants.is_constant(operand) else None


def _laid(source: Node, scale: Array | float, shift: Array | float) -> Field:
    rank = len(dims(source))
    return Field.of(aligned(wide(scale), rank), aligned(wide(shift), rank))


def _pair(node: Node, constants: Constants) -> tuple[Node, Array, bool] | None:
    """The tensor, the constant, and whether the constant comes first."""
    left, right = node.args[0], node.args[1]
    if isinstance(left, Node) and not constants.is_constant(left):
        value = _value(right, constants)
        return None if value is None else (left, value, False)
    if isinstance(right, Node) and not constants.is_constant(right):
        value = _value(left, constants)
        return None if value is None else (right, value, True)
    return None


def _sum(sign: float) -> Callable[[Node, Constants], Parts]:
    def form(node: Node, constants: Constants) -> Parts:
        pair = _pair(node, constants)
        alpha = sign * float(argument(node, "alpha"))
        if pair is None:
            return None
        source, value, first = pair
        return source, _laid(source, alpha, value) if first else _laid(source, 1.0, alpha * value)

    return form


def _reversed_difference(node: Node, constants: Constants) -> Parts:
    """rsub(a, b) = b − alpha·a."""
    pair = _pair(node, constants)
    alpha = float(argument(node, "alpha"))
    if pair is None:
        return None
    source, value, first = pair
    return source, _laid(source, 1.0, -alpha * value) if first else _laid(source, -alpha, value)


def _product(node: Node, constants: Constants) -> Parts:
    pair = _pair(node, constants)
    return None if pair is None else (pair[0], _laid(pair[0], pair[1], 0.0))


def _quotient(node: Node, constants: Constants) -> Parts:
    pair = _pair(node, constants)
    if pair is None or pair[2] or (pair[1] == 0).any():
        return None
    return pair[0], _laid(pair[0], 1.0 / pair[1], 0.0)


def _negative(node: Node, constants: Constants) -> Parts:
    del constants
    source = node.all_input_nodes[0]
    return source, _laid(source, -1.0, 0.0)


def _fused(node: Node, constants: Constants) -> Parts:
    """addcmul(t, a, b) = t + value·a·b with two constants."""
    start, left, right = (argument(node, key) for key in ("self", "tensor1", "tensor2"))
    if constants.is_constant(left):
        left, right = right, left
    if not constants.is_constant(start) or not constants.is_constant(right):
        return None
    factor = float(argument(node, "value")) * constants.value(right)
    return left, _laid(left, factor, constants.value(start))


FORMS: dict[Any, Callable[[Node, Constants], Parts]] = {
    aten.add.Tensor: _sum(1.0),
    aten.add.Scalar: _sum(1.0),
    aten.sub.Tensor: _sum(-1.0),
    aten.sub.Scalar: _sum(-1.0),
    aten.rsub.Scalar: _reversed_difference,
    aten.rsub.Tensor: _reversed_difference,
    aten.mul.Tensor: _product,
    aten.mul.Scalar: _product,
    aten.div.Tensor: _quotient,
    aten.div.Scalar: _quotient,
    aten.neg.default: _negative,
    aten.addcmul.default: _fused,
}
