"""What cannot be folded, and what only looks as if it could."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.training.folding.corpus.build import Graph, Kind, pattern
from training.folding.report import Reason

NOTHING, TRAP = Kind.NOTHING, Kind.TRAP


@pattern(TRAP, 2, reason=Reason.OTHER_AXIS)
def same_size_on_the_wrong_axis() -> onnx.ModelProto:
    """Linear on (N, 6, 6), normalised over the rows: its weights have 6 columns, and these are not they."""
    g = Graph()
    g.output(g.bn(g.node("MatMul", g.input("N", 6, 5), g.weights(5, 6)), 6), "N", 6, 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OTHER_AXIS)
def same_size_on_the_wrong_axis_with_bias() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Add", g.node("MatMul", g.input("N", 6, 5), g.weights(5, 6)), g.weights(6))
    g.output(g.bn(h, 6), "N", 6, 6)
    return g.model()


@pattern(TRAP, 2, reason=Reason.OTHER_AXIS)
def broadcasting_over_the_width() -> onnx.ModelProto:
    """A constant of shape (6,) on (N, 6, 6, 6) acts along the last axis."""
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 8, 8), g.weights(6, 4, 3, 3))
    g.output(g.node("Mul", h, g.weights(6)), "N", 6, 6, 6)
    return g.model()


@pattern(TRAP, 2, reason=Reason.OTHER_AXIS)
def adding_over_the_width() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 8, 8), g.weights(6, 4, 3, 3))
    g.output(g.node("Add", h, g.weights(6)), "N", 6, 6, 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OTHER_AXIS)
def transposed_square() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Transpose", g.node("MatMul", g.input(6, 5), g.weights(5, 6)), perm=[1, 0])
    g.output(g.bn(h, 6), 6, 6)
    return g.model()


@pattern(TRAP, 2)
def constant_that_widens() -> onnx.ModelProto:
    """(N, 1) times (6,) is (N, 6): not an affine on the channels of the layer."""
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 1))
    g.output(g.node("Mul", h, g.weights(6)), "N", 6)
    return g.model()


@pattern(TRAP, 2)
def constant_of_higher_rank() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    g.output(g.node("Mul", h, g.weights(1, 1, 6)), 1, "N", 6)
    return g.model()


@pattern(TRAP, 4, reason=Reason.OTHER_AXIS)
def sum_with_a_broadcast_layer() -> onnx.ModelProto:
    """One of two summed layers has a single column, which cannot take six scales."""
    g = Graph()
    x = g.input("N", 5)
    a, b = g.node("Gemm", x, g.weights(5, 6)), g.node("Gemm", x, g.weights(5, 1))
    g.output(g.bn(g.node("Add", a, b), 6), "N", 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OUTPUT_ALSO_USED)
def tap_on_the_linear_output() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    g.output(g.bn(h, 6))
    g.output(g.node("Relu", h))
    return g.model()


@pattern(TRAP, 2, reason=Reason.GRAPH_OUTPUT)
def linear_output_is_an_output() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3))
    g.output(g.bn(h, 6))
    g.output(h)
    return g.model()


@pattern(TRAP, 3, reason=Reason.GRAPH_OUTPUT)
def output_between() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Flatten", g.node("Gemm", g.input("N", 5), g.weights(5, 6)))
    g.output(g.bn(h, 6), "N", 6)
    g.output(h, "N", 6)
    return g.model()


def _captured(name: str, inside: bool) -> None:
    @pattern(TRAP, reason=Reason.CAPTURED, name=f"captured_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("Gemm", g.input(4, 5), g.weights(5, 6))
        condition = g.input(dtype=np.bool_, name="condition")
        parameters = g.statistics(6)
        bodies = []
        for out in ("one", "two"):
            made = helper.make_tensor_value_info(out, TensorProto.FLOAT, [4, 6])
            op = ["BatchNormalization", [h, *parameters]] if inside and out == "one" else ["Relu", [h]]
            bodies.append(helper.make_graph([helper.make_node(op[0], op[1], [out])], out, [], [made]))
        if not inside:
            g.output(g.node("BatchNormalization", h, *parameters), 4, 6)
        g.output(g.node("If", condition, then_branch=bodies[0], else_branch=bodies[1]), 4, 6)
        return g.model()


_captured("linear_output", False)
_captured("normalisation_in_a_branch", True)


@pattern(NOTHING, 2, reason=Reason.TRAINING_MODE)
def training_mode() -> onnx.ModelProto:
    g = Graph(opset=15)
    g.output(g.bn(g.node("Gemm", g.input(4, 5), g.weights(5, 6)), 6, training_mode=1, outputs=3), 4, 6)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.TRAINING_MODE, runs=False)
def training_mode_opset6() -> onnx.ModelProto:
    g = Graph(opset=6, ir=3)
    g.output(g.bn(g.node("Conv", g.input(4, 5, 4, 4), g.weights(6, 5, 3, 3)), 6), 4, 6, 2, 2)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.TRAINING_MODE, runs=False)
def running_statistics_returned() -> onnx.ModelProto:
    g = Graph(opset=9)
    g.output(g.bn(g.node("Gemm", g.input(4, 5), g.weights(5, 6), g.weights(6)), 6, outputs=5), 4, 6)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.SPATIAL, runs=False)
def spatial_zero() -> onnx.ModelProto:
    g = Graph(opset=7, ir=3)
    h = g.node("Conv", g.input(2, 4, 5, 5), g.weights(6, 4, 3, 3))
    parameters = [g.tensor(g.random.uniform(0.5, 1.5, (6, 3, 3))) for _ in range(4)]
    g.output(g.node("BatchNormalization", h, *parameters, spatial=0), 2, 6, 3, 3)
    return g.model()


def _statistics(name: str, which: int, value: float, reason: Reason) -> None:
    @pattern(NOTHING, 2, reason=reason, name=f"statistics_{name}", runs=False)
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("Gemm", g.input(4, 5), g.weights(5, 6))
        values = [g.random.uniform(0.5, 1.5, 6) for _ in range(4)]
        values[which][2] = value
        g.output(g.node("BatchNormalization", h, *map(g.tensor, values)), 4, 6)
        return g.model()


_statistics("nan_mean", 2, np.nan, Reason.NON_FINITE)
_statistics("infinite_variance", 3, np.inf, Reason.NON_FINITE)
_statistics("infinite_scale", 0, np.inf, Reason.NON_FINITE)
_statistics("negative_variance", 3, -0.5, Reason.NEGATIVE_VARIANCE)


@pattern(NOTHING, 2, reason=Reason.NON_FINITE)
def division_by_zero() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input(4, 5), g.weights(5, 6))
    g.output(g.node("Div", h, g.tensor([1, 2, 0, 3, 4, 5])), 4, 6)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.OUT_OF_RANGE, runs=False)
def overflow() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input(4, 5), g.tensor(np.full((5, 6), 1e30)))
    g.output(g.node("Mul", h, g.tensor(np.full(6, 1e20))), 4, 6)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.OUT_OF_RANGE, tolerance=2e-2, runs=False)
def overflow_float16() -> onnx.ModelProto:
    g = Graph(dtype=np.float16)
    h = g.node("MatMul", g.input(4, 5), g.weights(5, 6))
    parameters = [np.full(6, 3e3), np.zeros(6), np.zeros(6), np.full(6, 1e-4)]
    g.output(g.node("BatchNormalization", h, *map(g.tensor, parameters), epsilon=1e-6), 4, 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OUT_OF_RANGE)
def mixed_precision_overflow() -> onnx.ModelProto:
    """Behind the cast there is room for 1e6; before it there is not."""
    g = Graph()
    h = g.node("MatMul", g.input(4, 5, dtype=np.float16), g.weights(5, 6, dtype=np.float16))
    h = g.node("Cast", h, to=TensorProto.FLOAT)
    parameters = [np.full(6, 1e5), np.ones(6), np.zeros(6), np.ones(6)]
    g.output(g.node("BatchNormalization", h, *map(g.tensor, parameters)), 4, 6)
    return g.model()


@pattern(NOTHING, 3, reason=Reason.NEGATIVE_SCALE)
def negative_scale_before_max_pool() -> onnx.ModelProto:
    g = Graph()
    gamma, beta, mean, var = g.statistics(4)
    g.stored[0] = onnx.numpy_helper.from_array(np.array([1, -1, 1, -1], np.float32), gamma)
    h = g.node("BatchNormalization", g.input("N", 4, 8, 8), gamma, beta, mean, var)
    g.output(g.node("Conv", g.node("MaxPool", h, kernel_shape=[2, 2]), g.weights(6, 4, 3, 3)))
    return g.model()


@pattern(NOTHING, 4, reason=Reason.QUANTISED, tolerance=2e-2)
def quantised_between() -> onnx.ModelProto:
    g = Graph(opset=21, ir=10)
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    scale, zero = g.tensor(0.05), g.tensor(0, dtype=np.int8)
    h = g.node("DequantizeLinear", g.node("QuantizeLinear", h, scale, zero), scale, zero)
    g.output(g.bn(h, 6), "N", 6)
    return g.model()


@pattern(NOTHING, 3, reason=Reason.NO_LINEAR_NEIGHBOUR)
def between_activations() -> onnx.ModelProto:
    g = Graph()
    g.output(g.node("Relu", g.bn(g.node("Relu", g.input("N", 5)), 5)), "N", 5)
    return g.model()


@pattern(NOTHING, 3, reason=Reason.NO_LINEAR_NEIGHBOUR)
def behind_an_activation_and_an_output() -> onnx.ModelProto:
    g = Graph()
    g.output(g.bn(g.node("Sigmoid", g.node("Gemm", g.input("N", 5), g.weights(5, 6))), 6), "N", 6)
    return g.model()


@pattern(NOTHING, 3)
def one_reader_is_not_linear() -> onnx.ModelProto:
    g = Graph()
    h = g.bn(g.input("N", 5), 5)
    g.output(g.node("Gemm", h, g.weights(5, 6)), "N", 6)
    g.output(g.node("Relu", h), "N", 5)
    return g.model()


@pattern(NOTHING, 2, reason=Reason.ZERO_PADDING)
def shift_alone_before_padding() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Add", g.input("N", 4, 6, 6), g.weights(4, 1, 1))
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), pads=[1] * 4))
    return g.model()


@pattern(NOTHING, 2, reason=Reason.ZERO_PADDING)
def zero_scale_before_padding() -> onnx.ModelProto:
    g = Graph()
    gamma, beta, mean, var = g.statistics(4)
    g.stored[0] = onnx.numpy_helper.from_array(np.array([1, 0, 1, 2], np.float32), gamma)
    h = g.node("BatchNormalization", g.input("N", 4, 6, 6), gamma, beta, mean, var)
    g.output(g.node("Conv", h, g.weights(6, 4, 3, 3), pads=[1] * 4))
    return g.model()


@pattern(TRAP, 2, reason=Reason.NO_LINEAR_NEIGHBOUR)
def recurrence() -> onnx.ModelProto:
    g = Graph()
    h = g.node("RNN", g.input(3, 2, 5), g.weights(1, 6, 5), g.weights(1, 6, 6), hidden_size=6)
    g.output(g.bn(h, 1), 3, 1, 2, 6)
    return g.model()


@pattern(TRAP, 2, reason=Reason.NOT_CONSTANT)
def weights_are_data() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 5), g.input(5, 6))
    g.output(g.bn(h, 6), "N", 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.NOT_CONSTANT)
def bias_is_data() -> onnx.ModelProto:
    g = Graph()
    x = g.input(4, 5)
    h = g.node("Gemm", x, g.weights(5, 6), g.node("Relu", g.input(4, 6)))
    g.output(g.bn(h, 6), 4, 6)
    return g.model()


@pattern(TRAP, 2)
def parameters_are_data() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    gamma, _, mean, var = g.statistics(6)
    g.output(g.node("BatchNormalization", h, gamma, g.input(6), mean, var), "N", 6)
    return g.model()


@pattern(TRAP, 2)
def division_of_a_constant() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6), g.tensor(np.full(6, 20.0)))
    g.output(g.node("Div", g.weights(6), h), "N", 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OUTPUT_ALSO_USED)
def added_to_itself() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    g.output(g.bn(g.node("Add", h, h), 6), "N", 6)
    return g.model()


@pattern(TRAP, 2, reason=Reason.UNKNOWN_SHAPE, runs=False)
def operator_of_another_domain() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6), domain="com.example")
    g.output(g.bn(h, 6), "N", 6)
    model = g.model()
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


@pattern(TRAP, 3, reason=Reason.TRAINING_MODE)
def dropout_in_training_mode() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    h = g.node("Dropout", h, g.tensor(0.0), g.tensor(True, dtype=np.bool_))
    g.output(g.bn(h, 6), "N", 6)
    return g.model()


@pattern(TRAP, 3, reason=Reason.OTHER_AXIS)
def flattened_positions() -> onnx.ModelProto:
    """Every one of 6 · 2 · 2 flattened positions has statistics of its own."""
    g = Graph()
    h = g.node("Flatten", g.node("Conv", g.input("N", 4, 4, 4), g.weights(6, 4, 3, 3)))
    g.output(g.bn(h, 24), "N", 24)
    return g.model()


@pattern(NOTHING, 2)
def no_normalisation_at_all() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 5), g.weights(5, 6))
    g.output(g.node("Add", h, g.weights(6)), "N", 6)
    return g.model()


def _subnormal(name: str, **attributes: Any) -> None:
    @pattern(Kind.BACKWARD, 1, name=f"subnormal_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
        parameters = [np.ones(6), np.full(6, 1e-40), np.zeros(6), np.ones(6)]
        g.output(g.node("BatchNormalization", h, *map(g.tensor, parameters)), "N", 6)
        return g.model()


_subnormal("bias")


@pattern(TRAP, 4)
def one_layer_reached_in_two_ways() -> onnx.ModelProto:
    """Directly, and through an operator that does nothing."""
    g = Graph()
    h = g.bn(g.input("N", 3), 3)
    joined = g.node("Concat", g.node("Transpose", h, perm=[0, 1]), h, axis=1)
    g.output(g.node("Gemm", joined, g.weights(6, 4), g.weights(4)), "N", 4)
    return g.model()
