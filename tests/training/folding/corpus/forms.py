"""The ways in which a normalisation may be written, each behind or before a linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.training.folding.corpus.build import Graph, Kind, pattern
from training.folding.report import Reason

BACK, AHEAD = Kind.BACKWARD, Kind.FORWARD


def _written(g: Graph, h: str, shape: tuple[int, ...], form: str, like_input: bool = False) -> str:
    """Append operators, one for each letter: s(ub) d(iv) m(ul) a(dd); a capital swaps the operands."""
    r = g.random
    for letter in form:
        op = {"s": "Sub", "d": "Div", "m": "Mul", "a": "Add"}[letter.lower()]
        values = r.uniform(0.5, 1.5, shape) if op in ("Div", "Mul") else r.standard_normal(shape)
        constant = g.tensor(values)
        h = g.node(op, *((constant, h) if letter.isupper() else (h, constant)))
    return h


def _behind_conv(form: str, shape: tuple[int, ...] = (6, 1, 1)) -> None:
    @pattern(BACK, 1, name=f"conv_then_{form}_{'x'.join(map(str, shape)) or 'scalar'}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3), pads=[1] * 4)
        g.output(_written(g, h, shape, form), "N", 6, 6, 6)
        return g.model()


for _form in ("sdma", "ma", "sm", "a", "m", "MA", "SA", "da"):
    _behind_conv(_form)
_behind_conv("ma", (1, 6, 1, 1))
_behind_conv("ma", ())
_behind_conv("sdma", (1,))


def _behind_dense(form: str, layer: str, shape: tuple[int, ...] = (6,)) -> None:
    @pattern(BACK, 1, name=f"{layer.lower()}_then_{form}_{'x'.join(map(str, shape))}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node(layer, g.input("N", 5), g.weights(5, 6))
        g.output(_written(g, h, shape, form), "N", 6)
        return g.model()


for _form in ("sdma", "ma", "sd", "Sm"):
    _behind_dense(_form, "Gemm")
    _behind_dense(_form, "MatMul")
_behind_dense("sdma", "Gemm", (1, 6))


@pattern(BACK, 2)
def matmul_3d_then_sdma() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 7, 5), g.weights(5, 6))
    g.output(_written(g, h, (6,), "sdma"), "N", 7, 6)
    return g.model()


@pattern(BACK, 2)
def matmul_3d_then_shift_over_rows() -> onnx.ModelProto:
    """The shift varies over rows, which a bias can; the scale over columns, which the weights can."""
    g = Graph()
    h = g.node("MatMul", g.input("N", 7, 5), g.weights(5, 6))
    h = g.node("Mul", h, g.weights(6))
    g.output(g.node("Add", h, g.weights(7, 1)), "N", 7, 6)
    return g.model()


@pattern(BACK, 1)
def conv_then_bn_then_mul_add() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3)), 6)
    g.output(_written(g, h, (6, 1, 1), "ma"), "N", 6, "a", "b")
    return g.model()


@pattern(BACK, 1)
def parameters_computed_in_the_graph() -> onnx.ModelProto:
    """(x − μ) / √(σ² + ε) · γ + β with the root, and the shapes, as nodes on constants."""
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    gamma, beta, mean, var = (g.node("Unsqueeze", s, g.ints(1, 2)) for s in g.statistics(6))
    root = g.node("Sqrt", g.node("Add", var, g.tensor(1e-5)))
    h = g.node("Div", g.node("Sub", h, mean), root)
    g.output(g.node("Add", g.node("Mul", h, gamma), beta), "N", 6, "a", "b")
    return g.model()


@pattern(BACK, 1)
def parameters_by_reciprocal_and_power() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    _, beta, mean, var = g.statistics(6)
    inverse = g.node("Pow", g.node("Add", var, g.tensor(1e-5)), g.tensor(-0.5))
    h = g.node("Mul", g.node("Sub", h, mean), inverse)
    h = g.node("Mul", h, g.node("Reciprocal", g.node("Neg", var)))
    g.output(g.node("Add", h, beta), "N", 6)
    return g.model()


@pattern(BACK, 1, runs=False)
def batch_norm_opset1() -> onnx.ModelProto:
    g = Graph(opset=1, ir=3)
    h = g.node("Conv", g.input(2, 4, 6, 6), g.weights(6, 4, 3, 3), kernel_shape=[3, 3])
    g.output(
        g.node("BatchNormalization", h, *g.statistics(6), is_test=1, consumed_inputs=[0, 0, 0, 1, 1]),
        2,
        6,
        4,
        4,
    )
    return g.model()


@pattern(BACK, 1, runs=False)
def batch_norm_opset6() -> onnx.ModelProto:
    g = Graph(opset=6, ir=3)
    h = g.node("Gemm", g.input(2, 5), g.weights(5, 6), g.weights(6), broadcast=1)
    g.output(g.node("BatchNormalization", h, *g.statistics(6), is_test=1), 2, 6)
    return g.model()


@pattern(BACK, 1, runs=False)
def broadcast_axis_opset6() -> onnx.ModelProto:
    g = Graph(opset=6, ir=3)
    h = g.node("Conv", g.input(2, 4, 8, 8), g.weights(6, 4, 3, 3))
    h = g.node("Mul", h, g.weights(6), broadcast=1, axis=1)
    g.output(g.node("Add", h, g.weights(6), broadcast=1, axis=1), 2, 6, 6, 6)
    return g.model()


def _bn_opset(opset: int, **attributes: Any) -> None:
    @pattern(BACK, 1, name=f"batch_norm_opset{opset}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=opset, ir=3 if opset < 9 else 7)
        h = g.node("Gemm", g.input(2, 5), g.weights(5, 6), g.weights(6))
        g.output(g.bn(h, 6, momentum=0.9, **attributes), 2, 6)
        return g.model()


_bn_opset(7, spatial=1)
_bn_opset(8)
_bn_opset(9, epsilon=1e-3)
_bn_opset(14, training_mode=0)
_bn_opset(15)
_bn_opset(23)


def _standardiser(form: str, layer: str = "Gemm", nodes: int = 1) -> None:
    @pattern(AHEAD, nodes, name=f"standardiser_{form}_{layer.lower()}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = _written(g, g.input("N", 5), (5,), form)
        g.output(g.node(layer, h, g.weights(5, 6)), "N", 6)
        return g.model()


for _form in ("sd", "ma", "sm", "sdma", "m", "d"):
    _standardiser(_form)
for _form in ("sd", "ma"):
    _standardiser(_form, "MatMul")


@pattern(AHEAD, 1)
def scaler() -> onnx.ModelProto:
    g = Graph(ml=True)
    h = g.node(
        "Scaler",
        g.input("N", 5),
        domain="ai.onnx.ml",
        offset=[0.5, -1.0, 0.0, 2.0, 0.1],
        scale=[1.0, 0.5, 2.0, -1.0, 3.0],
    )
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 1)
def scaler_with_one_number() -> onnx.ModelProto:
    g = Graph(ml=True)
    h = g.node("Scaler", g.input("N", 5), domain="ai.onnx.ml", offset=[0.5], scale=[2.0])
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 2)
def scaler_of_integers() -> onnx.ModelProto:
    """The Scaler was also the conversion to float, which stays as a Cast."""
    g = Graph(ml=True)
    h = g.node("Scaler", g.input("N", 5, dtype=np.int64), domain="ai.onnx.ml", offset=[0.5], scale=[0.25])
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(Kind.PARTIAL, 2)
def scaler_far_from_zero() -> onnx.ModelProto:
    g = Graph(ml=True)
    h = g.node("Scaler", g.input("N", 5, name="far"), domain="ai.onnx.ml", offset=[1000.0], scale=[1.0])
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(Kind.NOTHING, 2, reason=Reason.AMP)
def scaler_of_integers_far_from_zero() -> onnx.ModelProto:
    g = Graph(ml=True)
    h = g.node(
        "Scaler",
        g.input("N", 5, name="far", dtype=np.int64),
        domain="ai.onnx.ml",
        offset=[1000.0],
        scale=[1.0],
    )
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 6)
def scaler_hides_shapes() -> onnx.ModelProto:
    """Shape inference stops at ai.onnx.ml; what stands far behind it is folded all the same."""
    g = Graph(ml=True)
    numbers = g.node("Scaler", g.input("N", 4), domain="ai.onnx.ml", offset=[0.5], scale=[2.0])
    table = g.node("Gather", g.weights(9, 3), g.input("N", dtype=np.int64))
    h = g.node("Gemm", g.node("Concat", numbers, table, axis=1), g.weights(7, 8), g.weights(8))
    h = g.node("Relu", g.bn(h, 8))
    h = g.bn(g.node("Dropout", g.node("MatMul", h, g.weights(8, 2))), 2)
    g.output(h, "N", 2)
    return g.model()
