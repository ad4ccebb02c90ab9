"""What is known of each value before anything is changed: its shape and its element type."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

Dim = int | str | None
Shape = tuple[Dim, ...]

_SMALL = 1024
"""Elements up to which a tensor may hold a shape that inference needs; larger ones stay out of its way."""


class Facts:
    """Shapes and types by value, from ONNX shape inference; a value made later inherits from its model."""

    def __init__(self, model: ir.Model, inferred: onnx.ModelProto) -> None:
        self._shapes: dict[ir.Value, Shape] = {}
        self._dtypes: dict[ir.Value, ir.DataType] = {}
        for graph, known in zip(model.graphs(), _graphs(inferred.graph), strict=False):
            self._read(graph, known)

    def shape(self, value: ir.Value) -> Shape | None:
        """Its dimensions, a name or None where one is free; None when not even the rank is known."""
        if value in self._shapes:
            return self._shapes[value]
        tensor = value.const_value
        return tuple(int(size) for size in tensor.shape) if tensor is not None else None  # type: ignore[arg-type]

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """Its element type."""
        return self._dtypes.get(value, value.dtype)

    def inherit(self, value: ir.Value, model: ir.Value) -> None:
        """`value` is new and has the shape and type of `model`."""
        if (shape := self.shape(model)) is not None:
            self._shapes[value] = shape
        if (dtype := self.dtype(model)) is not None:
            self._dtypes[value] = dtype

    def learn(self, value: ir.Value, shape: Shape) -> None:
        """A shape that inference missed and the operator gives away."""
        self._shapes[value] = shape

    def set_dtype(self, value: ir.Value, dtype: ir.DataType) -> None:
        """The element type of a new value."""
        self._dtypes[value] = dtype

    def _read(self, graph: ir.Graph, known: onnx.GraphProto) -> None:
        by_name = {info.name: info for info in (*known.input, *known.value_info, *known.output)}
        values = [
            *graph.inputs,
            *graph.initializers.values(),
            *(out for node in graph for out in node.outputs),
        ]
        for value in values:
            info = by_name.get(value.name or "")
            if info is None or not info.type.HasField("tensor_type"):
                continue
            tensor = info.type.tensor_type
            if tensor.HasField("shape"):
                self._shapes[value] = tuple(_dim(dim) for dim in tensor.shape.dim)
            if tensor.elem_type:
                self._dtypes[value] = ir.DataType(tensor.elem_type)


def infer(skeleton: onnx.ModelProto) -> onnx.ModelProto:
    """The skeleton with every shape that inference finds; leniently where the model contradicts itself."""
    inferred = _infer(skeleton)
    return _infer(inferred) if _tell_of_scalers(inferred.graph) else inferred


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    for strict in (True, False):
        try:
            return onnx.shape_inference.infer_shapes(model, strict_mode=strict, data_prop=True)
        except Exception:  # noqa: S112 - the C++ library raises bare RuntimeErrors and its own types
            continue
    return model


def _tell_of_scalers(graph: onnx.GraphProto) -> bool:
    """Inference knows nothing of ai.onnx.ml: a Scaler returns floats in the shape of its input."""
    known = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
    told = False
    for node in graph.node:
        source = known.get(node.input[0]) if node.input else None
        if (
            node.op_type != "Scaler"
            or node.domain != "ai.onnx.ml"
            or source is None
            or node.output[0] in known
        ):
            continue
        result = graph.value_info.add(name=node.output[0], type=source.type)
        result.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        told = True
    return told


def skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large tensors turned into inputs: all that the checker and inference need."""
    light = onnx.ModelProto()
    for field, content in model.ListFields():
        if field.name not in ("graph", "training_info"):
            _copy_field(light, field, content)
    graph = model.graph
    inputs = {info.name for info in graph.input}
    for field, content in graph.ListFields():
        if field.name != "initializer":
            _copy_field(light.graph, field, content)
    for tensor in graph.initializer:
        if _is_light(tensor):
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            light.graph.input.append(info)
    return light


def _copy_field(target: object, field: object, content: object) -> None:
    name = field.name  # type: ignore[attr-defined]
    if hasattr(content, "MergeFrom"):
        getattr(target, name).MergeFrom(content)
    else:
        setattr(target, name, content)


def _is_light(tensor: onnx.TensorProto) -> bool:
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size <= _SMALL and tensor.data_location != onnx.TensorProto.EXTERNAL


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) if dim.dim_param else None


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and its subgraphs, in the order of `ir.Model.graphs`."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)
