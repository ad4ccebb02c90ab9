"""Each stored parameter is the representable number nearest to the exact result, by fractions."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import isqrt
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.training.folding.corpus.build import Graph
from training.folding import fold_onnx

_DIGITS = 10**60


def _root(value: Fraction) -> Fraction:
    """√value to sixty digits."""
    return Fraction(isqrt(value.numerator * _DIGITS**2 // value.denominator), _DIGITS)


def _exact(values: NDArray[Any]) -> list[Fraction]:
    return [Fraction(float(value)) for value in values.reshape(-1)]


def _assert_nearest(stored: NDArray[Any], wanted: Iterable[Fraction]) -> None:
    up, down = np.array(np.inf, stored.dtype), np.array(-np.inf, stored.dtype)
    for value, exact in zip(stored.reshape(-1), wanted, strict=True):
        error = abs(Fraction(float(value)) - exact)
        for neighbour in (np.nextafter(value, up), np.nextafter(value, down)):
            assert error <= abs(Fraction(float(neighbour)) - exact), (value, float(exact))


def _stored(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _affine(parameters: list[NDArray[Any]]) -> tuple[list[Fraction], list[Fraction]]:
    gamma, beta, mean, var = map(_exact, parameters)
    epsilon = Fraction(float(np.float32(1e-5)))
    scale = [g / _root(v + epsilon) for g, v in zip(gamma, var, strict=True)]
    return scale, [b - s * m for b, s, m in zip(beta, scale, mean, strict=True)]


def _cancelling(g: Graph, size: int, bias: NDArray[Any]) -> list[str]:
    """A normalisation whose mean is the bias but for the last bits, so that s·b + t all but vanishes."""
    r = np.random.default_rng(5)
    mean = bias * (1 + r.integers(-3, 4, size) * 2.0**-22)
    values = (r.uniform(0.5, 2, size), r.standard_normal(size) * 1e-7, mean, r.uniform(0.3, 3, size))
    return [g.tensor(value) for value in values]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_backward_parameters_are_the_nearest(dtype: Any) -> None:
    g = Graph(opset=17, dtype=dtype)
    b = (np.random.default_rng(3).standard_normal(24) * 100).astype(dtype)
    names = [g.weights(32, 24), g.tensor(b)]
    h = g.node("Gemm", g.input("N", 32), *names)
    names += _cancelling(g, 24, b.astype(np.float64))
    g.output(g.node("BatchNormalization", h, *names[2:]), "N", 24)
    before = _stored(g.model())
    folded = fold_onnx(g.model())
    assert folded.report.folded == 1
    after = _stored(folded.model)
    scale, shift = _affine([before[name] for name in names[2:]])
    weights = _exact(before[names[0]])
    _assert_nearest(after[names[0]], (w * scale[k % 24] for k, w in enumerate(weights)))
    bias = [s * c + t for s, c, t in zip(scale, _exact(before[names[1]]), shift, strict=True)]
    _assert_nearest(after[names[1]], bias)


def test_chain_is_rounded_once() -> None:
    g = Graph()
    names = [g.weights(6, 4, 3, 3), g.weights(6)]
    h = g.node("Conv", g.input("N", 4, 6, 6), *names)
    constants = [g.tensor(g.random.uniform(0.5, 1.5, (6, 1, 1))) for _ in range(4)]
    for op, constant in zip(("Sub", "Div", "Mul", "Add"), constants, strict=True):
        h = g.node(op, h, constant)
    g.output(h, "N", 6, 4, 4)
    before, after = _stored(g.model()), _stored(fold_onnx(g.model()).model)
    mean, deviation, gamma, beta = (_exact(before[name]) for name in constants)
    scale = [c / d for c, d in zip(gamma, deviation, strict=True)]
    weights = _exact(before[names[0]])
    _assert_nearest(after[names[0]], (w * scale[k // 36] for k, w in enumerate(weights)))
    bias = zip(_exact(before[names[1]]), mean, scale, beta, strict=True)
    _assert_nearest(after[names[1]], ((b - m) * s + t for b, m, s, t in bias))


def test_forward_bias_is_the_nearest() -> None:
    """b + W t cancels almost wholly: float64 sums would be off by many float32 steps."""
    g = Graph()
    r = np.random.default_rng(9)
    w = r.standard_normal((1, 512)).astype(np.float32)
    parameters = [np.ones(512), r.standard_normal(512), np.zeros(512), np.ones(512)]
    b = -(w.astype(np.float64) @ parameters[1]) / np.sqrt(1 + 1e-5)
    names = [g.tensor(w), g.tensor(b), *(g.tensor(value) for value in parameters)]
    h = g.node("BatchNormalization", g.input("N", 512), *names[2:])
    g.output(g.node("Gemm", h, *names[:2], transB=1), "N", 1)
    before = _stored(g.model())
    folded = fold_onnx(g.model(), amp_limit=1e9)
    assert folded.report.entries[0].direction == "next"
    after = _stored(folded.model)
    scale, shift = _affine([before[name] for name in names[2:]])
    weights = _exact(before[names[0]])
    _assert_nearest(after[names[0]], (v * s for v, s in zip(weights, scale, strict=True)))
    wanted = sum((v * t for v, t in zip(weights, shift, strict=True)), _exact(before[names[1]])[0])
    _assert_nearest(after[names[1]], [wanted])


def test_subnormal_biases_are_flushed() -> None:
    g = Graph()
    h = g.node("Gemm", g.input("N", 5), g.weights(5, 6))
    values = [np.ones(6), np.full(6, 1e-40), np.zeros(6), np.ones(6)]
    g.output(g.node("BatchNormalization", h, *map(g.tensor, values)), "N", 6)
    for stored in _stored(fold_onnx(g.model()).model).values():
        assert not (np.abs(stored[stored != 0]) < np.finfo(np.float32).tiny).any()


def test_subnormal_weights_are_kept_where_nothing_larger_is_near() -> None:
    g = Graph(dtype=np.float16)
    h = g.node("Gemm", g.input("N", 5), g.tensor(np.full((5, 6), 3e-5)))
    g.output(g.node("Mul", h, g.tensor(np.full(6, 0.5))), "N", 6)
    model = fold_onnx(g.model()).model
    stored = next(v for v in _stored(model).values() if v.shape == (5, 6))
    assert (stored > 0).all()


def test_input_model_keeps_every_byte_and_metadata_travel() -> None:
    g = Graph()
    g.output(g.bn(g.node("Gemm", g.input("N", 5), g.weights(5, 6)), 6), "N", 6)
    model = g.model()
    helper.set_model_props(model, {"author": "nobody"})
    model.producer_name, model.doc_string = "a tool", "a text"
    before = model.SerializeToString()
    folded = fold_onnx(model).model
    assert model.SerializeToString() == before
    assert (folded.producer_name, folded.doc_string) == ("a tool", "a text")
    assert {entry.key: entry.value for entry in folded.metadata_props} == {"author": "nobody"}
