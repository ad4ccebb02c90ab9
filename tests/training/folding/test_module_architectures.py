"""Known architectures fold as far as algebra allows, and what they become exports to ONNX without norms."""

import io
import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout

import onnx
import pytest
import torch

from tests.training.folding.architectures import BUILDERS, Case, built
from tests.training.folding.test_module_corpus import left, norms_in, row_error
from training.folding import fold_module
from training.folding.torch_module.twin import resized


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda b: b.__name__)
def test_architecture(builder: Callable[[], Case]) -> None:
    module, inputs, stays = built(builder)
    folded = fold_module(module, inputs)
    entries = "\n".join(map(str, folded.report.entries))
    assert left(folded.report) == stays, entries
    assert norms_in(folded.module) == stays, entries
    for size in (2, 1, 5):
        assert row_error(module, folded.module, resized(inputs, size)) < 1e-5, entries


@pytest.mark.parametrize("builder", BUILDERS[6:8], ids=lambda b: b.__name__)
def test_the_folded_module_exports_to_onnx(builder: Callable[[], Case]) -> None:
    module, inputs, stays = built(builder)
    folded = fold_module(module, inputs).module
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        sizes = tuple({0: torch.export.Dim("batch")} for _ in inputs)
        program = torch.onnx.export(folded, inputs, dynamo=True, dynamic_shapes=sizes)
        logging.disable(logging.NOTSET)
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model)
    norms = [node.op_type for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) <= stays
    from onnxruntime import InferenceSession

    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = resized(inputs, 5)
    names = [each.name for each in session.get_inputs()]
    got = session.run(None, {name: row.numpy() for name, row in zip(names, rows, strict=True)})[0]
    torch.testing.assert_close(torch.from_numpy(got), module(*rows), atol=1e-4, rtol=1e-4)
