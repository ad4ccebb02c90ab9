"""The graph while it is folded: its facts, its constants, and the few edits that folding makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from training.folding.onnx_graph.constants import Constants
from training.folding.onnx_graph.facts import Dim, Facts, Shape
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import Weights
from training.folding.report import Reason


class Workspace:
    """One model being folded.

    Attributes:
        constants: what is constant.
        facts: shapes and element types.
        touched: linear nodes that took something over.
    """

    def __init__(self, model: ir.Model, facts: Facts) -> None:
        self.model = model
        self.facts = facts
        self.opset = model.opset_imports.get("") or model.opset_imports.get("ai.onnx", 1)
        self.constants = Constants(model, facts.dtype)
        self.touched: set[ir.Node] = set()
        self._names = {name for graph in model.graphs() for name in _names(graph)}

    def private(self, value: ir.Value, consumer: ir.Node) -> ir.Node:
        """The node that makes a value which nothing but `consumer` sees.

        Raises:
            Refused: the value is seen elsewhere, or no node of this graph makes it.
        """
        node = value.producer()
        if node is None:
            raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{value.name} enters the graph from outside")
        if node.graph is not consumer.graph:
            raise Refused(Reason.CAPTURED, f"{value.name} comes from the graph around this one")
        if value.is_graph_output():
            raise Refused(Reason.GRAPH_OUTPUT, f"{value.name} is an output of the graph")
        uses = value.uses()
        if any(use.node.graph is not node.graph for use in uses):
            raise Refused(Reason.CAPTURED, f"{value.name} is also used inside a subgraph")
        if len(uses) > 1:
            raise Refused(Reason.OUTPUT_ALSO_USED, f"{value.name} has {len(uses)} uses")
        return node

    def sole_consumer(self, value: ir.Value) -> ir.Node | None:
        """The only node that sees a value, if it is in the same graph."""
        uses = value.uses()
        producer = value.producer()
        if len(uses) != 1 or value.is_graph_output() or producer is None:
            return None
        node = next(iter(uses)).node
        return node if node.graph is producer.graph else None

    def shape(self, value: ir.Value | None) -> Shape:
        """The dimensions of a value.

        Raises:
            Refused: not even the rank is known.
        """
        known = self.facts.shape(value) if value is not None else None
        if known is None and value is not None:
            known = self._shape_from_operator(value) or self._shape_from_readers(value, _NEAR)
        if known is None:
            raise Refused(Reason.UNKNOWN_SHAPE, f"the rank of {value and value.name} is not known")
        return known

    def rank(self, value: ir.Value | None) -> int:
        """How many axes a value has.

        Raises:
            Refused: it is not known.
        """
        return len(self.shape(value))

    def _shape_from_operator(self, value: ir.Value) -> Shape | None:
        """What an operator gives away about its result even if its input is unknown."""
        node = value.producer()
        if node is None or node.domain != "" or value is not node.outputs[0]:
            return None
        try:
            shape = self._shape_of_result(node)
        except (Refused, RecursionError):
            return None
        if shape is not None:
            self.facts.learn(value, shape)
        return shape

    def _shape_of_result(self, node: ir.Node) -> Shape | None:
        if node.op_type == "Gemm":
            return (None, None)
        if node.op_type in _RANK_OF_WEIGHTS:
            weights = self.constants.weights(node.inputs[1]).shape
            channels: Dim = weights[0] if node.op_type == "Conv" else None
            return (None, channels, *(None for _ in weights[2:]))
        if node.op_type in _SAME_SHAPE:
            return self.shape(node.inputs[0])
        return self._broadcast_rank(node) if node.op_type in _BROADCAST else None

    def _broadcast_rank(self, node: ir.Node) -> Shape | None:
        ranks = [self.rank(value) for value in node.inputs]
        return (None,) * max(ranks) if node.op_type != "MatMul" or min(ranks) > 1 else None

    def _shape_from_readers(self, value: ir.Value, steps: int) -> Shape | None:
        """The rank that an operator behind a value demands."""
        for use in value.uses() if steps else ():
            node = use.node
            if node.domain != "" or use.idx != 0:
                continue
            shape: Shape | None = None
            if node.op_type in _RANK_OF_WEIGHTS and self.constants.is_floating(node.inputs[1]):
                shape = (None,) * len(self.constants.weights(node.inputs[1]).shape)
            elif node.op_type == "Gemm":
                shape = (None, None)
            elif node.op_type in _SAME_SHAPE:
                shape = self._shape_from_readers(node.outputs[0], steps - 1)
            if shape is not None:
                return shape
        return None

    def unique(self, wanted: str) -> str:
        """A name that nothing in the model has."""
        name, count = wanted, 0
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def set_weights(self, node: ir.Node, index: int, weights: Weights) -> None:
        """Give an operand new values; the old constant is left to its other users or removed."""
        name = self.unique(f"{weights.name}_folded")
        compute = partial(_compute, weights)
        tensor = ir.LazyTensor(compute, weights.dtype, ir.Shape(weights.shape), name=name)
        value = self._set_operand(node, index, tensor)
        self.constants.made[value] = weights

    def set_tensor(self, node: ir.Node, index: int, array: NDArray[np.generic], wanted: str) -> None:
        """Give an operand new values that are not floating numbers to be rounded."""
        self._set_operand(node, index, ir.tensor(array, name=self.unique(wanted)))

    def _set_operand(self, node: ir.Node, index: int, tensor: ir.TensorProtocol) -> ir.Value:
        old = node.inputs[index] if index < len(node.inputs) else None
        shape = ir.Shape(tensor.shape)  # type: ignore[arg-type]
        kind = ir.TensorType(tensor.dtype)
        value = ir.Value(name=tensor.name, type=kind, shape=shape, const_value=tensor)
        self._register(value, node, old)
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, value)
        self._take_over(value, old)
        for out in node.outputs:
            self.constants.forget(out)
        return value

    def _register(self, value: ir.Value, node: ir.Node, old: ir.Value | None) -> None:
        graph = node.graph
        if old is not None and old.is_initializer() and old.graph is not None:
            graph = old.graph
        if self.model.ir_version < 4:
            graph = self.model.graph
            graph.inputs.append(value)
        assert isinstance(graph, ir.Graph)  # noqa: S101 - local functions were inlined before
        graph.register_initializer(value)

    def _take_over(self, value: ir.Value, old: ir.Value | None) -> None:
        """Where the old constant goes, the new one takes its name."""
        if old is None:
            return
        was_stored, name = old.is_initializer(), old.name
        self.release(old)
        if was_stored and not old.is_initializer():
            value.name = name

    def align(self, node: ir.Node, shape: tuple[int, ...]) -> None:
        """Before opset 7, say along which axis an operand of this layout is broadcast."""
        if self.opset < 7:
            axis = next((k for k, size in enumerate(shape) if size != 1), len(shape) - 1)
            node.attributes.add(ir.AttrInt64("broadcast", 1))
            node.attributes.add(ir.AttrInt64("axis", axis))

    def release(self, value: ir.Value | None) -> None:
        """Remove a constant that nothing uses any more, and what only it used."""
        if value is None or value.uses() or value.is_graph_output():
            return
        node = value.producer()
        if node is not None:
            self.remove(node)
        elif value.is_initializer() and (self.model.ir_version < 4 or not value.is_graph_input()):
            _forget_initializer(value)

    def remove(self, node: ir.Node) -> None:
        """Remove a node whose outputs nothing uses, and the constants that only it used."""
        if any(out.uses() or out.is_graph_output() for out in node.outputs) or node.graph is None:
            return
        operands = [value for value in node.inputs if value is not None]
        node.graph.remove(node, safe=True)
        for operand in operands:
            if self.constants.is_constant(operand):
                self.release(operand)

    def bypass(self, node: ir.Node, value: ir.Value) -> None:
        """Let everything that saw the node's result see `value`, and remove the node."""
        out = node.outputs[0]
        keep_name = out.is_graph_output()
        name = out.name
        if keep_name:
            value.shape, value.type = out.shape, out.type
        out.replace_all_uses_with(value, replace_graph_outputs=True)
        self.remove(node)
        if keep_name:
            value.name = name

    def dissolve(self, nodes: Sequence[ir.Node], source: ir.Value, result: ir.Value) -> None:
        """Let everything that saw `result` see `source`, which it was made of by `nodes`."""
        dtype, wanted = self.facts.dtype(source), self.facts.dtype(result)
        if dtype != wanted and wanted is not None:  # a Scaler also turns integers into floats
            cast = ir.Node("", "Cast", [source], [ir.AttrInt64("to", wanted.value)], num_outputs=1)
            cast.name = self.unique(f"{nodes[-1].name}_cast")
            cast.outputs[0].name = self.unique(f"{result.name}_cast")
            self.replace(nodes, cast, result)
            return
        result.replace_all_uses_with(source)
        for node in reversed(nodes):
            self.remove(node)

    def insert_after(self, value: ir.Value, op_type: str, operands: Sequence[ir.Value | None]) -> ir.Node:
        """A node that takes `value` first and whose result everything sees that saw `value`."""
        producer = value.producer()
        assert producer is not None and producer.graph is not None  # noqa: S101, PT018 - a linear node
        uses = list(value.uses())
        result = self._new_value(value)
        name = self.unique(f"{value.name}_{op_type}")
        node = ir.Node("", op_type, [value, *operands], outputs=[result], name=name)
        for use in uses:
            use.node.replace_input_with(use.idx, result)
        producer.graph.insert_after(producer, node)
        self._hand_on_output(producer.graph, value, result)
        return node

    def _hand_on_output(self, graph: ir.Graph, value: ir.Value, result: ir.Value) -> None:
        """If `value` was an output of the graph, `result` is that output from now on."""
        for position, out in enumerate(graph.outputs):
            if out is value:
                graph.outputs[position] = result
                value.name, result.name = result.name, value.name

    def replace(self, old: Iterable[ir.Node], new: ir.Node, out: ir.Value) -> None:
        """Put a node in the place of others; `out` is the result it takes over."""
        nodes = list(old)
        result, name, is_output = new.outputs[0], out.name, out.is_graph_output()
        graph = nodes[-1].graph
        assert graph is not None  # noqa: S101 - nodes being replaced are in a graph
        result.shape, result.type = out.shape, out.type
        self.facts.inherit(result, out)
        graph.insert_before(nodes[-1], new)
        out.replace_all_uses_with(result, replace_graph_outputs=True)
        for node in reversed(nodes):
            self.remove(node)
        result.name = name if is_output else result.name

    def _new_value(self, model: ir.Value) -> ir.Value:
        value = ir.Value(name=self.unique(f"{model.name}_folded"), type=model.type, shape=model.shape)
        self.facts.inherit(value, model)
        return value


_NEAR = 8
"""Operators behind a value that are asked for its rank."""

_RANK_OF_WEIGHTS = {"Conv", "ConvTranspose"}
_BROADCAST = {"MatMul", "Add", "Sub", "Mul", "Div"}
_SAME_SHAPE = {"BatchNormalization", "Identity", "Dropout", "Cast", "Relu", "Sigmoid", "Tanh", "LeakyRelu"}


def _compute(weights: Weights) -> ir.TensorProtocol:
    return ir.Tensor(weights.rounded(), dtype=weights.dtype)


def _forget_initializer(value: ir.Value) -> None:
    graph = value.graph
    assert isinstance(graph, ir.Graph)  # noqa: S101 - an initialiser belongs to a graph
    if value.is_graph_input():
        graph.inputs.remove(value)
    graph.initializers.pop(value.name or "")


def _names(graph: ir.Graph) -> Iterable[str]:
    for value in (*graph.inputs, *graph.initializers.values()):
        yield value.name or ""
    for node in graph:
        yield node.name or ""
        for out in node.outputs:
            yield out.name or ""
