"""Operators that an affine passes: what it becomes on the other side, in either direction.

Each rule gets the affine on one side and returns it laid out for the other. Going back, the affine stands
after the operator and is wanted before it; going forward, the reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from training.folding.onnx_graph.attributes import int_attribute, ints_attribute, string_attribute
from training.folding.onnx_graph.facts import Shape
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.regroup import regroup
from training.folding.onnx_graph.spread import Spread
from training.folding.onnx_graph.weights import FLOATS, largest_of
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Array
from training.folding.report import Reason

Passage = Callable[[Workspace, ir.Node, Spread, bool], Spread]


def passage(node: ir.Node) -> Passage | None:
    """How an affine passes a node, or None where it cannot."""
    return _PASSAGES.get(node.op_type) if node.domain == "" else None


def _same(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    return spread


def _dropout(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    """In eval mode it does nothing; in training mode, which opset 12 made an input, it is random."""
    training = bool(node.inputs[2:]) and node.inputs[2] is not None
    if training and workspace.constants.array(node.inputs[2]).any():
        raise Refused(Reason.TRAINING_MODE, f"{node.name} is a Dropout in training mode")
    if workspace.opset < 7 and not int_attribute(node, "is_test", 0):
        raise Refused(Reason.TRAINING_MODE, f"{node.name} is a Dropout in training mode")
    return spread


def _cast(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    """Between floats. What follows the fold must still fit the shorter of the two."""
    dtypes = [
        workspace.facts.dtype(value) for value in (node.inputs[0], node.outputs[0]) if value is not None
    ]
    if any(dtype not in FLOATS for dtype in dtypes):
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} casts to or from what is not floating")
    limit = min(largest_of(dtype) for dtype in dtypes if dtype is not None)
    # Forward, the raw x passes the cast from now on; back, the normalised y. Sixteen deviations are ample.
    with np.errstate(all="ignore"):
        reach = np.abs(spread.mean) + 16 * np.abs(spread.deviation) if forward else _reach(spread)
    if not np.all(reach <= limit):
        raise Refused(Reason.OUT_OF_RANGE, f"{node.name} casts to a type that ends at {limit:.3g}")
    return spread


def _reach(spread: Spread) -> Array:
    """How large the normalised values may be, going by the statistics of x."""
    centre = np.abs(spread.scale.hi * spread.mean + spread.shift.hi)
    return np.asarray(centre + 16 * np.abs(spread.scale.hi) * spread.deviation)


def _transpose(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    rank = len(spread.scale.shape)
    order = ints_attribute(node, "perm") or tuple(reversed(range(rank)))
    axes = order if forward else tuple(np.argsort(order))
    return spread.moved(lambda array: np.transpose(array, axes))


def _reshape(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    before, after = workspace.shape(node.inputs[0]), workspace.shape(node.outputs[0])
    return _regrouped(spread, before, after, forward)


def _flatten(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    before = workspace.shape(node.inputs[0])
    axis = int_attribute(node, "axis", 1)
    axis += len(before) if axis < 0 else 0
    return _regrouped(spread, before, (_size(before[:axis]), _size(before[axis:])), forward)


def _regrouped(spread: Spread, before: Shape, after: Shape, forward: bool) -> Spread:
    return spread.moved(regroup(before, after) if forward else regroup(after, before))


def _size(dims: Shape) -> int | str | None:
    known = [dim for dim in dims if isinstance(dim, int)]
    if len(known) == len(dims):
        return math.prod(known)
    return dims[0] if len(dims) == 1 else None


def _squeeze(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    before = workspace.shape(node.inputs[0])
    axes = _axes(workspace, node)
    if axes is None:
        if None in before or any(isinstance(dim, str) for dim in before):
            raise Refused(Reason.UNKNOWN_SHAPE, f"{node.name} squeezes axes of unknown size")
        axes = tuple(k for k, dim in enumerate(before) if dim == 1)
    gone = tuple(sorted(axis % len(before) for axis in axes))
    move = np.squeeze if forward else np.expand_dims
    return spread.moved(lambda array: move(array, gone))


def _unsqueeze(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    axes = _axes(workspace, node) or ()
    rank = workspace.rank(node.inputs[0]) + len(axes)
    new = tuple(sorted(axis % rank for axis in axes))
    move = np.expand_dims if forward else np.squeeze
    return spread.moved(lambda array: move(array, new))


def _axes(workspace: Workspace, node: ir.Node) -> tuple[int, ...] | None:
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        return tuple(int(axis) for axis in workspace.constants.array(node.inputs[1]).reshape(-1))
    return ints_attribute(node, "axes")


def _mean_pool(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    """The mean of an affine is the affine of the mean, where padding adds no zeros to it."""
    spread = _pooled(node, spread)
    padded = any(ints_attribute(node, "pads") or ()) or int_attribute(node, "ceil_mode", 0)
    padded = padded or string_attribute(node, "auto_pad", "NOTSET").startswith("SAME")
    if padded and int_attribute(node, "count_include_pad", 0) and not spread.shift.is_zero:
        raise Refused(Reason.ZERO_PADDING, f"{node.name} averages zeros of its padding")
    return spread


def _max_pool(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    spread = _pooled(node, spread)
    if (spread.scale.hi < 0).any():
        raise Refused(Reason.NEGATIVE_SCALE, f"{node.name} takes the largest, a negative scale the smallest")
    if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        raise Refused(Reason.OUTPUT_ALSO_USED, f"the indices of {node.name} are used")
    return spread


def _pooled(node: ir.Node, spread: Spread) -> Spread:
    return spread.still(range(2, len(spread.scale.shape)), f"{node.op_type} runs over")


def _reduce_mean(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    rank = workspace.rank(node.inputs[0])
    axes = _axes(workspace, node)
    if axes is None and int_attribute(node, "noop_with_empty_axes", 0):
        return spread
    gone = tuple(sorted(axis % rank for axis in axes)) if axes is not None else tuple(range(rank))
    keep = bool(int_attribute(node, "keepdims", 1))
    if not forward:
        return spread if keep else spread.moved(lambda array: np.expand_dims(array, gone))
    spread = spread.still(gone, "ReduceMean runs over")
    return spread if keep else spread.moved(lambda array: np.squeeze(array, gone))


def _pad(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    """Padding by copies of what is there commutes with any affine; padding by zeros with a scale alone."""
    spread = spread.still(_padded_axes(workspace, node, len(spread.scale.shape)), f"{node.name} pads")
    if string_attribute(node, "mode", "constant") == "constant" and not spread.shift.is_zero:
        raise Refused(Reason.ZERO_PADDING, f"{node.name} pads with a constant")
    if string_attribute(node, "mode", "constant") == "constant" and _pad_value(workspace, node) != 0:
        raise Refused(Reason.ZERO_PADDING, f"{node.name} pads with a constant other than 0")
    return spread


def _padded_axes(workspace: Workspace, node: ir.Node, rank: int) -> tuple[int, ...]:
    attribute = ints_attribute(node, "pads")
    if attribute is None and len(node.inputs) > 3 and node.inputs[3] is not None:
        return tuple(range(rank))
    pads = np.array(attribute) if attribute is not None else workspace.constants.array(node.inputs[1])
    return tuple(axis for axis in range(rank) if pads[axis] or pads[axis + rank])


def _pad_value(workspace: Workspace, node: ir.Node) -> float:
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        return float(workspace.constants.array(node.inputs[2]).reshape(-1)[0])
    value = node.attributes.get("value")
    return float(value.as_float()) if value is not None else 0.0


def _resize(workspace: Workspace, node: ir.Node, spread: Spread, forward: bool) -> Spread:
    """Interpolation weighs neighbours by numbers that sum to 1, except where it reads outside."""
    mode = string_attribute(node, "mode", "nearest")
    outside = string_attribute(node, "coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if mode not in ("nearest", "linear", "bilinear") or outside:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} resizes in mode {mode}")
    return _pooled(node, spread)


_PASSAGES: dict[str, Passage] = {
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "GlobalAveragePool": _mean_pool,
    "AveragePool": _mean_pool,
    "MaxPool": _max_pool,
    "GlobalMaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
