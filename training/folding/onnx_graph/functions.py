"""Local functions: opened where something inside them could be folded, left alone where nothing could."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx.inliner

_OF_INTEREST = {
    "BatchNormalization",
    "Scaler",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Einsum",
    "Add",
    "Sub",
    "Mul",
    "Div",
}


def open_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the bodies of such functions in place of their calls; the same object without any."""
    chosen = _with_interest(model)
    if not chosen:
        return model
    try:
        opened = onnx.inliner.inline_selected_functions(model, sorted(chosen))
    except Exception:  # a function of another opset than the model's: it stays closed
        return model
    used = {(node.domain, node.op_type) for node in _nodes(opened)}
    kept = [function for function in opened.functions if (function.domain, function.name) in used]
    del opened.functions[:]
    opened.functions.extend(kept)
    return opened


def _with_interest(model: onnx.ModelProto) -> set[tuple[str, str]]:
    """Functions that hold an operator of interest, or call one that does."""
    chosen: set[tuple[str, str]] = set()
    size = -1
    while size != len(chosen):
        size = len(chosen)
        for function in model.functions:
            inside = {(node.domain, node.op_type) for node in _inner(function.node)}
            if any(op_type in _OF_INTEREST for _, op_type in inside) or inside & chosen:
                chosen.add((function.domain, function.name))
    return chosen


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _inner(model.graph.node)
    for function in model.functions:
        yield from _inner(function.node)


def _inner(nodes: object) -> Iterator[onnx.NodeProto]:
    for node in nodes:  # type: ignore[attr-defined]
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _inner(graph.node)
