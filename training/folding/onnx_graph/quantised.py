"""Weights behind a DequantizeLinear: scaling its scale keeps the integers as they are."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from training.folding.onnx_graph.attributes import int_attribute
from training.folding.onnx_graph.bias import Edit
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import Step, Weights
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Precise


def rescale(workspace: Workspace, node: ir.Node, operand: int, step: Step) -> list[Edit] | None:
    """How a scaling of dequantised weights goes into their scale, or None where they must become floats."""
    value = node.inputs[operand]
    source = value.producer() if value is not None else None
    if source is None or source.domain != "" or source.op_type != "DequantizeLinear" or value is None:
        return None
    if step.shift is not None or (step.scale.hi <= 0).any() or int_attribute(source, "block_size", 0):
        return None
    if len(value.uses()) != 1 or value.is_graph_output():
        return None
    stored = workspace.constants.array(source.inputs[0]).shape
    factor = _along_one_axis(step, stored)
    return None if factor is None else _edits(workspace, source, stored, *factor)


def _along_one_axis(step: Step, stored: tuple[int, ...]) -> tuple[int | None, Precise] | None:
    """Which axis of the stored integers the factors vary along, if it is only one."""
    if step.scale.hi.size == 1:
        return None, step.scale.reshape(())
    for axis, size in enumerate(stored):
        layout = [1] * len(stored)
        layout[axis] = size
        if step.scale.hi.size == size and _same_place(step, stored, axis):
            return axis, step.scale.reshape((size,))
    return None


def _same_place(step: Step, stored: tuple[int, ...], axis: int) -> bool:
    """Whether numbering the elements by the factor that meets them gives the index along the axis."""
    index = np.arange(stored[axis]).reshape([-1 if k == axis else 1 for k in range(len(stored))])
    factor = np.arange(step.scale.hi.size).reshape(step.scale.shape)
    seen = np.broadcast_to(factor, step.view).reshape(stored)
    return bool((seen == index).all())


def _edits(
    workspace: Workspace, source: ir.Node, stored: tuple[int, ...], axis: int | None, factor: Precise
) -> list[Edit] | None:
    scale = workspace.constants.weights(source.inputs[1])
    values = scale.exact()
    per_axis = values.hi.size > 1 or len(values.shape) == 1
    old_axis = (
        int_attribute(source, "axis", 1) % max(1, len(stored)) if per_axis and values.hi.size > 1 else None
    )
    if axis is not None and ((old_axis is not None and old_axis != axis) or workspace.opset < 13):
        return None
    product = values.reshape((-1,) if per_axis else ()) * factor
    scaled = Weights.of(product, scale.dtype, scale.name)
    try:
        scaled.check_range()
    except Refused:
        return None
    edits: list[Edit] = [lambda: workspace.set_weights(source, 1, scaled)]
    if axis is not None:
        edits.append(lambda: source.attributes.add(ir.AttrInt64("axis", axis)))
        edits += _zero_point_edits(workspace, source, stored[axis])
    return edits


def _zero_point_edits(workspace: Workspace, source: ir.Node, size: int) -> list[Edit]:
    """One zero point for each scale."""
    if len(source.inputs) < 3 or source.inputs[2] is None:
        return []
    zero = source.inputs[2]
    values = workspace.constants.array(zero)
    if values.size == size and values.ndim == 1:
        return []
    wider = np.ascontiguousarray(np.broadcast_to(values.reshape(-1)[:1], (size,)))
    return [lambda: workspace.set_tensor(source, 2, wider, f"{zero.name}_wide")]
