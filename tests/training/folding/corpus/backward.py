"""Normalisations behind a linear layer, all of which fold exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.training.folding.corpus.build import Graph, Kind, pattern

BACK = Kind.BACKWARD


def _gemm(name: str, bias: Any = None, nodes: int = 1, **attributes: Any) -> None:
    @pattern(BACK, nodes, name=f"gemm_{name}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=13)
        flip_a, flip_b = attributes.get("transA", 0), attributes.get("transB", 0)
        x = g.input(*((5, 4) if flip_a else (4, 5)))
        w = g.weights(*((6, 5) if flip_b else (5, 6)))
        c = [] if bias is None else [""] if bias == "" else [g.weights(*bias)]
        h = g.node("Gemm", x, w, *c, **attributes)
        g.output(g.bn(h, 6), 4, 6)
        return g.model()


for _flips in range(4):
    _gemm(f"trans{_flips}", bias=(6,), transA=_flips & 1, transB=_flips >> 1)
for _label, _shape in {
    "no_bias": None,
    "empty_bias": "",
    "scalar_bias": (),
    "bias_1": (1,),
    "bias_1n": (1, 6),
    "bias_m1": (4, 1),
    "bias_mn": (4, 6),
    "bias_11": (1, 1),
}.items():
    _gemm(_label, bias=_shape)
_gemm("alpha_beta", bias=(6,), alpha=0.5, beta=2.0)
_gemm("beta_zero", bias=(6,), beta=0.0)
_gemm("alpha_negative_no_bias", alpha=-1.5, transB=1)
_gemm("alpha_beta_m1", bias=(4, 1), alpha=0.25, beta=-3.0, transB=1)


@pattern(BACK, 2)
def gemm_constant_left() -> onnx.ModelProto:
    """W·x with the channels in the rows, which a transpose brings to axis 1."""
    g = Graph()
    h = g.node("Gemm", g.weights(6, 5), g.input(5, 4), g.weights(6, 1))
    g.output(g.bn(g.node("Transpose", h, perm=[1, 0]), 6), 4, 6)
    return g.model()


@pattern(BACK, 1)
def matmul() -> onnx.ModelProto:
    g = Graph()
    g.output(g.bn(g.node("MatMul", g.input("N", 5), g.weights(5, 6)), 6), "N", 6)
    return g.model()


def _matmul_add(name: str, swapped: bool, shape: tuple[int, ...], op: str = "Add") -> None:
    @pattern(BACK, 1, name=f"matmul_add_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("MatMul", g.input("N", 5), g.weights(5, 6))
        operands = [g.weights(*shape), h] if swapped else [h, g.weights(*shape)]
        g.output(g.bn(g.node(op, *operands), 6), "N", 6)
        return g.model()


_matmul_add("right", False, (6,))
_matmul_add("left", True, (6,))
_matmul_add("row", False, (1, 6))
_matmul_add("scalar", False, ())
_matmul_add("sub", False, (6,), "Sub")


@pattern(BACK, 1)
def matmul_sub_from_constant() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 5), g.weights(5, 6))
    g.output(g.bn(g.node("Sub", g.weights(6), h), 6), "N", 6)
    return g.model()


@pattern(BACK, 3)
def matmul_3d_transposed() -> onnx.ModelProto:
    """Linear on (N, L, D), its features brought to axis 1, then normalised: torch's usual detour."""
    g = Graph()
    h = g.node("MatMul", g.input("N", 7, 5), g.weights(5, 6))
    h = g.node("Add", h, g.weights(6))
    g.output(g.bn(g.node("Transpose", h, perm=[0, 2, 1]), 6), "N", 6, 7)
    return g.model()


@pattern(BACK, 3)
def matmul_3d_no_bias() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 7, 5), g.weights(5, 6))
    g.output(g.bn(g.node("Transpose", h, perm=[0, 2, 1]), 6), "N", 6, 7)
    return g.model()


@pattern(BACK, 2)
def matmul_constant_left() -> onnx.ModelProto:
    """W (O, C) on the left of (N, C, L): the channels are the rows."""
    g = Graph()
    h = g.node("MatMul", g.weights(6, 5), g.input("N", 5, 7))
    g.output(g.bn(h, 6), "N", 6, 7)
    return g.model()


@pattern(BACK, 2)
def matmul_constant_left_with_bias() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.weights(6, 5), g.input("N", 5, 7))
    g.output(g.bn(g.node("Add", g.weights(6, 1), h), 6), "N", 6, 7)
    return g.model()


@pattern(BACK, 2)
def matmul_batched_weights() -> onnx.ModelProto:
    """One matrix per channel; the channel is a batch axis of the weights."""
    g = Graph()
    h = g.node("MatMul", g.input("N", 3, 4, 5), g.weights(3, 5, 6))
    g.output(g.bn(h, 3), "N", 3, 4, 6)
    return g.model()


@pattern(BACK, 3)
def matmul_reshape_to_2d() -> onnx.ModelProto:
    """(N, L, D) → (N·L, D) → BatchNorm → back."""
    g = Graph()
    h = g.node("MatMul", g.input(2, 7, 5), g.weights(5, 6))
    h = g.node("Add", h, g.weights(6))
    h = g.node("Reshape", h, g.ints(-1, 6))
    g.output(g.bn(h, 6), 14, 6)
    return g.model()


def _einsum(
    equation: str, x: tuple[Any, ...], w: tuple[int, ...], channels: int, first: bool = False
) -> None:
    @pattern(BACK, 2, name=f"einsum_{equation}")
    def make() -> onnx.ModelProto:
        g = Graph()
        operands = [g.input(*x), g.weights(*w)]
        h = g.node("Einsum", *(reversed(operands) if first else operands), equation=equation)
        g.output(g.bn(h, channels))
        return g.model()


_einsum("bd,od->bo", ("N", 5), (6, 5), 6)
_einsum("bd,do->bo", ("N", 5), (5, 6), 6)
_einsum("od,bdl->bol", ("N", 5, 7), (6, 5), 6, first=True)
_einsum("bld,do->bol", ("N", 7, 5), (5, 6), 6)
_einsum("bchw,oc->bohw", ("N", 5, 3, 2), (6, 5), 6)
_einsum("...d,od->...o", ("N", 5), (6, 5), 6)
_einsum("bd,do", ("N", 5), (5, 6), 6)
_einsum("bd,d->bd", ("N", 6), (6,), 6)


def _conv(
    name: str,
    rank: int = 2,
    bias: bool = True,
    group: int = 1,
    channels: tuple[int, int] = (4, 6),
    opset: int = 17,
    **attributes: Any,
) -> None:
    @pattern(BACK, 1, name=f"conv_{name}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=opset, ir=8 if opset > 8 else 3)
        x = g.input("N", channels[0], *(8,) * rank)
        w = g.weights(channels[1], channels[0] // group, *(3,) * rank)
        h = g.node("Conv", x, w, *([g.weights(channels[1])] if bias else []), group=group, **attributes)
        g.output(g.bn(h, channels[1]), *("N", channels[1], *("abc"[:rank])))
        return g.model()


for _rank in (1, 2, 3):
    _conv(f"{_rank}d", _rank)
    _conv(f"{_rank}d_padded", _rank, bias=False, pads=[1] * 2 * _rank)
_conv("grouped", group=2)
_conv("depthwise", group=4, channels=(4, 4), pads=[1, 1, 1, 1])
_conv("depthwise_multiplier", group=4, channels=(4, 8), bias=False)
_conv("dilated_strided", dilations=[2, 2], strides=[2, 1], pads=[2, 1, 2, 1])
_conv("same_upper", auto_pad="SAME_UPPER")
_conv("same_lower", auto_pad="SAME_LOWER", strides=[2, 2])
_conv("valid", auto_pad="VALID", bias=False)
for _opset in (7, 8, 9, 11, 13, 14, 15, 18, 20, 21, 22, 23):
    _conv(f"opset{_opset}", opset=_opset, pads=[1, 1, 1, 1])


def _transpose_conv(name: str, rank: int = 2, bias: bool = True, group: int = 1, **attributes: Any) -> None:
    @pattern(BACK, 1, name=f"conv_transpose_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        x = g.input(2, 4, *(5,) * rank)
        w = g.weights(4, 6 // group, *(3,) * rank)
        h = g.node("ConvTranspose", x, w, *([g.weights(6)] if bias else []), group=group, **attributes)
        g.output(g.bn(h, 6))
        return g.model()


_transpose_conv("1d", 1)
_transpose_conv("2d", 2, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
_transpose_conv("3d", 3, bias=False)
_transpose_conv("grouped", group=2)
_transpose_conv("grouped_no_bias", group=2, bias=False, strides=[2, 2])


def _between(name: str, *steps: tuple[Any, ...], opset: int = 13, nodes: int | None = None) -> None:
    """Gemm → some operators → BatchNormalization over 6 channels."""

    @pattern(BACK, len(steps) + 1 if nodes is None else nodes, name=f"through_{name}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=opset, ir=8 if opset > 8 else 4)
        h = g.node("Gemm", g.input(4, 5), g.weights(5, 6), g.weights(6))
        for op, operands, attributes in steps:
            h = g.node(op, h, *(g.ints(*o) if isinstance(o, tuple) else o for o in operands), **attributes)
        g.output(g.bn(h, 6))
        return g.model()


_between("identity", ("Identity", (), {}))
_between("dropout", ("Dropout", (), {}))
_between("dropout_opset11", ("Dropout", (), {"ratio": 0.3}), opset=11)
_between("dropout_and_identity", ("Dropout", (), {}), ("Identity", (), {}), ("Dropout", (), {}))
_between("flatten", ("Flatten", (), {"axis": 1}))
_between("unsqueeze", ("Unsqueeze", ((2,),), {}))
_between("unsqueeze_opset11", ("Unsqueeze", (), {"axes": [2, 3]}), opset=11)
_between("squeeze", ("Unsqueeze", ((2, 3),), {}), ("Squeeze", ((3,),), {}))
_between("squeeze_opset11", ("Unsqueeze", (), {"axes": [0]}), ("Squeeze", (), {"axes": [0]}), opset=11)
_between("squeeze_all", ("Unsqueeze", ((2,),), {}), ("Squeeze", (), {}))
_between("reshape", ("Reshape", ((4, 6, 1, 1),), {}))
_between("reshape_copying", ("Reshape", ((0, -1, 1),), {}))
_between("transposes", ("Transpose", (), {"perm": [1, 0]}), ("Transpose", (), {"perm": [1, 0]}))
_between("reduce_mean", ("Unsqueeze", ((2,),), {}), ("ReduceMean", (), {"axes": [2], "keepdims": 0}))


def _split_channels(name: str, shape: tuple[int, ...], channels: int) -> None:
    @pattern(BACK, 2, name=f"through_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("Gemm", g.input("N", 5), g.weights(12, 5), g.weights(12), transB=1)
        g.output(g.bn(g.node("Reshape", h, g.ints(*shape)), channels))
        return g.model()


_split_channels("reshape_to_maps", (-1, 3, 2, 2), 3)
_split_channels("reshape_to_rows", (0, 3, 4), 3)
_split_channels("reshape_to_periods", (-1, 4), 4)


@pattern(BACK, 2)
def through_flatten_of_maps() -> onnx.ModelProto:
    """The normalisation of 6 × 1 × 1 flattened positions is one of channels."""
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 3, 3), g.weights(6, 4, 3, 3))
    g.output(g.bn(g.node("Flatten", h), 6), "N", 6)
    return g.model()


@pattern(BACK, 3)
def through_global_average_pool() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    g.output(g.bn(g.node("Flatten", g.node("GlobalAveragePool", h)), 6), "N", 6)
    return g.model()


@pattern(BACK, 2)
def through_max_pool_positive() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    h = g.node("MaxPool", h, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    g.output(g.bn(h, 6, positive=True))
    return g.model()


@pattern(BACK, 2)
def through_cast() -> onnx.ModelProto:
    g = Graph(opset=13)
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    h = g.node("Cast", h, to=11)
    g.output(g.node("BatchNormalization", h, *g.statistics(6, np.float64)), "N", 6, dtype=np.float64)
    return g.model()


@pattern(BACK, 1)
def through_channel_mul() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    h = g.node("Mul", h, g.weights(6, 1, 1))
    h = g.node("Add", g.weights(1, 6, 1, 1), h)
    g.output(g.bn(h, 6))
    return g.model()


@pattern(Kind.PARTIAL, 2)
def through_add_over_width() -> onnx.ModelProto:
    """An Add over another axis stays and is scaled: s·(x + c) + t = s·x + (s·c + t)."""
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 8, 8), g.weights(6, 4, 3, 3))
    g.output(g.bn(g.node("Add", h, g.weights(6)), 6))
    return g.model()


@pattern(BACK, 3)
def through_concat() -> onnx.ModelProto:
    g = Graph()
    x = g.input("N", 4, 6, 6)
    parts = [g.node("Conv", x, g.weights(c, 4, 3, 3), g.weights(c)) for c in (2, 4)]
    g.output(g.bn(g.node("Concat", *parts, axis=1), 6))
    return g.model()


@pattern(BACK, 4)
def through_concat_of_different_layers() -> onnx.ModelProto:
    """A Gemm, an embedding and a constant, joined."""
    g = Graph()
    dense = g.node("Gemm", g.input(4, 5), g.weights(5, 3))
    table = g.node("Gather", g.weights(9, 2), g.input(4, dtype=np.int64))
    joined = g.node("Concat", dense, g.node("Identity", table), g.weights(4, 1), axis=-1)
    g.output(g.bn(joined, 6), 4, 6)
    return g.model()


@pattern(BACK, 3)
def through_concat_over_space() -> onnx.ModelProto:
    g = Graph()
    x = g.input("N", 4, 6, 6)
    parts = [g.node("Conv", x, g.weights(6, 4, 3, 3), g.weights(6)) for _ in range(2)]
    g.output(g.bn(g.node("Concat", *parts, axis=2), 6))
    return g.model()


@pattern(BACK, 3)
def through_sum_of_two() -> onnx.ModelProto:
    g = Graph()
    x = g.input("N", 4, 6, 6)
    a = g.node("Conv", x, g.weights(6, 4, 3, 3), g.weights(6))
    b = g.node("Conv", x, g.weights(6, 4, 3, 3))
    g.output(g.bn(g.node("Add", a, b), 6))
    return g.model()


@pattern(BACK, 3)
def through_difference_of_two() -> onnx.ModelProto:
    g = Graph()
    x = g.input("N", 5)
    a, b = (g.node("Gemm", x, g.weights(5, 6), g.weights(6)) for _ in range(2))
    g.output(g.bn(g.node("Sub", a, b), 6), "N", 6)
    return g.model()


@pattern(BACK, 5)
def through_sum_of_three() -> onnx.ModelProto:
    g = Graph()
    x = g.input("N", 5)
    a, b, c = (g.node("Gemm", x, g.weights(5, 6)) for _ in range(3))
    g.output(g.bn(g.node("Add", g.node("Add", a, b), c), 6), "N", 6)
    return g.model()


@pattern(BACK, 3)
def two_in_a_row() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3)), 6)
    h = g.node("Relu", g.bn(h, 6))
    g.output(g.bn(g.node("Conv", h, g.weights(3, 6, 1, 1)), 3))
    return g.model()


@pattern(BACK, 1)
def embedding() -> onnx.ModelProto:
    g = Graph()
    g.output(g.bn(g.node("Gather", g.weights(9, 6), g.input("N", dtype=np.int64)), 6), "N", 6)
    return g.model()


@pattern(BACK, 1)
def layer_norm_takes_a_scale() -> onnx.ModelProto:
    g = Graph()
    h = g.node("LayerNormalization", g.input("N", 6), g.weights(6), g.weights(6), axis=-1)
    g.output(g.bn(h, 6), "N", 6)
    return g.model()


@pattern(BACK, 1)
def scalar_mul_on_another_axis() -> onnx.ModelProto:
    """A scale that is the same everywhere varies along no axis at all."""
    g = Graph()
    h = g.node("MatMul", g.input("N", 7, 5), g.weights(5, 6))
    g.output(g.node("Mul", h, g.tensor(np.full((7, 1), 0.125))), "N", 7, 6)
    return g.model()


@pattern(BACK, 2)
def shape_given_by_constant_node() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    shape = g.node("Constant", value=numpy_helper.from_array(np.array([-1, 6, 1], np.int64)))
    g.output(g.bn(g.node("Reshape", h, shape), 6))
    return g.model()


@pattern(BACK, 2)
def through_resize() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input(1, 4, 6, 6), g.weights(6, 4, 3, 3))
    h = g.node("Resize", h, "", g.tensor([1, 1, 2, 2], dtype=np.float32), mode="nearest")
    g.output(g.bn(h, 6))
    return g.model()


@pattern(BACK, 4)
def through_channel_shuffle() -> onnx.ModelProto:
    """Groups and channels change places between the layer and its normalisation."""
    g = Graph()
    h = g.node("Conv", g.input(2, 4, 6, 6), g.weights(6, 2, 3, 3), group=2)
    h = g.node("Transpose", g.node("Reshape", h, g.ints(2, 2, 3, 4, 4)), perm=[0, 2, 1, 3, 4])
    g.output(g.bn(g.node("Reshape", h, g.ints(2, 6, 4, 4)), 6), 2, 6, 4, 4)
    return g.model()


@pattern(BACK, 1)
def dimensions_unknown() -> onnx.ModelProto:
    """Nothing but ranks is known of the input."""
    g = Graph()
    x = g.input(2, 4, 6, 6)
    g.output(g.bn(g.node("Conv", x, g.weights(6, 4, 3, 3)), 6), 2, 6, 4, 4)
    model = g.model()
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.Clear()
    return model


@pattern(BACK, 1, tolerance=2e-2)
def gemm_float16() -> onnx.ModelProto:
    g = Graph(dtype=np.float16)
    g.output(g.bn(g.node("MatMul", g.input("N", 5), g.weights(5, 6)), 6), "N", 6)
    return g.model()
