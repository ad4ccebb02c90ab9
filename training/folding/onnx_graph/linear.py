"""Linear operators, all seen alike: constant weights, what their axes carry, and a bias.

A `Linear` looks at its weights in a shape (`view`) in which every axis has one meaning; a grouped Conv, for
example, as (groups, out, in, kernel…). `out` says which of these axes carry an axis of the result and `into`
which carry an axis of the data operand. That map, and no comparison of sizes, decides where an affine may go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from training.folding.onnx_graph.attributes import (
    float_attribute,
    int_attribute,
    ints_attribute,
    string_attribute,
)
from training.folding.onnx_graph.bias import AddedBias, Bias, GemmBias, OwnBias, VectorBias
from training.folding.onnx_graph.equation import Equation, parse
from training.folding.onnx_graph.padding import effective_padding
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import Weights
from training.folding.onnx_graph.workspace import Workspace
from training.folding.report import Reason

AxisMap = Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear operator with constant weights.

    Attributes:
        node: the operator.
        operand: which input is the weights.
        weights: their values.
        view: the shape they are looked at in.
        out: axis of the result → the axes of the view that carry it.
        into: axis of the data operand → the axes of the view that carry it.
        summed: the axes of the view over which products are summed.
        rank: of the result.
        bias: where a shift goes.
        gain: what the products are multiplied by besides.
        obstacle: why a constant on every input is not a constant on every output, or "" if it is.
    """

    node: ir.Node
    operand: int
    weights: Weights
    view: tuple[int, ...]
    out: AxisMap
    rank: int
    bias: Bias
    into: AxisMap = field(default_factory=dict)
    summed: tuple[int, ...] = ()
    gain: float = 1.0
    obstacle: str = ""

    @property
    def name(self) -> str:
        """As it is called in reports."""
        return self.node.name or self.node.outputs[0].name or self.node.op_type


_Builder = Callable[[Workspace, ir.Node, int], Linear]


def linears(workspace: Workspace, node: ir.Node) -> Iterator[Linear]:
    """The node seen as linear in each of its constant operands.

    Raises:
        Refused: the node is a linear operator without usable constant weights.
    """
    operands, build = _BUILDERS[node.op_type]
    refusal: Refused | None = None
    found = False
    for operand in operands or range(len(node.inputs)):
        try:
            workspace.constants.weights(node.inputs[operand] if operand < len(node.inputs) else None)
            linear = build(workspace, node, operand)
        except Refused as refused:
            refusal = refusal or refused
            continue
        found = True
        yield linear
    if not found and refusal is not None:
        raise refusal


def linear_for(workspace: Workspace, node: ir.Node, data: int) -> Linear:
    """The node seen as linear in the operand that is not its data.

    Raises:
        Refused: that operand is no usable constant, or the node has other operands.
    """
    operands, build = _BUILDERS[node.op_type]
    candidates = [k for k in operands or range(len(node.inputs)) if k != data]
    if data not in (0, 1) or len(candidates) != 1:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} is not linear in operand {data}")
    linear = build(workspace, node, candidates[0])
    if not linear.into:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} is not linear in operand {data}")
    return linear


def is_linear(node: ir.Node) -> bool:
    """Whether a node may take an affine into its weights."""
    return node.domain == "" and node.op_type in _BUILDERS


def _gemm(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    """α·A·B + β·C, with either factor constant."""
    weights = workspace.constants.weights(node.inputs[operand])
    flipped = [bool(int_attribute(node, name, 0)) for name in ("transA", "transB")]
    kept, summed = (
        ((1, 0) if operand else (0, 1)) if not flipped[operand] else ((0, 1) if operand else (1, 0))
    )
    inner = (1 if not flipped[0] else 0) if operand else (0 if not flipped[1] else 1)
    return Linear(
        node,
        operand,
        weights,
        weights.shape,
        out={operand: (kept,)},
        into={inner: (summed,)},
        summed=(summed,),
        rank=2,
        bias=GemmBias(weights.shape[kept] if operand else None),
        gain=float_attribute(node, "alpha", 1.0),
    )


def _matmul(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    weights = workspace.constants.weights(node.inputs[operand])
    other = workspace.rank(node.inputs[1 - operand])
    size = len(weights.shape)
    if size < 2 or other < 2:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} multiplies by a vector")
    rank = max(size, other)
    kept, summed = (size - 1, size - 2) if operand else (size - 2, size - 1)
    out = {rank - size + k: (k,) for k in range(size - 2)} | {rank - (1 if operand else 2): (kept,)}
    batch = {other - size + k: (k,) for k in range(size - 2) if other - size + k >= 0}
    into = batch | {other - (1 if operand else 2): (summed,)}
    return Linear(node, operand, weights, weights.shape, out, rank, AddedBias(), into=into, summed=(summed,))


def _einsum(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    equation = parse(workspace, node)
    weights = workspace.constants.weights(node.inputs[operand])
    labels = equation.operands[operand]
    out = {axis: (labels.index(label),) for axis, label in enumerate(equation.result) if label in labels}
    into, summed, obstacle = _einsum_data(equation, operand)
    rank = len(equation.result)
    return Linear(
        node,
        operand,
        weights,
        weights.shape,
        out,
        rank,
        AddedBias(),
        into=into,
        summed=summed,
        obstacle=obstacle,
    )


def _einsum_data(equation: Equation, operand: int) -> tuple[AxisMap, tuple[int, ...], str]:
    """Of two operands, how the other one's axes meet the weights."""
    if len(equation.operands) != 2:
        return {}, (), ""
    labels, data = equation.operands[operand], equation.operands[1 - operand]
    into = {axis: (labels.index(label),) for axis, label in enumerate(data) if label in labels}
    summed = tuple(k for k, label in enumerate(labels) if label not in equation.result)
    lost = [label for label in data if label not in labels and label not in equation.result]
    return into, summed, "sums an axis of the data that its weights do not have" if lost else ""


def _conv(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    weights = workspace.constants.weights(node.inputs[operand])
    groups = int_attribute(node, "group", 1)
    out, inner, *kernel = weights.shape
    return Linear(
        node,
        operand,
        weights,
        (groups, out // groups, inner, *kernel),
        out={1: (0, 1)},
        into={1: (0, 2)},
        summed=tuple(range(2, 3 + len(kernel))),
        rank=len(weights.shape),
        bias=VectorBias(3 if node.op_type == "DeformConv" else 2, (1,), (out,)),
        obstacle=effective_padding(workspace, node, tuple(kernel)),
    )


def _conv_transpose(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    weights = workspace.constants.weights(node.inputs[operand])
    groups = int_attribute(node, "group", 1)
    inner, out, *kernel = weights.shape
    return Linear(
        node,
        operand,
        weights,
        (groups, inner // groups, out, *kernel),
        out={1: (0, 2)},
        into={1: (0, 1)},
        summed=(1, *range(3, 3 + len(kernel))),
        rank=len(weights.shape),
        bias=VectorBias(2, (1,), (out * groups,)),
        obstacle=""
        if _is_pointwise(node, kernel)
        else "reaches each output from a different number of inputs",
    )


def _is_pointwise(node: ir.Node, kernel: list[int]) -> bool:
    strides = ints_attribute(node, "strides") or ()
    stretched = [ints_attribute(node, name) for name in ("pads", "output_padding", "output_shape")]
    fixed = string_attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return (
        math.prod(kernel) == 1
        and all(s == 1 for s in strides)
        and not any(any(s or ()) for s in stretched)
        and fixed
    )


def _gather(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    """An embedding: whole slices of a table, so an affine over the other axes may act on the table."""
    weights = workspace.constants.weights(node.inputs[operand])
    indices = workspace.rank(node.inputs[1])
    axis = int_attribute(node, "axis", 0) % len(weights.shape)
    out = {k if k < axis else k + indices - 1: (k,) for k in range(len(weights.shape)) if k != axis}
    return Linear(node, operand, weights, weights.shape, out, len(weights.shape) + indices - 1, OwnBias())


def _normaliser(workspace: Workspace, node: ir.Node, operand: int) -> Linear:
    """The learned scale and bias of another normalisation, which is linear in both."""
    weights = workspace.constants.weights(node.inputs[operand])
    rank = workspace.rank(node.inputs[0])
    first = 1 if node.op_type != "LayerNormalization" else rank - len(weights.shape)
    axes = tuple(range(first, first + len(weights.shape)))
    if node.op_type == "GroupNormalization" and workspace.opset < 21:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} has one scale per group")
    if rank < 2:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} normalises a vector")
    out = {axis: (k,) for k, axis in enumerate(axes)}
    return Linear(node, operand, weights, weights.shape, out, rank, VectorBias(2, axes, weights.shape))


_BUILDERS: dict[str, tuple[tuple[int, ...], _Builder]] = {
    "Gemm": ((1, 0), _gemm),
    "MatMul": ((1, 0), _matmul),
    "Einsum": ((), _einsum),
    "Conv": ((1,), _conv),
    "DeformConv": ((1,), _conv),
    "ConvTranspose": ((1,), _conv_transpose),
    "Gather": ((0,), _gather),
    "BatchNormalization": ((1,), _normaliser),
    "InstanceNormalization": ((1,), _normaliser),
    "LayerNormalization": ((1,), _normaliser),
    "GroupNormalization": ((1,), _normaliser),
}
