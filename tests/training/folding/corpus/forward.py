"""Normalisations before linear layers: those that fold exactly, and those of which one operator stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.training.folding.corpus.build import Graph, Kind, pattern
from training.folding.report import Reason

AHEAD, PART = Kind.FORWARD, Kind.PARTIAL


@pattern(AHEAD, 2)
def bn_before_gemm() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.node("Relu", g.input("N", 5)), 5)
    g.output(g.node("Gemm", h, g.weights(6, 5), g.weights(6), transB=1, alpha=0.5, beta=2.0), "N", 6)
    return g.model()


@pattern(AHEAD, 1)
def bn_first() -> onnx.ModelProto:
    g = Graph()
    g.output(g.node("Gemm", g.bn(g.input("N", 5), 5), g.weights(5, 6)), "N", 6)
    return g.model()


@pattern(AHEAD, 1)
def bn_before_gemm_transposed_data() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input(4, 5), 5)
    g.output(g.node("Gemm", g.weights(6, 5), h, transB=1), 6, 4)
    return g.model()


@pattern(AHEAD, 1)
def bn_before_matmul() -> onnx.ModelProto:
    g = Graph()
    g.output(g.node("MatMul", g.bn(g.input("N", 5), 5), g.weights(5, 6)), "N", 6)
    return g.model()


@pattern(AHEAD, 1)
def bn_before_matmul_add() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.bn(g.input("N", 5), 5), g.weights(5, 6))
    g.output(g.node("Add", g.weights(6), h), "N", 6)
    return g.model()


@pattern(AHEAD, 2)
def bn_before_matmul_on_the_right() -> onnx.ModelProto:
    """W on the left of (N, C, L) mixes the channels."""
    g = Graph()
    g.output(g.node("MatMul", g.weights(6, 5), g.bn(g.input("N", 5, 7), 5)), "N", 6, 7)
    return g.model()


@pattern(AHEAD, 2)
def bn_before_einsum() -> onnx.ModelProto:
    g = Graph()
    g.output(
        g.node("Einsum", g.bn(g.input("N", 5, 7), 5), g.weights(6, 5), equation="bcl,oc->bol"), "N", 6, 7
    )
    return g.model()


@pattern(AHEAD, 4)
def bn_transposed_before_matmul_3d() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 5, 7), 5)
    h = g.node("MatMul", g.node("Transpose", h, perm=[0, 2, 1]), g.weights(5, 6))
    g.output(g.node("Relu", g.node("Add", h, g.weights(6))), "N", 7, 6)
    return g.model()


def _conv(name: str, rank: int = 2, group: int = 1, **attributes: Any) -> None:
    @pattern(AHEAD, 1, name=f"bn_before_conv_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.bn(g.input("N", 4, *(6,) * rank), 4)
        kernel = attributes.get("kernel_shape", (3,) * rank)
        g.output(
            g.node(
                "Conv", h, g.weights(6 if group < 4 else 4, 4 // group, *kernel), group=group, **attributes
            )
        )
        return g.model()


for _rank in (1, 2, 3):
    _conv(f"{_rank}d", _rank)
_conv("grouped", group=2)
_conv("depthwise", group=4)
_conv("valid", auto_pad="VALID", strides=[2, 2])
_conv("same_pointwise", auto_pad="SAME_UPPER", kernel_shape=[1, 1])
_conv("same_exact", auto_pad="SAME_LOWER", kernel_shape=[3, 3], strides=[3, 3])


@pattern(AHEAD, 3)
def two_readers() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 5), 5)
    a, b = (g.node("Gemm", h, g.weights(5, 6), g.weights(6)) for _ in range(2))
    g.output(g.node("Concat", a, b, axis=1), "N", 12)
    return g.model()


@pattern(AHEAD, 3)
def through_dropout_and_flatten() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 4, 3, 2), 4)
    h = g.node("Flatten", g.node("Dropout", h))
    g.output(g.node("Gemm", h, g.weights(24, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 3)
def through_global_average_pool_forward() -> onnx.ModelProto:
    g = Graph()
    h = g.node("GlobalAveragePool", g.bn(g.input("N", 4, 3, 2), 4))
    g.output(g.node("Gemm", g.node("Flatten", h), g.weights(4, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 3)
def through_max_pool_forward() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Relu", g.input("N", 4, 8, 8))
    h = g.node("MaxPool", g.bn(h, 4, positive=True), kernel_shape=[2, 2], strides=[2, 2])
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3)))
    return g.model()


@pattern(AHEAD, 3)
def through_concat_with_embedding() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 3), 3)
    table = g.node("Gather", g.weights(9, 2), g.input("N", dtype=np.int64))
    g.output(g.node("Gemm", g.node("Concat", table, h, axis=1), g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 2)
def through_concat_of_the_same_twice() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 3), 3)
    g.output(g.node("Gemm", g.node("Concat", h, h, axis=1), g.weights(6, 4)), "N", 4)
    return g.model()


@pattern(AHEAD, 3)
def through_concat_of_two_normalised() -> onnx.ModelProto:
    g = Graph()
    a = g.bn(g.input("N", 3), 3)
    b = g.bn(g.node("Relu", g.input("N", 2)), 2)
    g.output(g.node("Gemm", g.node("Concat", a, b, axis=1), g.weights(5, 4)), "N", 4)
    return g.model()


@pattern(AHEAD, 2)
def both_sides_of_one_layer() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.bn(g.input("N", 5), 5), g.weights(5, 6), g.weights(6))
    g.output(g.node("Relu", g.bn(h, 6)), "N", 6)
    return g.model()


@pattern(AHEAD, 1)
def bn_before_pointwise_conv_transpose() -> onnx.ModelProto:
    g = Graph()
    g.output(g.node("ConvTranspose", g.bn(g.input("N", 4, 3, 3), 4), g.weights(4, 6, 1, 1)))
    return g.model()


@pattern(AHEAD, 2)
def scale_alone_before_padded_conv() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Mul", g.node("Relu", g.input("N", 4, 6, 6)), g.weights(4, 1, 1))
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), pads=[1] * 4))
    return g.model()


def _padded(name: str, **attributes: Any) -> None:
    @pattern(PART, 2, name=f"bn_before_padded_conv_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.bn(g.input("N", 4, 6, 6), 4)
        g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), g.weights(6), **attributes))
        return g.model()


_padded("pads", pads=[1] * 4)
_padded("one_side", pads=[0, 0, 0, 1])
_padded("same", auto_pad="SAME_UPPER")


@pattern(PART, 3)
def bn_before_pad() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Pad", g.bn(g.input("N", 4, 6, 6), 4), g.ints(0, 0, 1, 1, 0, 0, 1, 1))
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), g.weights(6)))
    return g.model()


@pattern(AHEAD, 2)
def bn_before_reflecting_pad() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Pad", g.bn(g.input("N", 4, 6, 6), 4), g.ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), g.weights(6)))
    return g.model()


@pattern(PART, 2)
def bn_before_conv_transpose() -> onnx.ModelProto:
    g = Graph()
    g.output(g.node("ConvTranspose", g.bn(g.input(2, 4, 3, 3), 4), g.weights(4, 6, 3, 3), strides=[2, 2]))
    return g.model()


def _far(name: str, form: str) -> None:
    @pattern(PART, 2, name=f"far_from_zero_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        x = g.input("N", 5, name="far")
        if form == "bn":
            gamma, beta, _, var = g.statistics(5)
            h = g.node(
                "BatchNormalization", x, gamma, beta, g.tensor(1000 + g.random.standard_normal(5)), var
            )
        else:
            mean, deviation = 1000 + g.random.standard_normal(5), g.random.uniform(0.5, 2, 5)
            first, second = (mean, deviation) if form == "sd" else (1 / deviation, -mean / deviation)
            ops = ("Sub", "Div") if form == "sd" else ("Mul", "Add")
            h = g.node(ops[1], g.node(ops[0], x, g.tensor(first)), g.tensor(second))
        g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
        return g.model()


_far("bn", "bn")
_far("sub_div", "sd")
_far("mul_add", "ma")


@pattern(Kind.NOTHING, 2, reason=Reason.AMP)
def lone_shift_far_from_zero() -> onnx.ModelProto:
    """The Sub that a fold keeps in front is not folded by the next fold."""
    g = Graph()
    h = g.node("Sub", g.input("N", 5, name="far"), g.tensor(1000 + g.random.standard_normal(5)))
    g.output(g.node("Gemm", h, g.weights(5, 6), g.weights(6)), "N", 6)
    return g.model()


@pattern(AHEAD, 2)
def through_reshape_forward() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Reshape", g.bn(g.input("N", 4, 3, 2), 4), g.ints(-1, 24))
    g.output(g.node("MatMul", h, g.weights(24, 6)), "N", 6)
    return g.model()


@pattern(AHEAD, 3)
def scalar_after_relu() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Mul", g.node("Relu", g.input("N", 7, 5)), g.tensor(0.5))
    h = g.node("MatMul", h, g.weights(5, 6))
    g.output(g.node("Add", h, g.weights(6)), "N", 7, 6)
    return g.model()
