"""A model file in, a folded file out; external data are mapped, folded in blocks and written as they come."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from training.folding.onnx_graph.engine import Options
from training.folding.onnx_graph.facts import skeleton
from training.folding.onnx_graph.functions import open_functions
from training.folding.onnx_graph.model import (
    InvalidModelError,
    check,
    fold_graph,
    load_graph,
    make_report,
    require_promises,
    written,
)
from training.folding.onnx_graph.model import census as count
from training.folding.report import FoldReport

_EXTERNAL_FROM = 1024
"""Bytes from which a tensor of a model with external data is written outside the file."""


@dataclass(frozen=True)
class FoldedFile:
    """What folding a file did.

    Attributes:
        report: what was folded and what was left.
        bytes_before: the size of the file and its external data.
        bytes_after: the size of what was written; None when nothing was.
    """

    report: FoldReport
    bytes_before: int
    bytes_after: int | None


Observer = Callable[[str, int, int], None]
"""Is told what goes on ("folding", "writing"), how many nodes or tensors are done, and of how many."""


def fold_file(
    source: Path,
    target: Path | None = None,
    *,
    forward: bool = True,
    amp_limit: float = 32.0,
    observe: Observer = lambda _what, _done, _of: None,
) -> FoldedFile:
    """Fold a model file. With external data, no more than a few blocks of them are in memory at once.

    Raises:
        InvalidModelError: the file cannot be read, is not ONNX, or breaks the rules of ONNX.
    """
    model = read_model(source)
    strict = _check(model, source)
    opened = open_functions(model)
    graph = load_graph(opened, source.parent)
    before = count(graph)
    entries = fold_graph(graph, opened, Options(forward, amp_limit, partial(observe, "folding")))
    after = count(graph)
    folded = any(entry.direction != "left" for entry in entries)
    wanted = graph if folded else None
    size = None if target is None else _write(wanted, model, source, target, strict, observe)
    report = make_report(entries, before, after if folded else before)
    return FoldedFile(report, _size(source, model), size)


def read_model(path: Path) -> onnx.ModelProto:
    """The file without its external data.

    Raises:
        InvalidModelError: it cannot be read, or is not ONNX.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise InvalidModelError(f"cannot read {path}: {error.strerror or error}") from error
    except (DecodeError, ValueError, UnicodeDecodeError) as error:
        raise InvalidModelError(f"{path} is not an ONNX file") from error
    if not model.HasField("graph"):
        raise InvalidModelError(f"{path} is not an ONNX file: it holds no graph")
    return model


def _check(model: onnx.ModelProto, path: Path) -> bool:
    try:
        return check(skeleton(model))
    except InvalidModelError as error:
        raise InvalidModelError(f"{path}: {error}") from error


def _write(
    graph: ir.Model | None,
    model: onnx.ModelProto,
    source: Path,
    target: Path,
    strict: bool,
    observe: Observer,
) -> int:
    """Write the folded graph, or the model as it was; data first, then the file, by replacement."""
    target.parent.mkdir(parents=True, exist_ok=True)
    external = _has_external(model)
    if graph is None and not external:
        if source.resolve() != target.resolve():
            shutil.copyfile(source, target)
        return target.stat().st_size
    graph = graph if graph is not None else load_graph(model, source.parent)
    if external:
        data = f"{target.name}.data"
        graph = ir.external_data.unload_from_model(
            graph,
            target.parent,
            data,
            size_threshold_bytes=_EXTERNAL_FROM,
            callback=lambda _, at: observe("writing", at.index + 1, at.total),
        )
    result = written(graph, model)
    require_promises(model, result, strict)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_bytes(result.SerializeToString())
    partial.replace(target)
    return _size(target, result)


def _has_external(model: onnx.ModelProto) -> bool:
    return any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)


def _size(path: Path, model: onnx.ModelProto) -> int:
    """Bytes of the file and of the data files beside it."""
    places = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [path, *(path.parent / place for place in places)]
    return sum(file.stat().st_size for file in files if file.is_file())
