"""`foldserve fold` and `foldserve verify`, as a shell would see them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from onnx import numpy_helper
from typer.testing import CliRunner, Result

from service.errors import FoldserveError
from tests.training.folding.corpus.build import Graph
from training.cli_fold import fold, verify

_app = typer.Typer()
_app.command("fold")(fold)
_app.command("verify")(verify)


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output, with errors turned into codes as `service.cli` does."""
    result: Result = CliRunner().invoke(_app, [str(argument) for argument in arguments])
    if isinstance(result.exception, FoldserveError):
        assert "\n" not in str(result.exception)
        return result.exception.exit_code, result.output + str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def build(opset: int = 17) -> onnx.ModelProto:
    g = Graph(opset=opset)
    h = g.bn(g.node("Gemm", g.bn(g.input("N", 5, name="x"), 5), g.weights(5, 6), g.weights(6)), 6)
    g.output(g.bn(g.node("Relu", h), 6, out="y"), "N", 6)
    return g.model()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(build(), path)
    return path


def test_folds_reports_and_verifies(model: Path, tmp_path: Path) -> None:
    folded, report = tmp_path / "out" / "folded.onnx", tmp_path / "report.json"
    code, text = run("fold", model, "-o", folded, "--report", report)
    assert code == 0
    assert "no-linear-neighbour" in text
    written = json.loads(report.read_text())
    assert [entry["direction"] for entry in written["entries"]] == ["next", "previous", "left"]
    assert written["layers_before"] == 5
    assert written["layers_after"] == 3
    assert written["bytes_after"] == folded.stat().st_size
    code, text = run("verify", model, folded, "--random", 100)
    assert code == 0
    assert "the same" in text


def test_no_forward_leaves_what_stands_before(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run("fold", model, "--no-forward", "--report", report)[0] == 0
    entries = json.loads(report.read_text())["entries"]
    assert entries[0]["reason"] == "forward-switched-off"


def test_check_says_whether_anything_is_left_to_fold(model: Path, tmp_path: Path) -> None:
    folded = tmp_path / "folded.onnx"
    code, text = run("fold", model, "--check")
    assert code == 1
    assert "2 of 3 can be folded" in text
    run("fold", model, "-o", folded)
    assert run("fold", folded, "--check")[0] == 0


def test_nothing_to_do_is_said(model: Path) -> None:
    code, text = run("fold", model)
    assert code != 0
    assert "-o FILE" in text


def test_unreadable_files_end_with_2(tmp_path: Path) -> None:
    text_file, empty, invalid = tmp_path / "a.onnx", tmp_path / "b.onnx", tmp_path / "c.onnx"
    text_file.write_text("no model")
    empty.write_bytes(b"")
    broken = build()
    broken.graph.node[0].input[0] = "nowhere"
    invalid.write_bytes(broken.SerializeToString())
    for path in (text_file, empty, invalid, tmp_path / "absent.onnx", tmp_path):
        code, text = run("fold", path, "--check")
        assert code == 2, text
        assert str(path) in text


def test_different_numbers_are_found(model: Path, tmp_path: Path) -> None:
    other = build()
    weights = other.graph.initializer[4]
    weights.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.001), weights.name)
    )
    changed = tmp_path / "changed.onnx"
    onnx.save(other, changed)
    code, text = run("verify", model, changed)
    assert code == 1
    assert "DIFFERENT" in text
    assert run("verify", model, changed, "--tolerance", 0.1)[0] == 0


def test_verify_reads_rows_from_a_table(model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,c,d,e\n" + "1,2,3,4,5.5\n" * 70)
    code, text = run("verify", model, model, "--rows", rows)
    assert code == 0
    assert "70 rows" in text
    rows.write_text("a,b\n1,2\n")
    assert "2 columns" in run("verify", model, model, "--rows", rows)[1]


def test_verify_refuses_another_interface(model: Path, tmp_path: Path) -> None:
    g = Graph()
    g.output(g.node("Relu", g.input("N", 5, name="z")), "N", 5)
    other = tmp_path / "other.onnx"
    onnx.save(g.model(), other)
    assert "different inputs" in run("verify", model, other)[1]


@pytest.mark.parametrize("foldable", [True, False])
def test_external_data_stay_external(tmp_path: Path, foldable: bool) -> None:
    source, target = tmp_path / "in" / "model.onnx", tmp_path / "out" / "model.onnx"
    source.parent.mkdir()
    g = Graph()
    h = g.node("Gemm", g.input("N", 64, name="x"), g.weights(64, 32), g.weights(32))
    h = g.bn(h, 32) if foldable else g.node("Relu", h)
    g.output(h, "N", 32)
    onnx.save(g.model(), source, save_as_external_data=True, location="weights.bin", size_threshold=0)
    code, text = run("fold", source, "-o", target)
    assert code == 0, text
    assert (target.parent / "model.onnx.data").stat().st_size >= 64 * 32 * 4
    onnx.checker.check_model(str(target), full_check=True)
    assert run("verify", source, target)[0] == 0
    assert len(onnx.load(target).graph.node) == (1 if foldable else 2)


def test_folding_in_place(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(build(), path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    before = tmp_path / "before.onnx"
    onnx.save(build(), before)
    assert run("fold", path, "-o", path)[0] == 0
    assert run("verify", before, path)[0] == 0


def test_options_out_of_range_are_one_line(model: Path) -> None:
    for arguments in (
        ["fold", model, "--check", "--amp-limit", "nan"],
        ["verify", model, model, "--random", "0"],
    ):
        code, text = run(*arguments)
        assert code == 2
        assert "expected" in text
