"""A folded module → ONNX, with the promises it must keep checked on the way out."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from service.metadata import KEY, ModelMetadata, Task
from training.errors import ExportError
from training.folding.report import KEPT_BY_CERTIFICATE, FoldReport
from training.folding.torch_module import FoldedModule

INPUT = "features"
OUTPUTS: dict[Task, str] = {"classification": "probabilities", "regression": "value"}


def export_folded(folded: FoldedModule, features: int, task: Task, linear_layers: int) -> onnx.ModelProto:
    """A folded module as ONNX.

    Raises:
        ExportError: the graph has a normalisation left, or not exactly one Gemm for each linear layer.
    """
    model = export(folded.module, features, task)
    _check_promises(model, linear_layers, folded.report)
    for node in model.graph.node:
        if node.op_type == "Sub":
            node.doc_string = KEPT_BY_CERTIFICATE
    return model


def export(module: nn.Module, features: int, task: Task) -> onnx.ModelProto:
    """A module as ONNX, node for node: input `features` float32 [N, features], output `probabilities`
    [N, classes] or `value` [N, 1].
    """
    with _quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros(2, features),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUTS[task]],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            # torch's own optimiser would fold some normalisations, in float32; ours are folded before.
            optimize=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - with dynamo=True there always is one
    model: onnx.ModelProto = program.model_proto
    _strip(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_metadata(model: onnx.ModelProto, metadata: ModelMetadata) -> onnx.ModelProto:
    """A copy that carries the metadata."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.helper.set_model_props(copy, {KEY: metadata.model_dump_json()})
    return copy


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter warns about its own internals and logs about torchvision; neither is the user's."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def _strip(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes: stack traces with the paths of this machine."""
    noted = (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph)
    for item in noted:
        del item.metadata_props[:]
        item.doc_string = ""


def _check_promises(model: onnx.ModelProto, linear_layers: int, report: FoldReport) -> None:
    """One Gemm for each linear layer, and nothing affine beside them but the shifts the report names."""
    kept = sum(entry.direction == "split" for entry in report.entries)
    expected = Counter({"Gemm": linear_layers}) + Counter({"Sub": kept})
    found = Counter(node.op_type for node in model.graph.node if node.op_type in _AFFINE)
    if found != expected:
        raise ExportError(f"the exported graph has {dict(found)}, expected {dict(expected)}")


_AFFINE = ("Gemm", "MatMul", "BatchNormalization", "Sub", "Add", "Mul", "Div")
