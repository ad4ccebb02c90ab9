"""The exact fold once more, from the layers' own formulas in extended precision, and what a file stores.

It shares no code with `training.folding`. Between two non-linearities everything is affine: such a chain
holds one linear layer, and the file has one Gemm for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.ensemble import members
from training.model import BatchNorm, Network, Residual, Standardiser, TargetScale

Extended = NDArray[np.longdouble]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """What one chain adds up to: weight·h + rows[places] + bias.

    Shape: weight (out, in), bias (out,), rows (places, out) or None where there are no categories.
    """

    weight: Array
    bias: Array
    rows: Array | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...] | None, ...]:
        """Of its arrays."""
        return tuple(None if array is None else array.shape for array in self._arrays())

    def beside(self, other: Layer) -> Iterator[tuple[Array, Array]]:
        """Pairs of arrays that stand for the same."""
        for mine, others in zip(self._arrays(), other._arrays(), strict=True):
            if mine is not None and others is not None:
                yield mine, others

    def _arrays(self) -> tuple[Array | None, ...]:
        return self.weight, self.bias, self.rows


def exact_layers(network: nn.Module, centres: Iterable[Extended | None]) -> Iterator[Layer]:
    """The chains of a network, exactly; those of an ensemble member by member.

    Args:
        centres: what the file subtracts in front of each chain, where the fold kept a shift.
    """
    shifts = iter(centres)
    chain = _Chain(next(shifts, None))
    for layer in _flattened(network):
        if chain.takes(layer):
            continue
        if chain.bias is not None:
            yield chain.layer()
            chain = _Chain(next(shifts, None))


def _flattened(network: nn.Module) -> Iterator[nn.Module]:
    """The layers in order; the end of a member ends a chain as a non-linearity does."""
    for member in members(network):
        assert isinstance(member, Network)  # noqa: S101 - only unfolded ones are compared
        yield from _of_member(member)
        yield nn.Identity()


def _of_member(network: Network) -> Iterator[nn.Module]:
    """The layers in order; so does the sum at the end of a shortcut."""
    for layer in network.layers():
        if not isinstance(layer, Residual):
            yield layer
            continue
        yield nn.Identity()
        yield from layer.children()
        yield nn.Identity()


class _Chain:
    """A·h + c so far, h being what the last non-linearity gave, or that less `centre`."""

    def __init__(self, centre: Extended | None) -> None:
        one, zero = np.ones((), np.longdouble), np.zeros((), np.longdouble)
        self.weight: Extended | None = None
        self.bias: Extended | None = None
        self.rows: Extended | None = None
        # Before the linear layer every unit stands for itself.
        self._diagonal: Extended = one
        self._shift: Extended = zero if centre is None else centre

    def takes(self, layer: nn.Module) -> bool:
        """Go through a layer; False where it is none of this chain."""
        if isinstance(layer, nn.Linear):
            self._multiply(_extended(layer.weight), layer.bias)
        elif isinstance(layer, nn.Embedding):
            self.rows = _extended(layer.weight)
        elif isinstance(layer, Standardiser):
            self._scale(1 / _extended(layer.scale), -_extended(layer.mean) / _extended(layer.scale))
        elif isinstance(layer, TargetScale):
            self._scale(_extended(layer.scale), _extended(layer.mean))
        elif isinstance(layer, BatchNorm):
            self._normalise(layer)
        else:
            return isinstance(layer, nn.Dropout)
        return True

    def layer(self) -> Layer:
        """What it adds up to."""
        assert self.weight is not None and self.bias is not None  # noqa: S101, PT018 - only such are asked
        return Layer(self.weight, self.bias, self.rows)

    def _multiply(self, weight: Extended, bias: Tensor | None) -> None:
        constant = np.zeros((), np.longdouble) if bias is None else _extended(bias)
        self.weight = weight * self._diagonal
        self.bias = (weight * self._shift).sum(axis=1) + constant

    def _normalise(self, layer: BatchNorm) -> None:
        root = np.sqrt(_extended(layer.running_var) + np.longdouble(layer.eps))
        gamma = _extended(layer.weight)
        self._scale(gamma / root, _extended(layer.bias) - gamma * _extended(layer.running_mean) / root)

    def _scale(self, factor: Extended, constant: Extended) -> None:
        """y ← factor·y + constant."""
        if self.bias is None:
            self._diagonal, self._shift = self._diagonal * factor, self._shift * factor + constant
            return
        self.bias = self.bias * factor + constant
        if self.weight is not None:
            self.weight = self.weight * factor[:, None]
        if self.rows is not None:
            self.rows = self.rows * factor


@dataclass(frozen=True, eq=False)
class Stored:
    """The linear layers of a file, in its order, and what is subtracted in front of each."""

    layers: tuple[Layer, ...]
    centres: tuple[Extended | None, ...]


def stored_layers(graph: onnx.GraphProto) -> Stored:
    """Read the Gemms of a graph, and the tables of rows that are added to them."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    layers: dict[str, Layer] = {}
    centres: list[Extended | None] = []
    for node in graph.node:
        if node.op_type == "Gemm":
            layers[node.output[0]] = _gemm(node, tensors)
            centres.append(_centre(makers.get(node.input[0]), tensors))
        elif node.op_type == "Add":
            _add_rows(node, makers, tensors, layers)
    return Stored(tuple(layers.values()), tuple(centres))


def _gemm(node: onnx.NodeProto, tensors: dict[str, Array]) -> Layer:
    weight, bias = (tensors[name] for name in node.input[1:3])
    transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
    return Layer(weight if transposed else weight.T, bias)


def _centre(before: onnx.NodeProto | None, tensors: dict[str, Array]) -> Extended | None:
    if before is None or before.op_type != "Sub" or before.input[1] not in tensors:
        return None
    return tensors[before.input[1]].astype(np.longdouble)


def _add_rows(
    node: onnx.NodeProto,
    makers: dict[str, onnx.NodeProto],
    tensors: dict[str, Array],
    layers: dict[str, Layer],
) -> None:
    """A sum of rows is added to a Gemm's output."""
    tables = [_table(makers.get(name), makers, tensors) for name in node.input]
    for table, other in zip(tables, reversed(node.input), strict=True):
        if table is not None and other in layers:
            layers[other] = Layer(layers[other].weight, layers[other].bias, table)


def _table(
    node: onnx.NodeProto | None, makers: dict[str, onnx.NodeProto], tensors: dict[str, Array]
) -> Array | None:
    """The rows of which a ReduceSum adds some."""
    if node is None or node.op_type != "ReduceSum":
        return None
    gather = makers.get(node.input[0])
    return tensors.get(gather.input[0]) if gather is not None and gather.op_type == "Gather" else None


def _extended(tensor: Tensor) -> Extended:
    return np.asarray(tensor.detach().double().numpy(), dtype=np.longdouble)
