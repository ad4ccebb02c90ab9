"""Reading constants wherever a model keeps them: initialisers, Constant nodes, small expressions of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from training.folding.onnx_graph.attributes import int_attribute
from training.folding.onnx_graph.expressions import COMPUTED, EVALUATORS, along
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import FLOATS, Weights
from training.folding.precise import Precise
from training.folding.report import Reason

_SMALL = 4096
"""Elements of an operand up to which an expression is computed by the reference."""


class Constants:
    """Constants by value, read when first asked for.

    Attributes:
        made: constants that folding made and that no tensor holds yet, in full precision.
    """

    def __init__(self, model: ir.Model, dtype_of: Callable[[ir.Value], ir.DataType | None]) -> None:
        self._inputs_override = model.ir_version >= 4
        self._opset = model.opset_imports.get("", 1)
        self._computed: dict[ir.Value, NDArray[Any]] = {}
        self.dtype_of = dtype_of
        self._obstacles: dict[ir.Value, Refused] = {}
        self._evaluated: dict[ir.Value, Weights | Refused] = {}
        self.made: dict[ir.Value, Weights] = {}
        for graph in model.graphs():
            self._scan(graph)

    def _scan(self, graph: ir.Graph) -> None:
        """Note, in one pass, why each value is not constant."""
        for value in graph.inputs:
            if (obstacle := self._input_obstacle(value)) is not None:
                self._obstacles[value] = obstacle
        for node in graph:
            obstacle = self._node_obstacle(node)
            if obstacle is not None:
                self._obstacles.update(dict.fromkeys(node.outputs, obstacle))

    def _input_obstacle(self, value: ir.Value) -> Refused | None:
        if not value.is_initializer():
            return Refused(Reason.NOT_CONSTANT, f"{value.name} is an input of the graph")
        if self._inputs_override:
            return Refused(Reason.OVERRIDABLE_INPUT, f"a caller may override {value.name}")
        return None

    def _node_obstacle(self, node: ir.Node) -> Refused | None:
        if _is_standard(node, "Constant"):
            return None
        operands = node.inputs[:1] if node.op_type == "CastLike" else node.inputs  # the other gives its type
        found = [self._obstacles[value] for value in operands if value in self._obstacles]
        if node.domain != "" or node.op_type not in COMPUTED:
            return Refused(Reason.NOT_CONSTANT, f"{node.outputs[0].name} is computed by {node.op_type}")
        return max(found, key=lambda obstacle: obstacle.reason is Reason.NOT_CONSTANT, default=None)

    def weights(self, value: ir.Value | None) -> Weights:
        """A floating constant.

        Raises:
            Refused: it is not constant, may be overridden, has no data, or is not floating.
        """
        if value is None:
            raise Refused(Reason.NOT_CONSTANT, "an operand is absent")
        if value in self.made:
            return self.made[value]
        if value in self._obstacles:
            raise self._obstacles[value]
        if value not in self._evaluated:
            self._evaluated[value] = self._evaluated_or_refused(value)
        found = self._evaluated[value]
        if isinstance(found, Refused):
            raise found
        return found

    def _evaluated_or_refused(self, value: ir.Value) -> Weights | Refused:
        try:
            return self._evaluate(value)
        except Refused as refused:
            return refused
        except (
            ValueError,
            IndexError,
            TypeError,
            RuntimeError,
            RecursionError,
        ) as error:  # the model's fault: shapes that do not fit
            return Refused(Reason.NOT_CONSTANT, f"{value.name} cannot be computed: {error}")

    def precise(self, value: ir.Value | None) -> Precise:
        """All values of a floating constant.

        Raises:
            Refused: as `weights`.
        """
        return self.weights(value).exact()

    def is_floating(self, value: ir.Value | None) -> bool:
        """Whether `weights` would answer."""
        try:
            self.weights(value)
        except Refused:
            return False
        return True

    def is_constant(self, value: ir.Value) -> bool:
        """Whether a value is stored, or computed from stored values alone."""
        node = value.producer()
        if node is None:
            return value.is_initializer()
        computed = node.domain == "" and node.op_type in COMPUTED and value not in self._obstacles
        return computed or _is_standard(node, "Constant")

    def forget(self, value: ir.Value) -> None:
        """A value is computed from constants that have changed."""
        self._evaluated.pop(value, None)

    def array(self, value: ir.Value | None) -> NDArray[Any]:
        """Any constant as stored: shapes, axes, flags.

        Raises:
            Refused: as `weights`.
        """
        if value is None:
            raise Refused(Reason.NOT_CONSTANT, "an operand is absent")
        node = value.producer()
        if node is not None and _is_standard(node, "Identity"):
            return self.array(node.inputs[0])
        if node is not None and _is_standard(node, "QuantizeLinear") and value not in self._obstacles:
            return self._quantised(node)
        if node is not None and node.op_type in COMPUTED and value not in self._obstacles:
            return self._native(node)
        return _numpy(self._tensor(value))

    def _native(self, node: ir.Node) -> NDArray[Any]:
        """What a small constant expression of any type comes to, by ONNX's own reference."""
        out = node.outputs[0]
        if out not in self._computed:
            feeds = {
                str(value.name): self._operand(node, value) for value in node.inputs if value is not None
            }
            try:
                results: Any = ReferenceEvaluator(ir.to_proto(node), opsets={"": self._opset}).run(
                    None, feeds
                )
            except Exception as error:  # the reference raises whatever NumPy or its own checks raise
                raise Refused(Reason.NOT_CONSTANT, f"{out.name} cannot be computed: {error}") from error
            self._computed[out] = np.asarray(results[0])
        return self._computed[out]

    def _operand(self, node: ir.Node, value: ir.Value) -> NDArray[Any]:
        shape = self._shape(value)
        if node.op_type == "Shape":  # the elements do not matter, and may be many
            return np.broadcast_to(np.float32(0), shape)
        if int(np.prod(shape, dtype=np.int64)) > _SMALL:
            raise Refused(Reason.NOT_CONSTANT, f"{value.name} is a large operand of {node.op_type}")
        return self.weights(value).rounded() if self.is_floating(value) else self.array(value)

    def _shape(self, value: ir.Value) -> tuple[int, ...]:
        return self.weights(value).shape if self.is_floating(value) else self.array(value).shape

    def _quantised(self, node: ir.Node) -> NDArray[Any]:
        """Weights that the graph itself quantises: the nearest integer, halves to even, saturated."""
        values, scale = self.weights(node.inputs[0]), self.weights(node.inputs[1])
        given = len(node.inputs) > 2 and node.inputs[2] is not None
        zero = self.array(node.inputs[2]) if given else np.zeros(scale.shape, np.uint8)
        if zero.dtype not in (np.int8, np.uint8, np.int16, np.uint16) or int_attribute(node, "block_size", 0):
            raise Refused(Reason.QUANTISED, f"{node.name} quantises weights to {zero.dtype}")
        spread = partial(along, values.shape, int_attribute(node, "axis", 1), 0)
        stored = np.asarray(values.rounded(), np.float32)
        ratio = stored / spread(np.asarray(scale.rounded(), np.float32))
        limits = np.iinfo(zero.dtype)
        nearest = np.rint(ratio) + spread(zero.astype(np.float32))
        integers: NDArray[Any] = np.clip(nearest, limits.min, limits.max).astype(zero.dtype)
        return integers

    def _evaluate(self, value: ir.Value) -> Weights:
        node = value.producer()
        if node is not None and node.domain == "" and (evaluate := EVALUATORS.get(node.op_type)):
            return replace(evaluate(self, node), name=value.name or node.op_type)
        if node is not None and node.domain == "" and node.op_type in COMPUTED:
            return self._from_native(value, node)
        tensor = self._tensor(value)
        if tensor.dtype not in FLOATS:
            raise Refused(
                Reason.NOT_CONSTANT, f"{value.name} holds {tensor.dtype.name}, not floating numbers"
            )
        shape = tuple(int(size) for size in tensor.shape)  # type: ignore[arg-type]
        return Weights(partial(_numpy, tensor), shape, tensor.dtype, value.name or "constant")

    def _from_native(self, value: ir.Value, node: ir.Node) -> Weights:
        array = self._native(node)
        dtype = next((dtype for dtype, held in FLOATS.items() if held == array.dtype), None)
        if dtype is None:
            raise Refused(Reason.NOT_CONSTANT, f"{value.name} holds {array.dtype}, not floating numbers")
        return Weights(lambda: array, array.shape, dtype, value.name or node.op_type)

    def _tensor(self, value: ir.Value) -> ir.TensorProtocol:
        if value in self._obstacles:
            raise self._obstacles[value]
        node = value.producer()
        tensor = value.const_value if node is None else _constant_tensor(node)
        if tensor is None:
            raise Refused(Reason.NOT_CONSTANT, f"{value.name} is not stored as a dense tensor")
        return tensor


def _constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant node holds; the library's own reader would rename it inside the caller's model."""
    if not _is_standard(node, "Constant"):
        return None
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in node.attributes:
            return ir.tensor(np.array(node.attributes[name].value, dtype))
    held = node.attributes.get("value")
    return held.as_tensor() if held is not None and not held.is_ref() else None


def _is_standard(node: ir.Node, op_type: str) -> bool:
    return node.domain == "" and node.op_type == op_type


def _numpy(tensor: ir.TensorProtocol) -> NDArray[Any]:
    try:
        return np.asarray(tensor.numpy())
    except (OSError, ValueError) as error:
        raise Refused(Reason.DATA_MISSING, f"the data of {tensor.name} cannot be read: {error}") from error
