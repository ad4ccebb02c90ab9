"""A model in, a folded model out: checked, functions opened, folded, written back, checked again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from training.errors import TrainingError
from training.folding.onnx_graph.engine import Engine, Options
from training.folding.onnx_graph.facts import Facts, infer, skeleton
from training.folding.onnx_graph.functions import open_functions
from training.folding.onnx_graph.workspace import Workspace
from training.folding.report import FoldEntry, FoldReport


class InvalidModelError(TrainingError):
    """What was given is not an ONNX model, or one that breaks the rules of ONNX."""

    exit_code = 2


class BrokenPromiseError(TrainingError):
    """Folding would have returned a model that is invalid or has another interface; nothing is returned."""


@dataclass(frozen=True, eq=False)
class FoldedModel:
    """The result of a fold: a new model, and what was done."""

    model: onnx.ModelProto
    report: FoldReport


def fold_onnx(
    model: onnx.ModelProto, *, forward: bool = True, amp_limit: float = 32.0, base_dir: str | Path = ""
) -> FoldedModel:
    """Fold every normalisation of a model into its linear neighbours. The model given is not changed.

    Args:
        model: any ONNX model.
        forward: whether to fold into the layers after a normalisation as well as into those before.
        amp_limit: the amplification above which a shift stays in front as one Sub.
        base_dir: where external data lie, for a model loaded without them.

    Raises:
        InvalidModelError: the checker refuses the model.
    """
    light = skeleton(model)
    strict = check(light)
    opened = open_functions(model)
    graph = load_graph(opened, base_dir)
    before = census(graph)
    entries = fold_graph(graph, opened, Options(forward, amp_limit))
    folded = any(entry.direction != "left" for entry in entries)
    result = written(graph, model) if folded else _copy(model)
    if folded:
        require_promises(model, result, strict)
    return FoldedModel(result, make_report(entries, before, census(graph) if folded else before))


def fold_graph(graph: ir.Model, proto: onnx.ModelProto, options: Options) -> tuple[FoldEntry, ...]:
    """Fold a loaded model in place; `proto` is what it was loaded from."""
    return Engine(Workspace(graph, Facts(graph, infer(skeleton(proto)))), options).run()


def check(light: onnx.ModelProto) -> bool:
    """Whether the model also passes the full check, which infers every shape.

    Raises:
        InvalidModelError: it does not pass even the plain one.
    """
    try:
        onnx.checker.check_model(light, full_check=True)
    except Exception:
        _check_plainly(light)
        return False
    return True


def _check_plainly(light: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(light)
    except Exception as error:
        raise InvalidModelError(f"not a valid ONNX model: {_first_line(error)}") from error


def require_promises(before: onnx.ModelProto, after: onnx.ModelProto, strict: bool) -> None:
    """What every fold promises: a valid model with the interface it had.

    Raises:
        BrokenPromiseError: the promise is broken.
    """
    try:
        onnx.checker.check_model(skeleton(after), full_check=strict)
    except Exception as error:
        raise BrokenPromiseError(f"folding broke the model: {_first_line(error)}") from error
    versions = {entry.domain: entry.version for entry in after.opset_import}
    kept = all(versions.get(entry.domain) == entry.version for entry in before.opset_import)
    if not kept or _interface(before) != _interface(after):
        raise BrokenPromiseError("folding changed the inputs or outputs of the model")


def _interface(model: onnx.ModelProto) -> tuple[list[bytes], list[bytes], int]:
    stored = {tensor.name for tensor in model.graph.initializer} if model.ir_version < 4 else set()
    inputs = [info.SerializeToString() for info in model.graph.input if info.name not in stored]
    outputs = [info.SerializeToString() for info in model.graph.output]
    return inputs, outputs, model.ir_version


def load_graph(model: onnx.ModelProto, base_dir: str | Path) -> ir.Model:
    """The model in the graph library, which has no word for maps: those are put back when it is written."""
    if any(_holds_map(info.type) for info in _declared(model.graph)):
        model = _copy(model)
        for info in _declared(model.graph):
            if _holds_map(info.type):
                info.ClearField("type")
    graph = ir.from_proto(model)
    ir.external_data.set_base_dir(graph.graph, base_dir)
    return graph


def written(graph: ir.Model, original: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as a proto again, with what the graph library does not carry."""
    result: onnx.ModelProto = ir.to_proto(graph)
    restore(result, original)
    return result


def restore(result: onnx.ModelProto, original: onnx.ModelProto) -> None:
    """Put back, word for word, what folding does not touch."""
    filled = {tensor.name for tensor in result.graph.initializer}  # before IR 4 they are listed as inputs too
    inputs = {info.name: info for info in original.graph.input if info.name not in filled}
    for info in result.graph.input:
        if info.name in inputs:
            info.CopyFrom(inputs[info.name])
    described = {info.name for info in original.graph.value_info}
    stored = {tensor.name for tensor in result.graph.initializer} - described
    told = [info for info in result.graph.value_info if info.name not in stored]
    del result.graph.value_info[:]
    result.graph.value_info.extend(told)
    del result.graph.output[:]
    result.graph.output.extend(original.graph.output)
    result.graph.sparse_initializer.extend(original.graph.sparse_initializer)
    result.training_info.extend(original.training_info)
    imported = {entry.domain for entry in original.opset_import}
    opened = [entry for entry in result.opset_import if entry.domain not in imported]
    del result.opset_import[:]
    result.opset_import.extend([*original.opset_import, *opened])


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _declared(graph: onnx.GraphProto) -> Iterable[onnx.ValueInfoProto]:
    return (*graph.input, *graph.output, *graph.value_info)


def _holds_map(declared: onnx.TypeProto) -> bool:
    if declared.HasField("sequence_type"):
        return _holds_map(declared.sequence_type.elem_type)
    return bool(declared.HasField("map_type"))


def census(graph: ir.Model) -> tuple[int, int]:
    """How many numbers are stored, and how many operations run."""
    numbers = nodes = 0
    for part in graph.graphs():
        numbers += sum(v.const_value.size for v in part.initializers.values() if v.const_value is not None)
        for node in part:
            held = node.attributes.get("value") if node.op_type == "Constant" else None
            nodes += node.op_type != "Constant"
            numbers += held.as_tensor().size if held is not None and not held.is_ref() else 0
    return numbers, nodes


def make_report(
    entries: tuple[FoldEntry, ...], before: tuple[int, int], after: tuple[int, int]
) -> FoldReport:
    """The report of a fold, with the census before and after."""
    return FoldReport(entries, before[0], after[0], before[1], after[1])


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
