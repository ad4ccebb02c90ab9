"""Products with a constant other than a plain layer: matmul with a stack of matrices, bmm, einsum.

Written with one letter for each axis, a field can be taken into the constant along every letter they share.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from training.folding.affine import Array, amplification
from training.folding.report import Reason
from training.folding.torch_module.axes import Dims, dims, extents
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.field import Field
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.refusal import Blocked

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Contraction:
    """One product of a tensor with a constant.

    Attributes:
        node: the call.
        operand, constant: its two arguments.
        weight: the value of the constant.
        letters: of the operand, the constant and the result.
        sizes: of the operand.
    """

    node: Node
    operand: Node
    constant: Node
    weight: Array
    letters: tuple[str, str, str]
    sizes: Dims

    def scaled_result(self, field: Field) -> tuple[Array, Array]:
        """The constant with a field of the result taken in, and the shift that remains to be added."""
        return self.weight * self._laid(field.scale, self.letters[2]), field.shift

    def scaled_operand(self, field: Field) -> tuple[Array, Array, float]:
        """The constant with a field of the operand taken in, the shift of the result, the amplification."""
        weight = self.weight * self._laid(field.scale, self.letters[0])
        return weight, self._sum(field.shift), self._amp(weight, field)

    def _laid(self, array: Array, letters: str) -> Array:
        """An array over the axes of the constant."""
        missing = [axis for axis in extents(array) if letters[axis] not in self.letters[1]]
        if missing:
            raise Blocked(Reason.OTHER_AXIS, f"the constant has no axis for axis {missing[0]}")
        inside = [axis for axis, letter in enumerate(letters) if letter in self.letters[1]]
        outside = [axis for axis in range(len(letters)) if axis not in inside]
        order = sorted(inside, key=lambda axis: self.letters[1].index(letters[axis])) + outside
        sizes = dict(zip(letters, array.shape, strict=True))
        return array.transpose(order).reshape([sizes.get(letter, 1) for letter in self.letters[1]])

    def _sum(self, shift: Array) -> Array:
        """What a shift of the operand adds to the result, in broadcast form."""
        data, constant, result = self.letters
        shape, times = [], 1
        for axis, letter in enumerate(data):
            shape.append(
                self.weight.shape[constant.index(letter)] if letter in constant else shift.shape[axis]
            )
            if letter not in constant and letter not in result and shift.shape[axis] == 1:
                times *= self._fixed(axis)
        full = np.broadcast_to(shift, shape)
        total: Array = np.einsum(f"{data},{constant}->{result}", full, self.weight) * times
        return total

    def _fixed(self, axis: int) -> int:
        if not isinstance(self.sizes[axis], int):
            raise Blocked(Reason.OTHER_AXIS, "a shift is summed over an axis of free size")
        return int(self.sizes[axis])

    def _amp(self, weight: Array, field: Field) -> float:
        inner = [i for i, letter in enumerate(self.letters[1]) if letter not in self.letters[2]]
        rows = np.moveaxis(weight, inner, range(-len(inner), 0)) if inner else weight[..., None]
        rows = rows.reshape(-1, int(np.prod([weight.shape[i] for i in inner], dtype=int)))
        mean, deviation = (
            np.full(rows.shape[1], float(np.abs(a).mean())) for a in (field.mean, field.deviation)
        )
        return amplification(rows.astype(np.float64), np.zeros(len(rows)), mean, deviation)


def contraction_of(node: Node, constants: Constants) -> Contraction | None:
    """The product with one constant that a node computes, or None."""
    parts = _parts(node)
    if parts is None:
        return None
    operands, letters = parts
    fixed = [constants.is_constant(operand) for operand in operands]
    if fixed not in ([True, False], [False, True]) or any(len(set(each)) != len(each) for each in letters):
        return None
    which = fixed.index(True)
    order = (letters[1 - which], letters[which], letters[2])
    operand, constant = operands[1 - which], operands[which]
    weight, sizes = constants.value(constant), dims(operand)
    shared = [letter for letter in order[1] if letter in order[0]]
    if any(weight.shape[order[1].index(a)] != sizes[order[0].index(a)] for a in shared):
        return None  # an axis of size 1 broadcasts over the other
    return Contraction(node, operand, constant, weight, order, sizes)


def _parts(node: Node) -> tuple[list[Node], tuple[str, str, str]] | None:
    if is_call(node, aten.einsum.default):
        equation, operands = argument(node, "equation").replace(" ", ""), argument(node, "tensors")
        if len(operands) != 2 or "->" not in equation or "." in equation:
            return None
        left, result = equation.split("->")
        first, second = left.split(",")
        return list(operands), (first, second, result)
    if is_call(node, aten.matmul.default, aten.bmm.default, aten.mm.default):
        pair: list[Any] = [node.args[0], node.args[1]]
        return pair, _matmul_letters(len(dims(pair[0])), len(dims(pair[1])))
    return None


def _matmul_letters(left: int, right: int) -> tuple[str, str, str]:
    batch = string.ascii_uppercase[: max(left, right, 2) - 2]
    first = "k" if left == 1 else batch[len(batch) - left + 2 :] + "ik"
    second = "k" if right == 1 else batch[len(batch) - right + 2 :] + "kj"
    result = (batch if max(left, right) > 2 else "") + ("i" if left > 1 else "") + ("j" if right > 1 else "")
    return first, second, result
