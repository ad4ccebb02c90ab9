"""The outline of a graph, read without onnx; and the graph before folding, put together from a report."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from service.metadata import FoldEntry, Layer
from service.outline import outline, outline_of, unfolded
from tests import graphs

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "1" / "model.onnx"


def chain(layers: tuple[Layer, ...] | None) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(layer.owner or layer.name, layer.kind, layer.inputs) for layer in layers or ()]


def test_each_operation_has_its_sources_and_what_is_stored_for_it() -> None:
    layers = outline_of(DIGITS)
    assert chain(layers)[:4] == [
        ("features", "Input", ()),
        ("standardiser", "Sub", (0,)),
        ("linear1", "Gemm", (1,)),
        ("node_relu", "Relu", (2,)),
    ]
    assert (layers[2].shape, layers[2].parameters) == ((256, 64), 256 * 64 + 256)
    assert layers[1].note.startswith("kept in front by foldserve")
    stored = sum(np.prod(tensor.dims, dtype=int) for tensor in onnx.load(DIGITS).graph.initializer)
    assert sum(layer.parameters for layer in layers) == stored


def test_what_is_computed_from_constants_belongs_to_its_reader() -> None:
    model = graphs.linear(np.ones((3, 4), "f4"), np.ones(4, "f4"))
    turned = helper.make_node("Transpose", ["stored"], ["W"])
    constant = helper.make_node(
        "Constant", [], ["stored"], value=numpy_helper.from_array(np.ones((4, 3), "f4"))
    )
    del model.graph.initializer[0]
    nodes = [constant, turned, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    layers = outline(model.SerializeToString())
    assert [layer.kind for layer in layers] == ["Input", "Gemm", "Output"]
    assert (layers[1].shape, layers[1].parameters) == ((4, 3), 16)


def test_operations_of_one_module_in_a_row_are_one_layer() -> None:
    constants = [numpy_helper.from_array(np.ones(2, "f4"), f"scaler.{name}") for name in ("mean", "scale")]
    nodes = [
        helper.make_node("Sub", ["x", "scaler.mean"], ["a"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("Div", ["b", "scaler.scale"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, graphs.FLOAT, ["N", 2]) for name in "xy")
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants))
    layers = outline(model.SerializeToString())
    assert chain(layers) == [("x", "Input", ()), ("scaler", "Sub/Div", (0,)), ("y", "Output", (1,))]
    assert layers[1].parameters == 4


def entry(layer: str, direction: str, into: str | None) -> FoldEntry:
    return FoldEntry(layer=layer, kind="BatchNorm", channels=4, into=into, direction=direction)  # type: ignore[arg-type]


def test_the_graph_before_is_put_together_from_the_report() -> None:
    layers = (
        Layer(name="x", kind="Input"),
        Layer(name="lin", kind="Gemm", inputs=(0,), owner="linear"),
        Layer(name="sum", kind="Add", inputs=(0, 1)),
        Layer(name="y", kind="Output", inputs=(2,)),
    )
    entries = [
        entry("front", "next", "linear"),
        entry("norm1", "previous", "linear"),
        entry("norm2", "previous", "linear"),
    ]
    assert chain(unfolded(layers, entries)) == [
        ("x", "Input", ()),
        ("front", "BatchNorm", (0,)),
        ("linear", "Gemm", (1,)),
        ("norm1", "BatchNorm", (2,)),
        ("norm2", "BatchNorm", (3,)),
        ("sum", "Add", (0, 4)),
        ("y", "Output", (5,)),
    ]
    assert unfolded(layers, [entry("norm", "previous", "nobody")]) is None


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_files_are_refused_and_never_read_beyond_their_end(data: st.DataObject) -> None:
    whole = graphs.linear(np.ones((2, 2), "f4"), np.ones(2, "f4")).SerializeToString()
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole[: data.draw(st.integers(place, len(whole)))])
    if place < len(broken):
        broken[place] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        outline(bytes(broken))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        outline_of(tmp_path / "model.onnx")
