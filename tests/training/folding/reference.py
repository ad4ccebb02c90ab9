"""What a model computes in float64, by ONNX's own reference evaluator: no code is shared with the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_SIZES = {"N": 3, "L": 4}


def feeds(model: onnx.ModelProto, seed: int = 1) -> dict[str, NDArray[Any]]:
    """Random inputs; what is called "far" lies around 1000."""
    random = np.random.default_rng(seed)
    stored = {tensor.name for tensor in model.graph.initializer}
    return {info.name: _values(info, random) for info in model.graph.input if info.name not in stored}


def _values(info: onnx.ValueInfoProto, random: np.random.Generator) -> NDArray[Any]:
    tensor = info.type.tensor_type
    shape = [dim.dim_value or _SIZES.get(dim.dim_param, 4) for dim in tensor.shape.dim]
    if tensor.elem_type == TensorProto.BOOL:
        return np.asarray(random.random(shape) < 0.5)
    centre = 1000 if info.name == "far" else 0
    if tensor.elem_type in (TensorProto.INT64, TensorProto.INT32):
        return (centre + random.integers(0, 9, shape)).astype(np.int64)
    dtype = (
        ml_dtypes.bfloat16
        if tensor.elem_type == TensorProto.BFLOAT16
        else onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    )
    return np.asarray(centre + random.standard_normal(shape)).astype(dtype)


def run(model: onnx.ModelProto, values: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """All outputs, computed in float64 from the parameters as stored."""
    wide = {name: v.astype(np.float64) if _is_floating(v) else v for name, v in values.items()}
    with np.errstate(all="ignore"):
        return list(ReferenceEvaluator(in_double(model), new_ops=_OPERATORS).run(None, wide))


class BatchNormalization(OpRun):  # type: ignore[misc]
    """ONNX's own one mixes in the statistics of the batch between opsets 9 and 13, whatever the outputs."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, var, **attributes):  # type: ignore[no-untyped-def]
        if attributes.get("training_mode"):
            axes = tuple(k for k in range(x.ndim) if k != 1)
            mean, var = x.mean(axis=axes), x.var(axis=axes)
        epsilon = attributes.get("epsilon")
        root = np.sqrt(var + (np.float32(1e-5) if epsilon is None else epsilon))
        layout = (-1, *(1,) * (x.ndim - 2)) if scale.ndim == 1 else scale.shape
        parts = [part.reshape(layout) for part in (scale / root, bias, mean)]
        y = parts[0] * (x - parts[2]) + parts[1]
        return (y, mean, var, mean, var)[: len(self.onnx_node.output)]


def _is_floating(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" or values.dtype == ml_dtypes.bfloat16


class Scaler(OpRun):  # type: ignore[misc]
    """ONNX's own one returns integers for integers."""

    op_domain = "ai.onnx.ml"

    def _run(self, x, offset=None, scale=None):  # type: ignore[no-untyped-def]
        return ((x.astype(np.float64) - offset) * scale,)


class ConvTranspose(OpRun):  # type: ignore[misc]
    """ONNX's own one knows no groups: add each input, times the kernel, to the outputs it reaches."""

    op_domain = ""

    def _run(self, x, w, bias=None, **attributes):  # type: ignore[no-untyped-def]
        rank, groups = x.ndim - 2, attributes.get("group") or 1
        strides = attributes.get("strides") or [1] * rank
        pads = attributes.get("pads") or [0] * 2 * rank
        extra = attributes.get("output_padding") or [0] * rank
        size = [
            (n - 1) * s + k + e for n, s, k, e in zip(x.shape[2:], strides, w.shape[2:], extra, strict=True)
        ]
        inner, outer = w.shape[0] // groups, w.shape[1]
        y = np.zeros((x.shape[0], outer * groups, *size))
        for group in range(groups):
            part, kernel = x[:, group * inner :][:, :inner], w[group * inner :][:inner]
            for tap in np.ndindex(*w.shape[2:]):
                reach = tuple(
                    slice(t, t + n * s, s) for t, n, s in zip(tap, x.shape[2:], strides, strict=True)
                )
                product = np.einsum("ni...,io->no...", part, kernel[(..., *tap)])
                y[(slice(None), slice(group * outer, (group + 1) * outer), *reach)] += product
        y = y[(..., *(slice(p, n - q) for p, q, n in zip(pads[:rank], pads[rank:], size, strict=True)))]
        return (y if bias is None else y + bias.reshape(-1, *(1,) * rank),)


class Gemm(OpRun):  # type: ignore[misc]
    """Of another domain, in which the name means what its author likes."""

    op_domain = "com.example"

    def _run(self, x, w, **_):  # type: ignore[no-untyped-def]
        return (np.abs(x) @ w,)


class Add(OpRun):  # type: ignore[misc]
    """With the axis that was an attribute before opset 7."""

    op_domain = ""
    compute = staticmethod(np.add)

    def _run(self, a, b, axis=None, broadcast=None, **_):  # type: ignore[no-untyped-def]
        if axis is not None:
            b = b.reshape((*b.shape, *(1,) * (a.ndim - axis - b.ndim)))
        return (self.compute(a, b),)


class Mul(Add):
    """As Add."""

    compute = staticmethod(np.multiply)


_OPERATORS = [BatchNormalization, Scaler, ConvTranspose, Gemm, Add, Mul]


def in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every float replaced by a double."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen(wide.graph)
    for function in wide.functions:
        for node in function.node:
            _widen_node(node)
    return wide


def _widen(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in _FLOATS:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        _widen_node(node)


def _widen_node(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            _widen_tensor(attribute.t)
        if attribute.HasField("g"):
            _widen(attribute.g)
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i in _FLOATS:
            attribute.i = TensorProto.DOUBLE


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _FLOATS:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
