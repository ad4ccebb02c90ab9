"""What operators make of constants: each rule takes constant operands and gives the constant result, in full
precision, without touching the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from training.folding.onnx_graph.attributes import int_attribute, ints_attribute
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import FLOATS, Weights
from training.folding.precise import Precise
from training.folding.report import Reason


class Reader(Protocol):
    """Where the operands come from: `constants.Constants`."""

    dtype_of: Callable[[ir.Value], ir.DataType | None]

    def weights(self, value: ir.Value | None) -> Weights:
        """A floating constant."""

    def array(self, value: ir.Value | None) -> NDArray[Any]:
        """A constant of any type, as it is stored."""


Evaluator = Callable[[Reader, ir.Node], Weights]
_Move = Callable[[NDArray[Any]], NDArray[Any]]


def _moved(source: Weights, shape: tuple[int, ...], move: _Move) -> Weights:
    """What only moves elements stays in the stored dtype and is done again whenever it is read."""
    if source.steps:
        return Weights.of(source.exact().map(move), source.dtype, source.name)

    def read() -> NDArray[Any] | Precise:
        stored = source.read()
        return stored.map(move) if isinstance(stored, Precise) else move(stored)

    return Weights(read, shape, source.dtype, source.name)


def _identity(constants: Reader, node: ir.Node) -> Weights:
    return constants.weights(node.inputs[0])


def _transpose(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    order = ints_attribute(node, "perm") or tuple(reversed(range(len(source.shape))))
    shape = tuple(source.shape[axis] for axis in order)
    return _moved(source, shape, lambda array: np.transpose(array, order))


def _reshape(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    wanted = [int(size) for size in constants.array(node.inputs[1])]
    if not int_attribute(node, "allowzero", 0):
        wanted = [source.shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    return _reshaped(source, wanted)


def _flatten(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    axis = int_attribute(node, "axis", 1)
    axis += len(source.shape) if axis < 0 else 0
    return _reshaped(source, [int(np.prod(source.shape[:axis], dtype=np.int64)), -1])


def _squeeze(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    axes = _axes(constants, node)
    gone = {axis % len(source.shape) for axis in axes} if axes is not None else None
    kept = [size for k, size in enumerate(source.shape) if (k not in gone if gone is not None else size != 1)]
    return _reshaped(source, kept)


def _unsqueeze(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    axes = _axes(constants, node) or ()
    rank = len(source.shape) + len(axes)
    new = {axis % rank for axis in axes}
    sizes = iter(source.shape)
    return _reshaped(source, [1 if k in new else next(sizes) for k in range(rank)])


def _axes(constants: Reader, node: ir.Node) -> tuple[int, ...] | None:
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        return tuple(int(axis) for axis in constants.array(node.inputs[1]).reshape(-1))
    return ints_attribute(node, "axes")


def _reshaped(source: Weights, wanted: list[int]) -> Weights:
    shape = np.empty(source.shape, np.bool_).reshape(wanted).shape
    return _moved(source, shape, lambda array: array.reshape(shape))


def _expand(constants: Reader, node: ir.Node) -> Weights:
    source = constants.weights(node.inputs[0])
    wanted = [int(size) for size in constants.array(node.inputs[1])]
    shape = np.broadcast_shapes(source.shape, tuple(wanted))
    return _moved(source, shape, lambda array: np.broadcast_to(array, shape))


def _concat(constants: Reader, node: ir.Node) -> Weights:
    parts = [constants.weights(value) for value in node.inputs]
    arrays = [part.exact() for part in parts]
    axis = int_attribute(node, "axis", 0)
    hi, lo = (np.concatenate([getattr(a, half) for a in arrays], axis) for half in ("hi", "lo"))
    return Weights.of(Precise(hi, lo), parts[0].dtype, parts[0].name)


def _cast(constants: Reader, node: ir.Node) -> Weights:
    """A cast to a shorter float is a rounding, and the model means it; to another float it is nothing."""
    source = constants.weights(node.inputs[0])
    known = constants.dtype_of(node.outputs[0]) if node.op_type == "CastLike" else None
    dtype = known or ir.DataType(int_attribute(node, "to", 0))
    if dtype not in FLOATS:
        raise Refused(Reason.NOT_CONSTANT, f"{node.name} casts a parameter to {dtype.name}")
    if FLOATS[dtype].itemsize >= FLOATS[source.dtype].itemsize and dtype != ir.DataType.BFLOAT16:
        return replace(source, dtype=dtype)
    return Weights.of(Precise.of(source.exact().rounded(FLOATS[dtype])), dtype, source.name)


def _dequantize(constants: Reader, node: ir.Node) -> Weights:
    """(q − zero point) · scale, per tensor or along an axis; blocked scales are repeated."""
    stored = constants.array(node.inputs[0]).astype(np.float64)
    scale = constants.weights(node.inputs[1])
    zero = np.zeros(scale.shape)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        zero = constants.array(node.inputs[2]).astype(np.float64)
    spread = partial(
        along, stored.shape, int_attribute(node, "axis", 1), int_attribute(node, "block_size", 0)
    )
    values = Precise.of(stored - spread(zero)) * scale.exact().map(spread)
    return Weights.of(values, scale.dtype, scale.name)


def along(shape: tuple[int, ...], axis: int, block: int, values: NDArray[Any]) -> NDArray[Any]:
    """Scales or zero points laid out to broadcast over a tensor of the shape: one, one per index of an
    axis, or one per block of it."""
    if values.ndim == 0 or (values.size == 1 and values.ndim == 1):
        return values.reshape(())
    if block:
        return np.repeat(values, block, axis=axis).take(range(shape[axis]), axis=axis)
    placed = [1] * len(shape)
    placed[axis] = values.size
    return values.reshape(placed)


def _arithmetic(compute: Callable[..., Precise], constants: Reader, node: ir.Node) -> Weights:
    operands = [constants.weights(value) for value in node.inputs]
    return Weights.of(
        compute(*(operand.exact() for operand in operands)), operands[0].dtype, operands[0].name
    )


def _power(base: Precise, exponent: Precise) -> Precise:
    one = Precise.of(np.ones(()))
    known = {
        0.5: lambda: base.sqrt(),
        -0.5: lambda: one / base.sqrt(),
        -1.0: lambda: one / base,
        2.0: lambda: base * base,
    }
    if exponent.hi.size != 1 or (power := float(exponent.hi.reshape(-1)[0])) not in known:
        raise Refused(Reason.NOT_CONSTANT, "a parameter is raised to a power other than ±½, −1 or 2")
    return known[power]()


def _quantize(_: Reader, node: ir.Node) -> Weights:
    raise Refused(Reason.NOT_CONSTANT, f"{node.name} makes integers")


EVALUATORS: dict[str, Evaluator] = {
    "QuantizeLinear": _quantize,
    "Identity": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Concat": _concat,
    "Cast": _cast,
    "CastLike": _cast,
    "DequantizeLinear": _dequantize,
    "Add": partial(_arithmetic, lambda a, b: a + b),
    "Sub": partial(_arithmetic, lambda a, b: a - b),
    "Mul": partial(_arithmetic, lambda a, b: a * b),
    "Div": partial(_arithmetic, lambda a, b: a / b),
    "Neg": partial(_arithmetic, lambda a: -a),
    "Sqrt": partial(_arithmetic, lambda a: a.sqrt()),
    "Reciprocal": partial(_arithmetic, lambda a: Precise.of(np.ones(())) / a),
    "Pow": partial(_arithmetic, _power),
}

COMPUTED = {*EVALUATORS, "Shape", "Size", "Gather", "Slice", "ConstantOfShape", "Range"}
"""Operators that make constants of constants: shapes, mostly, beside those evaluated in full precision."""
