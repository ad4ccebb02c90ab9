"""A short way to write small ONNX graphs, and the register of patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.folding.report import Reason

DTYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.float16): TensorProto.FLOAT16,
}


class Kind(StrEnum):
    """What a perfect folder does with a pattern."""

    BACKWARD = "exact backward"
    FORWARD = "exact forward"
    PARTIAL = "partial"
    NOTHING = "nothing"
    TRAP = "trap"


@dataclass(frozen=True)
class Pattern:
    """One graph.

    Attributes:
        nodes: how many nodes are left by a perfect folder, Constants not counted; None where it is not said.
        reason: why the normalisation is left, if it is.
        tolerance: how far results may be off, as a share of the largest; for float16 more than the default.
        strict: whether onnxruntime can run it.
    """

    name: str
    kind: Kind
    make: Callable[[], onnx.ModelProto]
    nodes: int | None = None
    reason: Reason | None = None
    tolerance: float = 3e-5
    runs: bool = True


PATTERNS: dict[str, Pattern] = {}


def pattern(
    kind: Kind,
    nodes: int | None = None,
    reason: Reason | None = None,
    tolerance: float = 3e-5,
    runs: bool = True,
    name: str | None = None,
) -> Callable[[Callable[[], onnx.ModelProto]], Callable[[], onnx.ModelProto]]:
    """Register a function that makes a graph."""

    def register(make: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
        key = name or make.__name__.strip("_")
        assert key not in PATTERNS, key
        PATTERNS[key] = Pattern(key, kind, make, nodes, reason, tolerance, runs)
        return make

    return register


class Graph:
    """Collects nodes and tensors; every method that makes a value returns its name."""

    def __init__(
        self, opset: int = 17, ir: int = 8, dtype: Any = np.float32, seed: int = 0, ml: bool = False
    ) -> None:
        self.opset, self.ir, self.ml = opset, ir, ml
        self.dtype = np.dtype(dtype)
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def input(self, *shape: int | str, name: str | None = None, dtype: Any = None) -> str:
        name = name or self.fresh("x")
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def tensor(self, values: Any, name: str | None = None, dtype: Any = None) -> str:
        """An initialiser."""
        name = name or self.fresh("w")
        self.stored.append(numpy_helper.from_array(np.asarray(values).astype(dtype or self.dtype), name))
        return name

    def weights(self, *shape: int, name: str | None = None, dtype: Any = None) -> str:
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        return self.tensor(self.random.standard_normal(shape) * scale, name, dtype)

    def ints(self, *values: int, name: str | None = None) -> str:
        return self.tensor(np.array(values, np.int64), name, np.int64)

    def node(
        self,
        op: str,
        *inputs: str,
        out: str | None = None,
        outputs: int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        names = [out or self.fresh("v")] + [self.fresh("v") for _ in range(outputs - 1)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(
            helper.make_node(op, inputs, names, name=self.fresh(op), domain=domain, **attributes)
        )
        return names[0]

    def statistics(self, channels: int, dtype: Any = None, positive: bool = False) -> list[str]:
        """γ, β, mean and variance as initialisers."""
        r = self.random
        gamma = r.uniform(0.5, 1.5, channels) * (1 if positive else r.choice([-1, 1], channels))
        values = (
            gamma,
            r.standard_normal(channels),
            r.standard_normal(channels),
            r.uniform(0.3, 2, channels),
        )
        return [
            self.tensor(v, self.fresh(stem), dtype)
            for v, stem in zip(values, ("gamma", "beta", "mean", "var"), strict=True)
        ]

    def bn(
        self, x: str, channels: int, out: str | None = None, positive: bool = False, **attributes: Any
    ) -> str:
        return self.node(
            "BatchNormalization", x, *self.statistics(channels, positive=positive), out=out, **attributes
        )

    def output(self, name: str, *shape: int | str | None, dtype: Any = None) -> None:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape or None))

    def model(self, stored_as_inputs: bool = False) -> onnx.ModelProto:
        inputs = list(self.inputs)
        if self.ir < 4 or stored_as_inputs:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in self.stored]
        graph = helper.make_graph(self.nodes, "pattern", inputs, self.outputs, self.stored)
        opsets = [helper.make_opsetid("", self.opset)]
        if self.ml:
            opsets.append(helper.make_opsetid("ai.onnx.ml", 3))
        opsets += [helper.make_opsetid(d, 1) for d in sorted({f.domain for f in self.functions})]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.ir, functions=self.functions)
        if all(info.type.tensor_type.HasField("shape") for info in self.outputs):
            return model
        inferred = onnx.shape_inference.infer_shapes(model)
        for info, known in zip(model.graph.output, inferred.graph.output, strict=True):
            info.CopyFrom(known)
        return model
