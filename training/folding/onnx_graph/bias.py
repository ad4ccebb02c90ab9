"""Where a linear operator keeps its bias, and how a new one gets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import onnx_ir as ir

from training.folding.onnx_graph.attributes import float_attribute
from training.folding.onnx_graph.forms import Form, recognise
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import still
from training.folding.onnx_graph.weights import Weights
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Precise

if TYPE_CHECKING:
    from training.folding.onnx_graph.linear import Linear

Edit = Callable[[], object]


class Bias(Protocol):
    """A place for a constant that is added to every result."""

    def read(self, workspace: Workspace, linear: Linear) -> Precise:
        """What is there now, laid out over the axes of the result; zeros if nothing is.

        Raises:
            Refused: something is there that is not constant.
        """

    def edits(self, workspace: Workspace, linear: Linear, values: Precise, beside: float) -> list[Edit]:
        """How `values`, laid out over the axes of the result, get there.

        Raises:
            Refused: they vary along an axis that this bias does not have, or leave the range of the dtype.
        """


@dataclass(frozen=True)
class VectorBias:
    """An operand that covers some axes of the result, such as the channels of a Conv."""

    index: int
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def read(self, workspace: Workspace, linear: Linear) -> Precise:
        operand = _operand(linear.node, self.index)
        if operand is None:
            return _zeros(linear.rank)
        layout = [1] * linear.rank
        values = workspace.constants.precise(operand)
        for axis, size in zip(self.axes, values.shape, strict=True):
            layout[axis] = size
        return values.reshape(layout)

    def edits(self, workspace: Workspace, linear: Linear, values: Precise, beside: float) -> list[Edit]:
        others = [axis for axis in range(linear.rank) if axis not in self.axes]
        kept = still(values, others, f"the bias of {linear.name} does not have")
        kept = kept.reshape(kept.shape[axis] for axis in self.axes)
        kept = kept.map(lambda part: np.broadcast_to(part, self.shape))
        return _operand_edits(workspace, linear, self.index, kept, beside)


@dataclass(frozen=True)
class GemmBias:
    """β·C of a Gemm, of any shape that broadcasts to the result; β becomes 1.

    Attributes:
        columns: how many columns the result has, where the weights tell.
    """

    columns: int | None

    def read(self, workspace: Workspace, linear: Linear) -> Precise:
        operand = _operand(linear.node, 2)
        beta = float_attribute(linear.node, "beta", 1.0)
        if operand is None or beta == 0:
            return _zeros(2)
        values = workspace.constants.precise(operand) * Precise.of(beta)
        return values.reshape((1,) * (2 - len(values.shape)) + values.shape)

    def edits(self, workspace: Workspace, linear: Linear, values: Precise, beside: float) -> list[Edit]:
        if values.shape[0] == 1 and self.columns is not None:
            columns = self.columns
            values = values.map(lambda part: np.broadcast_to(part.reshape(-1), (columns,)))
        edits = _operand_edits(workspace, linear, 2, values, beside)
        return [*edits, lambda: self._plain(workspace, linear.node)] if edits else []

    def _plain(self, workspace: Workspace, node: ir.Node) -> None:
        node.attributes.pop("beta", None)
        if workspace.opset < 7:
            node.attributes.add(ir.AttrInt64("broadcast", 1))


@dataclass(frozen=True)
class AddedBias:
    """An Add or Sub of a constant behind the operator, made when there is none."""

    def read(self, workspace: Workspace, linear: Linear) -> Precise:
        form = self.form(workspace, linear.node)
        return _zeros(linear.rank) if form is None else form.spread.shift

    def edits(self, workspace: Workspace, linear: Linear, values: Precise, beside: float) -> list[Edit]:
        form = self.form(workspace, linear.node)
        if form is not None:
            sign = -values if form.node.op_type == "Sub" else values
            added = _weights(workspace, linear, form.node.inputs[1 - form.data], _trimmed(sign), beside)
            return [lambda: workspace.set_weights(form.node, 1 - form.data, added)]
        if values.is_zero:
            return []
        added = _weights(workspace, linear, None, _trimmed(values), beside)
        return [lambda: _insert(workspace, linear, added, values)]

    def form(self, workspace: Workspace, node: ir.Node) -> Form | None:
        """The bias that follows a node, if one does."""
        consumer = workspace.sole_consumer(node.outputs[0])
        if consumer is None or consumer.domain != "" or consumer.op_type not in ("Add", "Sub"):
            return None
        try:
            form = recognise(workspace, consumer)
        except Refused:
            return None
        return form if form is not None and form.spread.scale.is_one else None


@dataclass(frozen=True)
class OwnBias:
    """A table of embeddings takes the shift into its own elements."""

    def read(self, workspace: Workspace, linear: Linear) -> Precise:
        return _zeros(linear.rank)

    def edits(self, workspace: Workspace, linear: Linear, values: Precise, beside: float) -> list[Edit]:
        return []


def _insert(workspace: Workspace, linear: Linear, added: Weights, values: Precise) -> None:
    node = workspace.insert_after(linear.node.outputs[0], "Add", [None])
    workspace.set_weights(node, 1, added)
    workspace.align(node, values.shape)


def _operand(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _operand_edits(
    workspace: Workspace, linear: Linear, index: int, values: Precise, beside: float
) -> list[Edit]:
    operand = _operand(linear.node, index)
    if operand is None and values.is_zero:
        return []
    weights = _weights(workspace, linear, operand, values, beside)
    return [lambda: workspace.set_weights(linear.node, index, weights)]


def _weights(
    workspace: Workspace, linear: Linear, old: ir.Value | None, values: Precise, beside: float
) -> Weights:
    name = (old.name if old is not None else None) or f"{linear.weights.name}_bias"
    dtype = workspace.facts.dtype(linear.node.outputs[0]) or linear.weights.dtype
    if old is not None and (known := workspace.facts.dtype(old)) is not None:
        dtype = known
    weights = Weights.of(values, dtype, name, beside)
    weights.check_range()
    return weights


def _trimmed(values: Precise) -> Precise:
    """Without leading axes of size 1, as people write biases."""
    shape = values.shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return values.reshape(shape)


def _zeros(rank: int) -> Precise:
    return Precise.of(np.zeros((1,) * rank))
