"""What a model carries besides its nodes: it must survive, or be refused in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.training.folding.corpus.build import Graph
from tests.training.folding.test_corpus import assert_same_numbers
from training.folding import Reason, fold_onnx
from training.folding.onnx_graph import BrokenPromiseError, InvalidModelError, model


def build(width: int = 6) -> Graph:
    g = Graph()
    g.output(g.bn(g.node("Gemm", g.input("N", 5), g.weights(5, width)), width), "N", width)
    return g


def test_importing_the_folder_imports_no_torch() -> None:
    program = "import sys, training.folding; sys.exit(bool({'torch', 'onnxscript'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_invalid_model_is_refused_in_one_line() -> None:
    broken = build().model()
    broken.graph.node[0].input[0] = "nowhere"
    with pytest.raises(InvalidModelError) as caught:
        fold_onnx(broken)
    assert "\n" not in str(caught.value)


def test_broken_promise_returns_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(result: onnx.ModelProto, original: onnx.ModelProto) -> None:
        result.graph.output[0].name = "other"

    monkeypatch.setattr(model, "restore", renamed)
    with pytest.raises(BrokenPromiseError):
        fold_onnx(build().model())


def test_maps_as_outputs_survive() -> None:
    g = Graph(ml=True)
    h = g.bn(g.node("Gemm", g.input("N", 5), g.weights(5, 3)), 3)
    maps = g.node("ZipMap", h, domain="ai.onnx.ml", classlabels_strings=["a", "b", "c"])
    scores = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, scores))
    g.outputs.append(helper.make_value_info(maps, kind))
    before = g.model()
    folded = fold_onnx(before)
    assert folded.report.folded == 1
    assert list(folded.model.graph.output) == list(before.graph.output)
    onnx.checker.check_model(folded.model)


def test_external_data_are_found_beside_the_file_or_reported(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(build().model(), path, save_as_external_data=True, location="data.bin", size_threshold=0)
    light = onnx.load(path, load_external_data=False)
    assert fold_onnx(light, base_dir=tmp_path).report.folded == 1
    (entry,) = fold_onnx(light, base_dir=tmp_path / "elsewhere").report.entries
    assert entry.reason is Reason.DATA_MISSING


def test_functions_that_hold_nothing_to_fold_stay_functions() -> None:
    g = build()
    nodes = [helper.make_node("Sum", ["x", "x"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    g.functions.append(helper.make_function("local", "Twice", ["x"], ["y"], nodes, opsets))
    g.output(g.node("Twice", g.outputs[0].name, domain="local"), "N", 6)
    before = g.model()
    folded = fold_onnx(before).model
    assert [function.name for function in folded.functions] == ["Twice"]
    assert_same_numbers(before, folded, 1e-5)


def test_thousand_layers_take_linear_time() -> None:
    """Twice the layers, about twice the time; the bound is loose because machines are shared."""
    import time

    seconds = []
    for layers in (150, 600):
        g = Graph()
        h = g.input("N", 8)
        for _ in range(layers):
            h = g.node("Relu", g.bn(g.node("Gemm", h, g.weights(8, 8)), 8))
        g.output(h, "N", 8)
        made = g.model()
        start = time.perf_counter()
        assert fold_onnx(made).report.folded == layers
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < 12 * seconds[0]


def test_shared_weights_are_counted_as_growth() -> None:
    g = Graph()
    x, w = g.input("N", 5), g.weights(5, 6)
    g.output(g.bn(g.node("Gemm", x, w), 6), "N", 6)
    g.output(g.node("MatMul", x, w), "N", 6)
    report = fold_onnx(g.model()).report
    assert report.parameters_after - report.parameters_before == 30 + 6 - 24


def test_amp_limit_and_forward_are_obeyed() -> None:
    g = Graph()
    means = g.tensor(np.full(5, 1000.0))
    h = g.node("Div", g.node("Sub", g.input("N", 5), means), g.weights(5))
    g.output(g.node("Gemm", h, g.weights(5, 6)), "N", 6)
    made = g.model()
    split, whole = fold_onnx(made), fold_onnx(made, amp_limit=1e9)
    assert split.report.entries[0].direction == "split"
    assert whole.report.entries[0].direction == "next"
    assert (split.report.entries[0].amp or 0) > 32
    (entry,) = fold_onnx(made, forward=False).report.entries
    assert entry.direction == "left"
