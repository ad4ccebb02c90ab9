"""Recognising a normalisation: every operator that is affine in one operand when the others are constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from training.folding.onnx_graph.attributes import float_attribute, floats_attribute, int_attribute
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import Spread
from training.folding.onnx_graph.weights import FLOATS
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Precise
from training.folding.report import Reason


@dataclass(frozen=True, eq=False)
class Form:
    """One affine operator.

    Attributes:
        node: the operator.
        data: which operand is normalised.
        spread: its scale and shift over the axes of that operand.
    """

    node: ir.Node
    data: int
    spread: Spread

    @property
    def source(self) -> ir.Value:
        """What is normalised."""
        value = self.node.inputs[self.data]
        assert value is not None  # noqa: S101 - recognised with a data operand
        return value

    @property
    def result(self) -> ir.Value:
        """The normalised value."""
        return self.node.outputs[0]


NORMALISATIONS = {("", "BatchNormalization"), ("ai.onnx.ml", "Scaler")}
"""Operators that are always worth a line in the report, folded or not."""


def recognise(workspace: Workspace, node: ir.Node) -> Form | None:
    """The affine that a node is, or None for any other node.

    Raises:
        Refused: it is a normalisation whose parameters cannot be used.
    """
    rule = _RULES.get((node.domain, node.op_type))
    form = rule(workspace, node) if rule else None
    if form is not None and not form.spread.is_finite:
        raise Refused(Reason.NON_FINITE, "a scale or shift is not a finite number")
    return form


def _batch_norm(workspace: Workspace, node: ir.Node) -> Form:
    _check_inference_mode(workspace, node)
    gamma, beta, mean, var = (workspace.constants.precise(value) for value in node.inputs[1:5])
    for name, parameter in (("γ", gamma), ("β", beta), ("mean", mean), ("variance", var)):
        if not parameter.is_finite:
            raise Refused(Reason.NON_FINITE, f"its {name} has a value that is not a finite number")
    if len({parameter.shape for parameter in (gamma, beta, mean, var)}) != 1:
        raise Refused(Reason.UNKNOWN_SHAPE, "its parameters differ in shape")
    epsilon = np.float32(float_attribute(node, "epsilon", 1e-5))
    total = var + Precise.of(epsilon)
    if not (total.hi > 0).all():
        raise Refused(Reason.NEGATIVE_VARIANCE, f"the smallest variance + ε is {total.hi.min():.3g}")
    scale = gamma / total.sqrt()
    spread = _by_channel(workspace, node, scale, beta - scale * mean)
    layout = spread.scale.shape
    known = Spread(spread.scale, spread.shift, mean.hi.reshape(layout), np.sqrt(total.hi).reshape(layout))
    return Form(node, 0, known)


def _by_channel(workspace: Workspace, node: ir.Node, scale: Precise, shift: Precise) -> Spread:
    rank = workspace.rank(node.inputs[0])
    if rank == 1 and scale.hi.size == 1:  # a vector is a batch of single-channel rows
        return Spread.over(0, 1, scale, shift)
    if rank < 2 or len(scale.shape) != 1:
        raise Refused(Reason.UNKNOWN_SHAPE, f"its input has rank {rank}, its scale {len(scale.shape)}")
    shape = workspace.shape(node.inputs[0])
    if node.inputs[0] is not None and shape[1] is None:  # the operator says what inference could not
        workspace.facts.learn(node.inputs[0], (shape[0], scale.hi.size, *shape[2:]))
    return Spread.over(1, rank, scale, shift)


def _check_inference_mode(workspace: Workspace, node: ir.Node) -> None:
    extra = [out for out in node.outputs[1:] if out.name and (out.uses() or out.is_graph_output())]
    declared = sum(bool(out.name) for out in node.outputs)
    by_default = 0 if workspace.opset < 7 else 1
    if int_attribute(node, "training_mode", 0) or not int_attribute(node, "is_test", by_default):
        raise Refused(Reason.TRAINING_MODE, "it normalises by the statistics of the batch")
    if extra or (workspace.opset < 14 and declared > 1):
        raise Refused(Reason.TRAINING_MODE, "it returns running statistics, as in training")
    if not int_attribute(node, "spatial", 1):
        raise Refused(Reason.SPATIAL, "spatial=0 normalises each position by statistics of its own")


def _scaler(workspace: Workspace, node: ir.Node) -> Form:
    """(x − offset) · scale over the last axis; one number may serve all features."""
    shape = workspace.shape(node.inputs[0])
    rank = len(shape)
    workspace.facts.learn(node.outputs[0], shape)  # ONNX infers nothing for this operator
    workspace.facts.set_dtype(node.outputs[0], ir.DataType.FLOAT)
    offset = Precise.of(np.array(floats_attribute(node, "offset") or (0.0,), np.float32))
    scale = Precise.of(np.array(floats_attribute(node, "scale") or (1.0,), np.float32))
    features = (max(scale.hi.size, offset.hi.size),)
    scale = scale.map(lambda part: np.broadcast_to(part, features))
    offset = offset.map(lambda part: np.broadcast_to(part, features))
    spread = Spread.over(rank - 1, rank, scale, -(scale * offset))
    with np.errstate(all="ignore"):
        deviation = np.where(scale.hi == 0, 0.0, 1 / np.abs(scale.hi))
    layout = spread.scale.shape
    return Form(
        node, 0, Spread(spread.scale, spread.shift, offset.hi.reshape(layout), deviation.reshape(layout))
    )


def _elementwise(
    build: Callable[[Precise, bool], tuple[Precise, Precise] | None], workspace: Workspace, node: ir.Node
) -> Form | None:
    """An operator of two operands, of which exactly one is constant and does not widen the other."""
    if len(node.inputs) != 2 or node.inputs[0] is None or node.inputs[1] is None:
        return None
    constant = [workspace.constants.is_floating(value) for value in node.inputs]
    if constant[0] == constant[1]:
        return None
    data = 0 if constant[1] else 1
    source = node.inputs[data]
    if source is None or workspace.facts.dtype(source) not in FLOATS:
        return None
    layout = _laid_out(workspace, node, data)
    parts = build(layout, bool(data)) if layout is not None else None
    return Form(node, data, Spread.affine(*parts)) if parts else None


def _laid_out(workspace: Workspace, node: ir.Node, data: int) -> Precise | None:
    """The constant with the rank of the other operand, or None if it would change that operand's shape."""
    try:
        shape = workspace.shape(node.inputs[data])
    except Refused:
        return None
    constant = workspace.constants.precise(node.inputs[1 - data])
    missing = len(shape) - len(constant.shape)
    if missing < 0:
        return None
    trailing = 0
    if workspace.opset < 7 and (axis := int_attribute(node, "axis", -1)) >= 0:  # before NumPy's rules
        trailing = missing - axis
    if trailing < 0 or trailing > missing:
        return None
    placed = constant.reshape((*(1,) * (missing - trailing), *constant.shape, *(1,) * trailing))
    fits = all(size in (1, dim) for size, dim in zip(placed.shape, shape, strict=True))
    return placed if fits else None


def _zero(like: Precise) -> Precise:
    return Precise.of(np.zeros((1,) * len(like.shape)))


def _one(like: Precise) -> Precise:
    return Precise.of(np.ones((1,) * len(like.shape)))


def _add(constant: Precise, first: bool) -> tuple[Precise, Precise]:
    return _one(constant), constant


def _subtract(constant: Precise, first: bool) -> tuple[Precise, Precise]:
    """x − c, or c − x."""
    return (-_one(constant), constant) if first else (_one(constant), -constant)


def _multiply(constant: Precise, first: bool) -> tuple[Precise, Precise]:
    return constant, _zero(constant)


def _divide(constant: Precise, first: bool) -> tuple[Precise, Precise] | None:
    return None if first else (_one(constant) / constant, _zero(constant))


_Rule = Callable[[Workspace, ir.Node], Form | None]


def _pair(build: Callable[[Precise, bool], tuple[Precise, Precise] | None]) -> _Rule:
    return lambda workspace, node: _elementwise(build, workspace, node)


_RULES: dict[tuple[str, str], _Rule] = {
    ("", "BatchNormalization"): _batch_norm,
    ("ai.onnx.ml", "Scaler"): _scaler,
    ("", "Add"): _pair(_add),
    ("", "Sub"): _pair(_subtract),
    ("", "Mul"): _pair(_multiply),
    ("", "Div"): _pair(_divide),
}
