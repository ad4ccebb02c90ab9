"""Moving an affine back into whatever makes the value it acts on, through all that lies between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from training.folding.onnx_graph.absorb import absorb_after
from training.folding.onnx_graph.attributes import int_attribute
from training.folding.onnx_graph.bias import AddedBias
from training.folding.onnx_graph.facts import Shape
from training.folding.onnx_graph.forms import Form, recognise
from training.folding.onnx_graph.linear import is_linear, linears
from training.folding.onnx_graph.passages import passage
from training.folding.onnx_graph.plan import Plan
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import Spread
from training.folding.onnx_graph.weights import Step, Weights
from training.folding.onnx_graph.workspace import Workspace
from training.folding.report import Reason

_FAR = 64
"""Nodes between a normalisation and its linear layers that are looked through."""


def fold_back(workspace: Workspace, form: Form) -> Plan:
    """Plan the fold of a normalisation into the layers before it.

    Raises:
        Refused: some layer before it cannot take its part.
    """
    plan = Plan()
    _into(workspace, form.source, (form.node, form.data), form.spread, plan, _FAR)
    return plan


Use = tuple[ir.Node, int]


def _into(workspace: Workspace, value: ir.Value, use: Use, after: Spread, plan: Plan, steps: int) -> None:
    """Plan that `value`, of which `use` is the only one, becomes what `after` makes of it."""
    if workspace.constants.is_floating(value):
        _into_constant(workspace, value, use, after, plan)
        return
    node = workspace.private(value, use[0])
    if steps == 0:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"more than {_FAR} nodes lie between it and a linear layer")
    if is_linear(node):
        _into_linear(workspace, node, after, plan)
    elif (through := passage(node)) is not None:
        source = _data(node)
        _into(workspace, source, (node, 0), through(workspace, node, after, False), plan, steps - 1)
    elif node.domain == "" and node.op_type in _COMBINATIONS:
        _COMBINATIONS[node.op_type](workspace, node, after, plan, steps - 1)
    else:
        raise Refused(
            _REASONS.get(node.op_type, Reason.NO_LINEAR_NEIGHBOUR), f"{value.name} is made by {node.op_type}"
        )


def _into_constant(workspace: Workspace, value: ir.Value, use: Use, after: Spread, plan: Plan) -> None:
    weights = workspace.constants.weights(value)
    rank = len(after.scale.shape)
    view = (1,) * (rank - len(weights.shape)) + weights.shape
    _require_room(view, after)
    folded = weights.then(Step(view, after.scale, after.shift))
    folded.check_range()
    plan.edits.append(lambda: workspace.set_weights(*use, folded))


def _into_linear(workspace: Workspace, node: ir.Node, after: Spread, plan: Plan) -> None:
    refusal: Refused | None = None
    for linear in linears(workspace, node):
        try:
            plan.edits += absorb_after(workspace, linear, after)
        except Refused as refused:
            refusal = refusal or refused
            continue
        plan.takers.append(node)
        return
    raise refusal or Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} has no constant weights")


def _concat(workspace: Workspace, node: ir.Node, after: Spread, plan: Plan, steps: int) -> None:
    """Each part takes its own piece of the affine."""
    axis = int_attribute(node, "axis", 1) % len(after.scale.shape)
    start = 0
    for index, value in enumerate(node.inputs):
        if value is None:
            raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} joins an absent value")
        size = workspace.shape(value)[axis]
        if not isinstance(size, int):
            raise Refused(Reason.UNKNOWN_SHAPE, f"the size of {value.name} along axis {axis} is not known")
        piece = after.moved(lambda array, at=start, n=size: _cut(array, axis, at, n))  # type: ignore[misc]
        _into(workspace, value, (node, index), piece, plan, steps)
        start += size


def _cut(array: NDArray[Any], axis: int, start: int, size: int) -> NDArray[Any]:
    if array.shape[axis] == 1:
        return array
    return np.take(array, range(start, start + size), axis=axis)


def _sum(workspace: Workspace, node: ir.Node, after: Spread, plan: Plan, steps: int) -> None:
    """s·(a ± b) + t: both operands take s, the first also t; a constant operand takes t at once."""
    owner = bias_owner(workspace, node)
    if owner is not None:
        _into_linear(workspace, owner, after, plan)
        return
    constant = [workspace.constants.is_floating(value) for value in node.inputs]
    if any(constant):
        _sum_with_constant(workspace, node, after, plan, steps)
        return
    for index, value in enumerate(node.inputs):
        part = after if index == 0 else after.linear()
        _require_room(workspace.shape(value), part)
        if value is not None:
            _into(workspace, value, (node, index), part, plan, steps)


def _sum_with_constant(workspace: Workspace, node: ir.Node, after: Spread, plan: Plan, steps: int) -> None:
    """s·(x + c) + t = s·x + (s·c + t), whatever axes c varies along."""
    form = recognise(workspace, node)
    if form is None:
        raise Refused(Reason.OTHER_AXIS, f"{node.name} broadcasts a constant over its other operand")
    index = 1 - form.data
    old = workspace.constants.weights(node.inputs[index])
    values = after.scale * form.spread.shift + after.shift
    folded = Weights.of(-values if node.op_type == "Sub" and index == 1 else values, old.dtype, old.name)
    folded.check_range()
    plan.edits.append(lambda: workspace.set_weights(node, index, folded))
    _into(workspace, form.source, (node, form.data), after.linear(), plan, steps)


def bias_owner(workspace: Workspace, node: ir.Node) -> ir.Node | None:
    """The linear operator whose bias an Add or Sub is, if it is one's."""
    for value in node.inputs:
        producer = value.producer() if value is not None else None
        if producer is None or producer.domain != "" or producer.op_type not in ("MatMul", "Einsum"):
            continue
        form = AddedBias().form(workspace, producer)
        if (
            form is not None
            and form.node is node
            and is_linear(producer)
            and _has_weights(workspace, producer)
        ):
            return producer
    return None


def _has_weights(workspace: Workspace, node: ir.Node) -> bool:
    try:
        return next(linears(workspace, node), None) is not None
    except Refused:
        return False


def _require_room(shape: Shape, part: Spread) -> None:
    """The affine must not vary along an axis that the operand is broadcast along."""
    for array in (part.scale, part.shift):
        if len(array.shape) != len(shape):
            raise Refused(Reason.OTHER_AXIS, "an operand is broadcast to a higher rank")
        if any(size not in (1, dim) for size, dim in zip(array.shape, shape, strict=True)):
            raise Refused(Reason.OTHER_AXIS, "an operand is broadcast along the axis of the channels")


def _data(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    if value is None:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} has no data")
    return value


_COMBINATIONS: dict[str, Callable[[Workspace, ir.Node, Spread, Plan, int], None]] = {
    "Concat": _concat,
    "Add": _sum,
    "Sub": _sum,
    "Sum": _sum,
}

_REASONS = {"DequantizeLinear": Reason.QUANTISED, "QuantizeLinear": Reason.QUANTISED}
