"""Into the layers after: a field walks down from its site until every path ends in something linear.

All consumers must take it, or it stays. Where a shift cannot go (zero padding) or would cost accuracy (the
amp rule), one subtraction stays in front: s·x + t = s·(x − c) + (t + s·c), and everything else is folded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from training.folding.affine import Array
from training.folding.report import Reason
from training.folding.torch_module import axes
from training.folding.torch_module.backward import SPLITS, part_of, starts
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.contractions import contraction_of
from training.folding.torch_module.crossings import crossing
from training.folding.torch_module.edits import AddAfter, Edit, Swap
from training.folding.torch_module.field import Field
from training.folding.torch_module.layers import layer_of, operand_of
from training.folding.torch_module.naming import value_users
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.rounding import rounded
from training.folding.torch_module.sites import Site

aten = torch.ops.aten


@dataclass
class Plan:
    """What a forward fold would change.

    Attributes:
        edits: the changes.
        amp: the largest amplification among the layers that take the field.
        centre: what is still subtracted in front, or None.
        reached: the nodes that the field has come to; none may be reached twice.
    """

    edits: list[Edit] = default(default_factory=list)
    amp: float = 1.0
    centre: Array | None = None
    reached: set[Node] = default(default_factory=set)


class Forward:
    """Plans the edits that let every consumer of a site take its input instead."""

    def __init__(self, constants: Constants, amp_limit: float) -> None:
        self._constants = constants
        self._limit = amp_limit

    def plan(self, site: Site) -> Plan:
        """The first that is possible: all of it; all but a subtraction of the mean; only the scale.

        Raises:
            Blocked: none is, for the reason that the whole field cannot go.
        """
        assert site.field is not None  # noqa: S101 - sites without a field are refused before
        try:
            return self._whole(site, site.field)
        except Blocked as first:
            for centre in _centres(site.field, axes.tensor_of(site.source).dtype):
                try:
                    return self._split(site, *centre)
                except Blocked:
                    continue
            raise first from None

    def _whole(self, site: Site, field: Field) -> Plan:
        plan = Plan()
        self._push(site.result, field, plan)
        if plan.amp > self._limit:
            detail = f"the amplification would be {plan.amp:.0f}"
            raise Blocked(Reason.AMP, detail)
        return plan

    def _split(self, site: Site, centre: Array, rest: Field) -> Plan:
        plan = Plan(centre=centre)
        self._push(site.result, rest, plan)
        return plan

    def _push(self, node: Node, field: Field, plan: Plan) -> None:
        users = value_users(node)
        if not users:
            raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, "nothing uses it")
        for user in sorted(users):
            self._enter(user, node, field, plan)

    def _enter(self, user: Node, node: Node, field: Field, plan: Plan) -> None:
        if user.op == "output":
            raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, "its result is an output")
        if user in plan.reached:
            raise Blocked(Reason.OUTPUT_ALSO_USED, f"it reaches {user.name} in two ways")
        plan.reached.add(user)
        attempts = (self._into_layer, self._into_contraction, self._across, self._into_part)
        if any(attempt(user, node, field, plan) for attempt in attempts):
            return
        join = _JOINS.get(user.target)
        if join is None:
            raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, f"{user.name} is after it")
        self._push(user, join(user, node, field), plan)

    def _into_layer(self, user: Node, node: Node, field: Field, plan: Plan) -> bool:
        layer = layer_of(user, self._constants)
        if layer is None or operand_of(user) is not node:
            return False
        weight, bias, amp = layer.scaled_columns(field)
        old, old_bias = argument(user, "weight"), argument(user, "bias")
        plan.edits.append(Swap(user, "weight", old, weight, old))
        if old_bias is not None or bias.any():
            like = old_bias if old_bias is not None else old
            plan.edits.append(Swap(user, "bias", old_bias, bias, like))
        plan.amp = max(plan.amp, amp)
        return True

    def _into_contraction(self, user: Node, node: Node, field: Field, plan: Plan) -> bool:
        product = contraction_of(user, self._constants)
        if product is None or product.operand is not node:
            return False
        weight, shift, amp = product.scaled_operand(field)
        plan.edits.append(Swap(user, "", product.constant, weight, product.constant))
        if shift.any():
            plan.edits.append(AddAfter(user, shift))
        plan.amp = max(plan.amp, amp)
        return True

    def _across(self, user: Node, node: Node, field: Field, plan: Plan) -> bool:
        way = crossing(user)
        first = [each for each in user.users if is_call(each, operator.getitem)]
        if way is None and len(first) == len(user.users) == 1:
            way, user = crossing(first[0]), first[0]
        if way is None or way.operand is not node:
            return False
        self._push(user, way.onward(field), plan)
        return True

    def _into_part(self, user: Node, node: Node, field: Field, plan: Plan) -> bool:
        """A split: every part goes on with its own part of the field."""
        if not is_call(user, *SPLITS) or user.all_input_nodes[0] is not node:
            return False
        for part in sorted(value_users(user)):
            if not is_call(part, operator.getitem):
                return False
            axis, start = part_of(user, int(part.args[1]))  # type: ignore[arg-type]
            if is_call(user, aten.unbind.int):
                move = axes.chained(axes.window(axis, start, 1), axes.without([axis]))
            else:
                move = axes.window(axis, start, axes.dims(part)[axis])
            self._push(part, field.moved(move), plan)
        return True


def _centres(field: Field, dtype: torch.dtype) -> list[tuple[Array, Field]]:
    """What could stay as a subtraction: the mean, or all of the shift."""
    if (field.scale == 1).all() or not field.shift.any():
        return []
    stored = np.asarray(rounded(field.mean, dtype).double().numpy(), dtype=field.mean.dtype)
    found = [(stored, field.centred(stored))]
    if (field.scale != 0).all():
        whole = -field.shift / field.scale
        rest = Field(
            field.scale,
            field.shift[(slice(0, 1),) * field.shift.ndim] * 0,
            field.mean - whole,
            field.deviation,
        )
        found.append((whole, rest))
    return found


def _concat(user: Node, node: Node, field: Field) -> Field:
    """Each place where the tensor stands takes the field; the other tensors are left as they are."""
    parts: list[Node] = list(argument(user, "tensors"))
    axis = argument(user, "dim") % len(axes.dims(user))
    size, total = axes.dims(node)[axis], axes.dims(user)[axis]
    whole: Field | None = None
    for part, start in zip(parts, starts(user, parts, axis), strict=True):
        if part is node:
            if not isinstance(start, int):
                raise Blocked(Reason.OTHER_AXIS, "tensors of free size are concatenated")
            placed = field.moved(axes.placed(axis, start, size, total))
            whole = placed if whole is None else whole.beside(placed)
    assert whole is not None  # noqa: S101 - the concat uses the tensor
    return whole


def _stack(user: Node, node: Node, field: Field) -> Field:
    parts: list[Node] = list(argument(user, "tensors"))
    axis = argument(user, "dim") % len(axes.dims(user))
    if parts.count(node) != 1:
        raise Blocked(Reason.OUTPUT_ALSO_USED, "it is stacked twice")
    place = axes.placed(axis, parts.index(node), 1, len(parts))
    return field.moved(axes.chained(axes.inserted([axis]), place))


_JOINS: dict[Any, Callable[[Node, Node, Field], Field]] = {
    aten.cat.default: _concat,
    aten.stack.default: _stack,
}
