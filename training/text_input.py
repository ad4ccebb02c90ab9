"""Texts of categories → places in the table of rows, inside the graph.

One dictionary for all columns turns texts into numbers, and one table turns a number in a column into a
place: three nodes, however many columns there are. Where that table would be large, each column has a
dictionary of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.codebook import Codebook

LARGEST = 1 << 20
"""Numbers in the common table; beyond it each column has a dictionary of its own."""

ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3
_PLACES = "places"


def take_texts(model: onnx.ModelProto, name: str, codebook: Codebook) -> onnx.ModelProto:
    """A copy of a model whose input `name`, places in int64 [N, columns], takes texts instead."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    for node in graph.node:
        for position, tensor in enumerate(node.input):
            if tensor == name:
                node.input[position] = _PLACES
    given = next(value for value in graph.input if value.name == name)
    given.type.tensor_type.elem_type = TensorProto.STRING
    texts, table = codebook.dictionary()
    make = _together if table.size <= LARGEST else _apart
    nodes, tensors = make(name, codebook, texts, table)
    behind = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *behind])
    graph.initializer.extend(tensors)
    if all(entry.domain != ML_DOMAIN for entry in copy.opset_import):
        copy.opset_import.append(helper.make_opsetid(ML_DOMAIN, ML_OPSET))
    onnx.checker.check_model(copy, full_check=True)
    return copy


_Part = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


def _together(name: str, codebook: Codebook, texts: tuple[str, ...], table: np.ndarray) -> _Part:
    starts = np.arange(len(codebook.columns)) * (1 + len(texts))
    tensors = [_tensor("category_starts", starts), _tensor("category_places", table.ravel())]
    nodes = [
        _encoder(name, "category_numbers", texts, range(1, 1 + len(texts)), 0),
        helper.make_node("Add", ["category_numbers", "category_starts"], ["category_cells"]),
        helper.make_node("Gather", ["category_places", "category_cells"], [_PLACES]),
    ]
    return nodes, tensors


def _apart(name: str, codebook: Codebook, texts: tuple[str, ...], table: np.ndarray) -> _Part:
    columns = range(len(codebook.columns))
    tensors = [_tensor(f"category_column{column}", np.array([column])) for column in columns]
    nodes = [node for column in columns for node in _of_column(name, column, texts, table[column])]
    nodes.append(helper.make_node("Concat", [f"places{column}" for column in columns], [_PLACES], axis=1))
    return nodes, tensors


def _of_column(
    name: str, column: int, texts: tuple[str, ...], places: np.ndarray
) -> Iterator[onnx.NodeProto]:
    unknown = int(places[0])
    known = [(text, int(place)) for text, place in zip(texts, places[1:], strict=True) if place != unknown]
    yield helper.make_node("Gather", [name, f"category_column{column}"], [f"texts{column}"], axis=1)
    mine, numbers = zip(*known, strict=True)
    yield _encoder(f"texts{column}", f"places{column}", mine, numbers, unknown)


def _encoder(
    given: str, answer: str, texts: tuple[str, ...], numbers: object, default: int
) -> onnx.NodeProto:
    return helper.make_node(
        "LabelEncoder",
        [given],
        [answer],
        domain=ML_DOMAIN,
        keys_strings=list(texts),
        values_int64s=list(numbers),  # type: ignore[call-overload]
        default_int64=default,
    )


def _tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.int64), name)
