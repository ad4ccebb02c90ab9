"""A predictor → ONNX, with the promises it must keep checked on the way out."""

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
from training import torchlib
from training.codebook import Codebook
from training.encoding.periodic import Sinusoids
from training.ensemble import Encoders, members
from training.errors import ExportError
from training.folding.report import KEPT_BY_CERTIFICATE
from training.folding.torch_module import FoldedModule
from training.model import Residual
from training.predictor import Predictor, Shapes, linear_layers, output_task
from training.text_input import take_texts

FEATURES = "features"
"""The only input of a model of numbers alone, none of which may be missing."""

NUMERIC, CATEGORICAL = "numeric", "categorical"
OUTPUTS: dict[Task, str] = {"classification": "probabilities", "regression": "value"}


def export_folded(predictor: Predictor, folded: FoldedModule, codebook: Codebook) -> onnx.ModelProto:
    """A predictor around its folded network as ONNX that takes raw rows, categories as texts.

    Inputs: `features` float32 [N, numeric], or `numeric` float32 [N, numeric] with NaN for what is missing
    and `categorical` string [N, categorical], or one of both. Output: `probabilities` [N, classes] or
    `value` [N, 1].

    Raises:
        ExportError: the graph has a normalisation left, or not exactly one Gemm for each linear layer.
    """
    model = export(predictor.with_network(folded.module), output_task(predictor))
    _check_promises(model, predictor, folded)
    for node in _shifts(model.graph):
        node.doc_string = KEPT_BY_CERTIFICATE
    return take_texts(model, CATEGORICAL, codebook) if codebook.columns else model


def export(predictor: Predictor, task: Task) -> onnx.ModelProto:
    """A predictor as ONNX, node for node; `categorical` is int64 here, places in the table of rows."""
    with _quiet(), torchlib.read_once():
        program = torch.onnx.export(
            predictor,
            predictor.examples(),
            dynamo=True,
            input_names=input_names(predictor.shapes),
            output_names=[OUTPUTS[task]],
            dynamic_shapes=(tuple({0: torch.export.Dim("N")} for _ in predictor.examples()),),
            # torch's own optimiser would fold some normalisations, in float32; ours are folded before.
            optimize=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - with dynamo=True there always is one
    model: onnx.ModelProto = program.model_proto
    _strip(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def input_names(shapes: Shapes) -> list[str]:
    """What the graph calls its inputs."""
    if not shapes.categorical and not shapes.missing:
        return [FEATURES]
    return [NUMERIC] * bool(shapes.numeric) + [CATEGORICAL] * bool(shapes.categorical)


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


def _check_promises(model: onnx.ModelProto, predictor: Predictor, folded: FoldedModule) -> None:
    """One Gemm for each linear layer, and nothing affine beside them but the shifts the report names, the
    sum of numbers and categories, shortcuts, the mean of members, and the arithmetic of the encoding."""
    count = len(members(predictor.network))
    kept = sum(entry.direction == "split" for entry in folded.report.entries)
    sums = sum(isinstance(layer, Residual) for layer in predictor.network.modules())
    sums += count * bool(predictor.shapes.categorical) + (count - 1)
    waves = sum(isinstance(layer, Sinusoids) for layer in predictor.network.modules())
    expected = Counter({"Gemm": linear_layers(predictor), "Sub": kept, "Add": sums, "Mul": waves})
    expected += _encoding(predictor) + Counter({"Div": int(count > 1)})
    found = _affine(model)
    if found != expected:
        raise ExportError(f"the exported graph has {dict(found)}, expected {dict(+expected)}")


def _encoding(predictor: Predictor) -> Counter[str]:
    """What the encoding itself computes, or all of them; those of members are alike but for their numbers."""
    shapes, encoder = predictor.shapes, predictor.encoder
    if encoder is None:
        return Counter()
    each = tuple(encoder.children()) if isinstance(encoder, Encoders) else (encoder,)
    alone = Predictor(each[0], nn.Identity(), Shapes(shapes.numeric, 0, shapes.missing))
    once = _affine(export(alone.eval(), "regression"))
    return Counter({op: count * len(each) for op, count in once.items()})


def _affine(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node if node.op_type in _AFFINE)


def _shifts(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The subtractions right in front of a Gemm."""
    before = {node.input[0] for node in graph.node if node.op_type == "Gemm"}
    return [node for node in graph.node if node.op_type == "Sub" and node.output[0] in before]


_AFFINE = ("Gemm", "MatMul", "BatchNormalization", "Sub", "Add", "Mul", "Div")
