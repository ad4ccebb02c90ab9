"""The outline of an ONNX file: its operations in order, without their numbers.

Only the wire format of protobuf is read, and tensors are stepped over, so that a file of any size costs a
few milliseconds and neither onnx nor a session. What is computed from constants alone belongs to its user.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service import wire
from service.metadata import FoldEntry, Layer

_GRAPH, _NODE, _STORED, _GRAPH_INPUT, _GRAPH_OUTPUT = 7, 1, 5, 11, 12
_INPUT, _OUTPUT, _NAME, _KIND, _ATTRIBUTE, _NOTE = 1, 2, 3, 4, 5, 6
_TENSOR_DIMS, _TENSOR_NAME, _ATTRIBUTE_TENSOR = 1, 8, 5


@dataclass(frozen=True)
class _Constant:
    """What is stored: its numbers, the shape of the largest tensor, and the modules whose it is."""

    numbers: int = 0
    shape: tuple[int, ...] = ()
    owners: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[_Constant]) -> _Constant:
        """Several as one."""
        parts = tuple(parts)
        shape = max((part.shape for part in parts), key=math.prod, default=())
        owners = tuple(dict.fromkeys(owner for part in parts for owner in part.owners))
        return cls(sum(part.numbers for part in parts), shape, owners)


@dataclass
class _Node:
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    name: str = ""
    kind: str = ""
    note: str = ""
    tensors: list[_Constant] = field(default_factory=list)


def outline_of(path: Path) -> tuple[Layer, ...]:
    """The operations of a model file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not ONNX.
    """
    with path.open("rb") as file:
        return outline(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def outline(model: bytes | memoryview) -> tuple[Layer, ...]:
    """The operations of a model, its inputs first and its outputs last.

    Raises:
        ValueError: it is not ONNX.
    """
    graph = next(
        (wire.message(value) for number, value in wire.fields(memoryview(model)) if number == _GRAPH), None
    )
    if graph is None:
        raise ValueError("not an ONNX file: it holds no graph")
    return _joined(_Outline().read(graph))


def unfolded(layers: Sequence[Layer], entries: Sequence[FoldEntry]) -> tuple[Layer, ...] | None:
    """The graph before it was folded, as far as the report of the fold tells: what was folded stands again
    beside the layer that took it. None where a taker is not to be found."""
    found = list(layers)
    latest: dict[str, str] = {}
    for entry in entries:
        takers = (entry.into or "").split(", ")
        place = next(
            (i for i, layer in enumerate(found) if latest.get(takers[0], takers[0]) in names(layer)), -1
        )
        if entry.direction == "left":
            continue
        if place < 0:
            return None
        kept = found[place].inputs[0] if entry.direction == "split" and found[place].inputs else -1
        if kept >= 0 and found[kept].kind == "Sub":
            found[kept] = found[kept].model_copy(update={"name": entry.layer, "kind": entry.kind, "note": ""})
        elif entry.direction == "previous":
            found = _with(found, place, entry, behind=True)
            latest[takers[0]] = entry.layer
        else:
            found = _with(found, place, entry, behind=False)
    return tuple(found)


def names(layer: Layer) -> set[str]:
    """What a report may call a layer."""
    return {layer.name, layer.owner} - {""}


class _Outline:
    """What each value of a graph is: a layer's result, by its place, or a constant."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []
        self._places: dict[str, int] = {}
        self._constants: dict[str, _Constant] = {}

    def read(self, graph: memoryview) -> tuple[Layer, ...]:
        """All layers."""
        parts: dict[int, list[memoryview]] = {}
        for number, value in wire.fields(graph):
            if number in (_STORED, _NODE, _GRAPH_INPUT, _GRAPH_OUTPUT):
                parts.setdefault(number, []).append(wire.message(value))
        self._constants = dict(map(_tensor, parts.get(_STORED, ())))
        for name in map(_declared, parts.get(_GRAPH_INPUT, ())):
            if name not in self._constants:
                self._add([name], Layer(name=name, kind="Input"))
        for node in map(_node, parts.get(_NODE, ())):
            self._take(node)
        for name in map(_declared, parts.get(_GRAPH_OUTPUT, ())):
            self._add([], Layer(name=name, kind="Output", inputs=self._sources([name])))
        return tuple(self._layers)

    def _take(self, node: _Node) -> None:
        stored = _Constant.of(
            [self._constants[n] for n in node.inputs if n in self._constants] + node.tensors
        )
        sources = self._sources(node.inputs)
        if not sources and node.outputs and (stored.numbers or node.kind == "Constant"):
            self._constants |= dict.fromkeys(node.outputs, stored)
            return
        if node.kind == "Identity" and len(sources) == 1:
            self._places |= dict.fromkeys(node.outputs, sources[0])
            return
        owner = stored.owners[0] if len(stored.owners) == 1 else ""
        name = node.name or next(iter(node.outputs), node.kind)
        layer = Layer(
            name=name,
            kind=node.kind,
            inputs=sources,
            owner=owner,
            shape=stored.shape,
            parameters=stored.numbers,
            note=node.note,
        )
        self._add(node.outputs, layer)

    def _add(self, outputs: Iterable[str], layer: Layer) -> None:
        self._places |= dict.fromkeys(outputs, len(self._layers))
        self._layers.append(layer)

    def _sources(self, inputs: Iterable[str]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self._places[name] for name in inputs if name in self._places))


def _joined(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """One layer for operations of one module that follow each other: Sub and Div of a standardiser."""
    readers = Counter(source for layer in layers for source in layer.inputs)
    found: list[Layer] = []
    places: list[int] = []
    for layer in layers:
        sources = tuple(dict.fromkeys(places[source] for source in layer.inputs))
        before = found[sources[0]] if len(sources) == 1 else None
        alone = len(layer.inputs) == 1 and readers[layer.inputs[0]] == 1
        if before is not None and alone and layer.owner and layer.owner == before.owner:
            places.append(sources[0])
            changes = {
                "kind": f"{before.kind}/{layer.kind}",
                "parameters": before.parameters + layer.parameters,
            }
            found[sources[0]] = before.model_copy(update=changes)
            continue
        places.append(len(found))
        found.append(_read_from(layer, sources))
    return tuple(found)


def _with(layers: Sequence[Layer], place: int, entry: FoldEntry, *, behind: bool) -> list[Layer]:
    """The layers with one more, right behind the one at a place or right in front of it."""
    at = place + behind

    def moved(index: int) -> int:
        return index + (index >= at)

    source = (place,) if behind else layers[place].inputs
    norm = Layer(name=entry.layer, kind=entry.kind, inputs=source, owner=entry.layer, shape=(entry.channels,))
    result = [_read_from(layer, tuple(map(moved, layer.inputs))) for layer in layers]
    result.insert(at, norm)
    if not behind:
        result[at + 1] = _read_from(result[at + 1], (at,))
        return result
    return [
        _read_from(layer, tuple(at if source == place else source for source in layer.inputs))
        if index != at
        else layer
        for index, layer in enumerate(result)
    ]


def _read_from(layer: Layer, inputs: tuple[int, ...]) -> Layer:
    return layer.model_copy(update={"inputs": inputs})


def _node(data: memoryview) -> _Node:
    node = _Node()
    for number, value in wire.fields(data):
        if number == _INPUT:
            node.inputs.append(wire.text(value))
        elif number == _OUTPUT:
            node.outputs.append(wire.text(value))
        elif number == _NAME:
            node.name = wire.text(value)
        elif number == _KIND:
            node.kind = wire.text(value)
        elif number == _NOTE:
            node.note = wire.text(value)
        elif number == _ATTRIBUTE:
            node.tensors += [
                _tensor(wire.message(v))[1]
                for n, v in wire.fields(wire.message(value))
                if n == _ATTRIBUTE_TENSOR
            ]
    return node


def _tensor(data: memoryview) -> tuple[str, _Constant]:
    dims: list[int] = []
    name = ""
    for number, value in wire.fields(data):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else wire.packed(value)
        elif number == _TENSOR_NAME:
            name = wire.text(value)
    owner = name.rpartition(".")[0]
    return name, _Constant(math.prod(dims), tuple(dims), (owner,) if owner else ())


def _declared(data: memoryview) -> str:
    return next((wire.text(value) for number, value in wire.fields(data) if number == 1), "")
