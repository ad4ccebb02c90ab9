from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from service.session import Session, TensorSpec
from service.trial import is_row_wise, made_up, measure
from tests import graphs


def opened(model: onnx.ModelProto, folder: Path) -> Session:
    return Session(graphs.put(model, folder, "m"))


def over(node: onnx.NodeProto, rows: int | str = "N", wide: int | str = 3) -> onnx.ModelProto:
    model = graphs.identity(graphs.FLOAT, [rows, wide])
    del model.graph.node[:]
    model.graph.node.append(node)
    return model


def test_a_linear_layer_is_row_wise(tmp_path: Path) -> None:
    session = opened(graphs.linear(np.ones((3, 2), "f4"), np.zeros(2, "f4"), softmax=True), tmp_path)
    assert is_row_wise(session)
    assert measure(session).of(1) > 0


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Softmax", ["x0"], ["y0"], axis=0),
        helper.make_node("LpNormalization", ["x0"], ["y0"], axis=0),
        helper.make_node("CumSum", ["x0", "axis"], ["y0"]),
    ],
)
def test_a_graph_that_mixes_its_rows_is_not(tmp_path: Path, node: onnx.NodeProto) -> None:
    model = over(node)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0), "axis"))
    assert not is_row_wise(opened(model, tmp_path))


def test_a_graph_that_gives_another_number_of_rows_is_not(tmp_path: Path) -> None:
    model = over(helper.make_node("Concat", ["x0", "x0"], ["y0"], axis=0))
    assert not is_row_wise(opened(model, tmp_path))


@pytest.mark.parametrize(("rows", "wide"), [(4, 3), ("N", "M")])
def test_fixed_batches_and_free_widths_are_not_known_to_be(
    tmp_path: Path, rows: int | str, wide: int | str
) -> None:
    assert not is_row_wise(opened(graphs.identity(graphs.FLOAT, [rows, wide]), tmp_path))


def test_rows_are_made_up_for_every_datatype() -> None:
    dtypes = ["float16", "float32", "float64", "int8", "uint64", "bool", "string"]
    feeds = made_up([TensorSpec(dtype, dtype, (None, 2)) for dtype in dtypes], 3)
    assert {array.shape for array in feeds.values()} == {(3, 2)}
    assert feeds["string"].ravel().tolist() == ["0", "1"] * 3
    assert [feeds[dtype].dtype.name for dtype in dtypes[:-1]] == dtypes[:-1]


@pytest.mark.parametrize("spec", [TensorSpec("x", "float32", (None, None)), TensorSpec("x", "seq(map)", ())])
def test_what_cannot_be_made_up_is_said(spec: TensorSpec) -> None:
    with pytest.raises(ValueError, match="no rows can be made up for input 'x'"):
        made_up([spec], 1)
