from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from service.metadata import KEY
from service.session import Session, TensorSpec
from tests.records import metadata
from tests.training.runs import predictor
from training.codebook import Codebook
from training.errors import ExportError
from training.export import export, export_folded, with_metadata
from training.folding import FoldedModule, Reason, fold_onnx
from training.pipeline import fold_completely
from training.predictor import Predictor, Shapes


@pytest.fixture(scope="module")
def classifier() -> tuple[FoldedModule, onnx.ModelProto]:
    folded = fold_completely(predictor("wine"))
    return folded, export_folded(predictor("wine"), folded, Codebook(()))


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_folded_classifier_is_one_gemm_per_layer_and_a_softmax(
    classifier: tuple[FoldedModule, onnx.ModelProto],
) -> None:
    assert ops(classifier[1]) == ["Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax"]


def test_a_kept_shift_is_one_sub_in_front() -> None:
    folded = fold_completely(predictor("wine"), amp_limit=0.0)
    model = export_folded(predictor("wine"), folded, Codebook(()))
    assert ops(model) == ["Sub", "Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax"]


def test_a_folded_regression_ends_with_its_last_gemm() -> None:
    folded = fold_completely(predictor("diabetes"))
    model = export_folded(predictor("diabetes"), folded, Codebook(()))
    assert ops(model) == ["Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert model.graph.output[0].name == "value"


def test_the_batch_is_free_and_the_names_are_the_contracts(
    classifier: tuple[FoldedModule, onnx.ModelProto], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(classifier[1], path)
    session = Session(path)
    assert session.inputs == (TensorSpec("features", "float32", (None, 13)),)
    assert session.outputs == (TensorSpec("probabilities", "float32", (None, 3)),)
    for size in (1, 2, 7):
        assert session.run({"features": np.zeros((size, 13), np.float32)})[0].shape == (size, 3)


def test_the_file_tells_nothing_of_the_machine_it_was_made_on(
    classifier: tuple[FoldedModule, onnx.ModelProto],
) -> None:
    content = classifier[1].SerializeToString()
    assert b"stack_trace" not in content
    assert str(Path.cwd()).encode() not in content
    assert str(Path.home()).encode() not in content


def test_the_unfolded_model_is_exported_node_for_node() -> None:
    model = export(predictor("wine"), "classification")
    assert ops(model).count("BatchNormalization") == 2
    assert ops(model).count("Gemm") == 3


def test_a_module_that_still_normalises_breaks_the_promise() -> None:
    wine = predictor("wine")
    folded = fold_completely(wine)
    with pytest.raises(ExportError, match="BatchNormalization"):
        export_folded(wine, replace(folded, module=wine.network), Codebook(()))
    shorter = nn.Sequential(nn.Linear(13, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(dim=-1)).eval()
    with pytest.raises(ExportError, match=r"expected \{'Gemm': 3\}"):
        export_folded(wine, replace(folded, module=shorter), Codebook(()))


def test_exporting_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    export(Predictor(None, nn.Sequential(nn.Linear(2, 1)), Shapes(2, 0, False)).eval(), "regression")
    assert capfd.readouterr() == ("", "")


def test_metadata_are_added_to_a_copy(classifier: tuple[FoldedModule, onnx.ModelProto]) -> None:
    document = metadata(13)
    marked = with_metadata(classifier[1], document)
    assert {p.key: p.value for p in marked.metadata_props} == {KEY: document.model_dump_json()}
    assert not classifier[1].metadata_props
    assert marked.graph == classifier[1].graph


def test_what_the_certificate_kept_stays_when_the_file_is_folded_again() -> None:
    folded = fold_completely(predictor("wine"), amp_limit=0.0)
    model = export_folded(predictor("wine"), folded, Codebook(()))
    again = fold_onnx(model)
    assert again.model == model
    assert [entry.reason for entry in again.report.entries] == [Reason.AMP]
