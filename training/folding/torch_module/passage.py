"""A passage: where the elements of a tensor go in one operation, and what of a field can go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.fx import Node

from training.folding.report import Reason
from training.folding.torch_module import axes
from training.folding.torch_module.axes import Move
from training.folding.torch_module.field import Field
from training.folding.torch_module.refusal import Blocked


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


def operand_of(node: Node) -> Node:
    return node.all_input_nodes[0]


def mixed(node: Node, along: list[int], why: str, **more: Any) -> Crossing:
    still = axes.still(along, why)
    return Crossing(operand_of(node), still, still, **more)
