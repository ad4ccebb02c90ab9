"""Where weights and parameters may be kept, who else may use them, and in which types."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.training.folding.corpus.build import Graph, Kind, pattern
from training.folding.report import Reason

BACK = Kind.BACKWARD


def _constant(g: Graph, shape: tuple[int, ...]) -> str:
    value = numpy_helper.from_array((g.random.standard_normal(shape) / 3).astype(g.dtype))
    return g.node("Constant", value=value)


@pattern(BACK, 1)
def constant_nodes() -> onnx.ModelProto:
    g = Graph()
    h = g.node("Conv", g.input("N", 4, 6, 6), _constant(g, (6, 4, 3, 3)), _constant(g, (6,)))
    gamma, beta, mean = (_constant(g, (6,)) for _ in range(3))
    var = g.node("Constant", value_floats=[0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    g.output(g.node("BatchNormalization", h, gamma, beta, mean, var))
    return g.model()


@pattern(BACK, 1)
def identity_wrapped() -> onnx.ModelProto:
    g = Graph()
    w = g.node("Identity", g.node("Identity", g.weights(5, 6)))
    h = g.node("Gemm", g.input("N", 5), w, g.node("Identity", g.weights(6)))
    g.output(g.node("BatchNormalization", h, *(g.node("Identity", s) for s in g.statistics(6))), "N", 6)
    return g.model()


@pattern(BACK, 1)
def transposed_weights() -> onnx.ModelProto:
    g = Graph()
    w = g.node("Transpose", g.weights(6, 5), perm=[1, 0])
    g.output(g.bn(g.node("MatMul", g.input("N", 5), w), 6), "N", 6)
    return g.model()


@pattern(BACK, 1)
def cast_weights() -> onnx.ModelProto:
    g = Graph()
    w = g.node("Cast", g.weights(5, 6, dtype=np.float16), to=TensorProto.FLOAT)
    g.output(g.bn(g.node("MatMul", g.input("N", 5), w), 6), "N", 6)
    return g.model()


def _quantised(name: str, per_channel: bool, positive: bool, nodes: int, zero: bool = False) -> None:
    @pattern(BACK, nodes, name=f"dequantised_{name}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=21, ir=10)
        stored = g.tensor(g.random.integers(-100, 100, (6, 4, 3, 3)), dtype=np.int8)
        scale = g.tensor(g.random.uniform(0.005, 0.02, 6) if per_channel else 0.01)
        zeros = [g.tensor(np.full(6 if per_channel else (), 3), dtype=np.int8)] if zero else []
        w = g.node("DequantizeLinear", stored, scale, *zeros, axis=0)
        h = g.node("Conv", g.input("N", 4, 6, 6), w, g.weights(6))
        g.output(g.bn(h, 6, positive=positive))
        return g.model()


_quantised("per_channel", True, True, 2)
_quantised("per_channel_zero_point", True, True, 2, zero=True)
_quantised("per_tensor", False, True, 2)
_quantised("per_tensor_zero_point", False, True, 2, zero=True)
_quantised("negative_scale", True, False, 1)


@pattern(BACK, 3)
def weights_quantised_in_the_graph() -> onnx.ModelProto:
    """Float weights through Q and DQ: what is learned is the float, what is used is the rounded."""
    g = Graph(opset=21, ir=10)
    scale, zero = g.tensor(np.full(6, 0.02)), g.tensor(np.zeros(6), dtype=np.int8)
    w = g.node("QuantizeLinear", g.weights(6, 4, 3, 3), scale, zero, axis=0)
    w = g.node("DequantizeLinear", w, scale, zero, axis=0)
    g.output(g.bn(g.node("Conv", g.input("N", 4, 6, 6), w), 6, positive=True))
    return g.model()


@pattern(BACK, 3)
def shared_weights() -> onnx.ModelProto:
    """Two layers with the same weights and bias, two normalisations with the same parameters."""
    g = Graph()
    w, b, parameters = g.weights(4, 4, 3, 3), g.weights(4), g.statistics(4)
    h = g.node("Conv", g.input("N", 4, 8, 8), w, b)
    h = g.node("Relu", g.node("BatchNormalization", h, *parameters))
    g.output(g.node("BatchNormalization", g.node("Conv", h, w, b), *parameters))
    return g.model()


@pattern(BACK, 2)
def weights_shared_with_a_layer_that_keeps_them() -> onnx.ModelProto:
    g = Graph()
    x, w = g.input("N", 5), g.weights(5, 6)
    g.output(g.bn(g.node("Gemm", x, w), 6), "N", 6)
    g.output(g.node("MatMul", x, w), "N", 6)
    return g.model()


@pattern(BACK, 1)
def weights_are_an_output() -> onnx.ModelProto:
    g = Graph()
    w = g.weights(5, 6)
    g.output(g.bn(g.node("Gemm", g.input("N", 5), w), 6), "N", 6)
    g.output(w, 5, 6)
    return g.model()


@pattern(BACK, 1)
def parameters_are_an_output() -> onnx.ModelProto:
    g = Graph()
    parameters = g.statistics(6)
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    g.output(g.node("BatchNormalization", h, *parameters), "N", 6)
    g.output(parameters[0], 6)
    return g.model()


@pattern(BACK, 1)
def one_tensor_is_scale_and_bias() -> onnx.ModelProto:
    g = Graph()
    gamma, _, mean, var = g.statistics(6)
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6), gamma)
    g.output(g.node("BatchNormalization", h, gamma, gamma, mean, var), "N", 6)
    return g.model()


@pattern(BACK, 4)
def weights_captured_by_an_if() -> onnx.ModelProto:
    g = Graph()
    x, w = g.input(4, 5), g.weights(5, 6)
    condition = g.input(dtype=np.bool_, name="condition")
    g.output(g.bn(g.node("Gemm", x, w), 6), 4, 6)
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [4, 6])
    branches = [
        helper.make_graph([helper.make_node("MatMul", operands, ["made"])], "branch", [], [made])
        for operands in ([x, w], [x, w])
    ]
    g.output(g.node("If", condition, then_branch=branches[0], else_branch=branches[1]), 4, 6)
    return g.model()


def _body(g: Graph, op: str, x: str, names: tuple[str, ...], out: str) -> onnx.GraphProto:
    made = helper.make_tensor_value_info(out, TensorProto.FLOAT, [4, 6])
    nodes = [
        helper.make_node(op, [x, names[0]], [f"{out}_h"]),
        helper.make_node("BatchNormalization", [f"{out}_h", *names[1:]], [out]),
    ]
    return helper.make_graph(nodes, f"{out}_body", [], [made])


@pattern(BACK, 3)
def inside_if_branches() -> onnx.ModelProto:
    """Each branch has a layer and its normalisation; weights and parameters come from outside."""
    g = Graph()
    x = g.input(4, 5, name="x")
    condition = g.input(dtype=np.bool_, name="condition")
    bodies = [_body(g, "Gemm", x, (g.weights(5, 6), *g.statistics(6)), out) for out in ("one", "two")]
    g.output(g.node("If", condition, then_branch=bodies[0], else_branch=bodies[1]), 4, 6)
    return g.model()


@pattern(BACK, 3)
def inside_a_loop() -> onnx.ModelProto:
    """The carried state goes through a layer and its normalisation in every turn."""
    g = Graph()
    x = g.input(4, 6, name="x")
    names = (g.weights(6, 6), *g.statistics(6))
    body = _body(g, "Gemm", "state", names, "state_next")
    body.input.extend(
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [4, 6]),
        ]
    )
    body.node.append(helper.make_node("Identity", ["going"], ["going_next"]))
    outputs = [helper.make_tensor_value_info("going_next", TensorProto.BOOL, []), *body.output]
    del body.output[:]
    body.output.extend(outputs)
    g.stored.append(numpy_helper.from_array(np.array(3, np.int64), "turns"))
    g.stored.append(numpy_helper.from_array(np.array(True), "true"))
    g.output(g.node("Loop", "turns", "true", x, body=body), 4, 6)
    return g.model()


@pattern(BACK, 2)
def inside_a_scan() -> onnx.ModelProto:
    """The body stores its own weights."""
    g = Graph()
    x = g.input(3, 4, 5, name="x")
    inner = Graph(seed=3)
    names = (inner.weights(5, 6, name="inner_w"), *inner.statistics(6))
    body = _body(inner, "Gemm", "slice", names, "result")
    body.input.append(helper.make_tensor_value_info("slice", TensorProto.FLOAT, [4, 5]))
    body.initializer.extend(inner.stored)
    g.output(g.node("Scan", x, body=body, num_scan_inputs=1), 3, 4, 6)
    return g.model()


def _function(
    name: str, nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str]
) -> onnx.FunctionProto:
    return helper.make_function("local", name, inputs, outputs, nodes, [helper.make_opsetid("", 17)])


@pattern(BACK, 1)
def local_function_around_both() -> onnx.ModelProto:
    g = Graph()
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"]),
        helper.make_node("BatchNormalization", ["h", "s", "b", "m", "v"], ["y"]),
    ]
    g.functions.append(_function("Block", nodes, ["x", "w", "s", "b", "m", "v"], ["y"]))
    g.output(g.node("Block", g.input("N", 5), g.weights(5, 6), *g.statistics(6), domain="local"), "N", 6)
    return g.model()


@pattern(BACK, 3)
def local_function_called_twice() -> onnx.ModelProto:
    g = Graph()
    g.functions.append(
        _function(
            "Norm", [helper.make_node("BatchNormalization", list("xsbmv"), ["y"])], list("xsbmv"), ["y"]
        )
    )
    h = g.node("Norm", g.node("Gemm", g.input("N", 5), g.weights(5, 6)), *g.statistics(6), domain="local")
    h = g.node("Gemm", g.node("Relu", h), g.weights(6, 3))
    g.output(g.node("Norm", h, *g.statistics(3), domain="local"), "N", 3)
    return g.model()


def _typed(name: str, dtype: Any, statistics: Any, opset: int, tolerance: float, runs: bool = True) -> None:
    @pattern(BACK, 1, tolerance=tolerance, runs=runs, name=f"dtype_{name}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=opset, dtype=dtype)
        h = g.node("Conv", g.input("N", 4, 6, 6), g.weights(6, 4, 3, 3), g.weights(6))
        gamma, beta = g.statistics(6)[:2]
        mean, var = g.statistics(6, statistics)[2:]
        g.output(g.node("BatchNormalization", h, gamma, beta, mean, var), "N", 6, 4, 4)
        g.stored = [t for t in g.stored if any(t.name in node.input for node in g.nodes)]
        return g.model()


_typed("float16", np.float16, np.float16, 17, 2e-2)
_typed("float16_statistics_float32", np.float16, np.float32, 17, 2e-2)
_typed("float32_statistics_float64", np.float32, np.float64, 17, 3e-5, runs=False)


@pattern(BACK, 1, tolerance=1e-12)
def dtype_float64() -> onnx.ModelProto:
    g = Graph(dtype=np.float64)
    g.output(g.bn(g.node("Gemm", g.input("N", 5), g.weights(5, 6), g.weights(6)), 6), "N", 6)
    return g.model()


@pattern(BACK, 1, tolerance=5e-2, runs=False)
def dtype_bfloat16() -> onnx.ModelProto:
    import ml_dtypes

    g = Graph(opset=17, dtype=ml_dtypes.bfloat16)
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6), g.weights(6))
    g.output(g.bn(h, 6), "N", 6)
    return g.model()


def _ir_version(version: int) -> None:
    @pattern(BACK, 2, name=f"ir_version_{version}")
    def make() -> onnx.ModelProto:
        g = Graph(opset=8 if version == 3 else 13, ir=version)
        h = g.bn(g.node("Conv", g.input(2, 4, 6, 6), g.weights(6, 4, 3, 3)), 6)
        g.output(g.node("Relu", h), 2, 6, 4, 4)
        return g.model()


for _version in (3, 4, 7, 10, 11):
    _ir_version(_version)


@pattern(BACK, 1)
def bias_that_grows_in_ir_version_3() -> onnx.ModelProto:
    """The new bias takes the name of the old one, which was a single number and listed as an input."""
    g = Graph(opset=8, ir=3)
    g.output(g.bn(g.node("Gemm", g.input(4, 5), g.weights(5, 6), g.weights(1)), 6), 4, 6)
    return g.model()


@pattern(BACK, 2)
def names_that_collide() -> onnx.ModelProto:
    """Every name that a folder might think of is taken."""
    g = Graph()
    w = g.weights(6, 4, 3, 3, name="w")
    h = g.node("Conv", g.input("N", 4, 6, 6, name="w_folded"), w, out="w_bias")
    y = g.bn(h, 6, out="w_bias_folded")
    g.output(y)
    g.output(g.node("Relu", w, out="w_bias_folded_1"))
    return g.model()


@pattern(BACK, 1)
def output_keeps_its_name() -> onnx.ModelProto:
    g = Graph()
    h = g.node("MatMul", g.input("N", 5), g.weights(5, 6))
    g.output(g.bn(h, 6, out="probabilities"), "N", 6)
    return g.model()


@pattern(Kind.NOTHING, 2, reason=Reason.OVERRIDABLE_INPUT)
def weights_may_be_overridden() -> onnx.ModelProto:
    g = Graph()
    g.output(g.bn(g.node("Gemm", g.input("N", 5), g.weights(5, 6)), 6), "N", 6)
    return g.model(stored_as_inputs=True)


def _overridable(name: str, which: int) -> None:
    @pattern(Kind.NOTHING, 2, reason=Reason.OVERRIDABLE_INPUT, name=f"overridable_{name}")
    def make() -> onnx.ModelProto:
        g = Graph()
        names = [g.weights(5, 6), g.weights(6), *g.statistics(6)]
        h = g.node("Gemm", g.input("N", 5), names[0], names[1])
        g.output(g.node("BatchNormalization", h, *names[2:]), "N", 6)
        tensor = next(t for t in g.stored if t.name == names[which])
        g.inputs.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        return g.model()


_overridable("weights", 0)
_overridable("bias", 1)
_overridable("variance", 5)
