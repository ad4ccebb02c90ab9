"""Every pattern of the corpus: folded where it can be, left with its reason where not, and never wrong."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.training.folding import reference
from tests.training.folding.corpus import Kind, Pattern, patterns
from training.folding import FoldedModel, fold_onnx

EVERY = [pytest.param(pattern, id=pattern.name) for pattern in patterns()]


def count_nodes(model: onnx.ModelProto) -> int:
    def inside(graph: onnx.GraphProto) -> int:
        inner = sum(inside(a.g) for n in graph.node for a in n.attribute if a.HasField("g"))
        return sum(node.op_type != "Constant" for node in graph.node) + inner

    return inside(model.graph) + sum(len(function.node) for function in model.functions)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def assert_same_numbers(
    before: onnx.ModelProto, after: onnx.ModelProto, tolerance: float, runs: bool = True
) -> None:
    feeds = reference.feeds(before)
    truth = reference.run(before, feeds)
    answers = [reference.run(after, feeds)]
    if runs:
        answers.append(session(after).run(None, feeds))
    for answer in answers:
        for wanted, got in zip(truth, answer, strict=True):
            assert wanted.shape == got.shape
            if np.isfinite(wanted).all():
                scale = np.abs(wanted).max(initial=1e-6)
                assert np.abs(wanted - got.astype(np.float64)).max(initial=0.0) <= tolerance * scale
            else:
                np.testing.assert_allclose(got, wanted, rtol=1e-3)


def assert_sound(before: onnx.ModelProto, folded: FoldedModel) -> None:
    after = folded.model
    onnx.checker.check_model(after, full_check=True)
    assert after.ir_version == before.ir_version
    assert list(after.opset_import) == list(before.opset_import)
    stored = {t.name for t in before.graph.initializer} if before.ir_version < 4 else set()
    assert [
        i for i in after.graph.input if i.name not in {t.name for t in after.graph.initializer} or not stored
    ] == [i for i in before.graph.input if i.name not in stored]
    assert list(after.graph.output) == list(before.graph.output)


@pytest.mark.parametrize("pattern", EVERY)
def test_pattern(pattern: Pattern) -> None:
    model = pattern.make()
    onnx.checker.check_model(model, full_check=True)
    before = model.SerializeToString()
    folded = fold_onnx(model)
    assert model.SerializeToString() == before, "the input was modified"
    assert_sound(model, folded)
    assert_same_numbers(model, folded.model, pattern.tolerance, pattern.runs)
    report = folded.report
    left = [entry for entry in report.entries if entry.direction == "left"]
    if pattern.kind in (Kind.BACKWARD, Kind.FORWARD):
        assert not left
        assert report.folded
    if pattern.nodes is not None:
        assert count_nodes(folded.model) == pattern.nodes, onnx.printer.to_text(folded.model)
    if pattern.reason is not None:
        assert [entry.reason for entry in left] == [pattern.reason], left


@pytest.mark.parametrize("pattern", EVERY)
def test_folding_again_changes_nothing(pattern: Pattern) -> None:
    once = fold_onnx(pattern.make()).model
    twice = fold_onnx(once)
    assert twice.report.folded == 0, twice.report
    assert twice.model == once
