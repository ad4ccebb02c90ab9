"""From a module to a graph: torch.export with free batch sizes, made functional, its conditions kept."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule, Node
from torch.fx.experimental import _config as symbolic_shapes
from torch.utils import _pytree as pytree

from training.folding.torch_module.factories import follow_inputs
from training.folding.torch_module.guards import Guard, guard_of
from training.folding.torch_module.twin import Inputs

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Captured:
    """A module as a graph of ATen operations.

    Attributes:
        graph_module: the graph with its parameters and buffers under their own names.
        guard: for which inputs it stands.
    """

    graph_module: GraphModule
    guard: Guard

    @property
    def fixed(self) -> bool:
        """Whether all sizes but those of the first axes are fixed."""
        values = [node.meta.get("val") for node in _inputs(self.graph_module)]
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        return all(isinstance(size, int) for tensor in tensors for size in tensor.shape[1:])

    def guarded(self) -> GraphModule:
        """The graph with the check of its inputs built in."""
        module = self.graph_module
        module.add_submodule("_guard", self.guard)
        placeholders = _inputs(module)
        with module.graph.inserting_after(placeholders[-1]):
            module.graph.call_module("_guard", tuple(placeholders))
        module.recompile()
        return module


class NotCaptured(Exception):
    """torch.export cannot follow the module.

    Attributes:
        data_dependent: whether a branch depends on the data.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause).strip().split("\n")[0] or type(cause).__name__)
        self.data_dependent = "data-dependent" in str(cause) or "data-dependent" in type(cause).__name__


def capture(module: nn.Module, inputs: Inputs, *, only_batch: bool = False) -> Captured:
    """The graph of a module, with as many sizes free as it allows, or at most the first axes of its inputs.

    Raises:
        NotCaptured: it cannot be traced.
    """
    failure: Exception | None = None
    for sizes in (_batch_free, None) if only_batch else (_all_free, _batch_free, None):
        try:
            return _captured(module, inputs, sizes(_bound(module, inputs)) if sizes else None)
        except Exception as error:
            failure = failure or error
            if NotCaptured(error).data_dependent:
                break
    assert failure is not None  # noqa: S101 - the loop ran
    raise NotCaptured(failure) from failure


@contextmanager
def quiet() -> Iterator[None]:
    """torch.export warns of its own insides, logs what it specialises and prints where it gave up."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    nowhere = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _oblivious(wanted: bool) -> Any:
    """Without this a size of 1 is neither traced as free nor excluded where the code asks for it."""
    return symbolic_shapes.patch(backed_size_oblivious=wanted)  # type: ignore[attr-defined]


def _captured(module: nn.Module, inputs: Inputs, shapes: Any) -> Captured:
    with quiet(), torch.no_grad(), _oblivious(shapes is not None):
        exported = torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
        program = exported.run_decompositions({})
        traced = program.module(check_guards=False)
    graph_module = _plain(traced)
    graph_module.train(module.training)
    return Captured(graph_module, _guard(exported, module, graph_module))


def _guard(exported: ExportedProgram, module: nn.Module, graph_module: GraphModule) -> Guard:
    return guard_of(exported, module.forward, _inputs(graph_module))


def _inputs(module: GraphModule) -> list[Node]:
    return [node for node in module.graph.nodes if node.op == "placeholder"]


def _plain(traced: nn.Module) -> GraphModule:
    """An ordinary GraphModule: no input hooks, train() and eval() allowed, no checks of types.

    Views become reshapes: once a normalisation is gone its operand may not be contiguous.
    """
    assert isinstance(traced, GraphModule)  # noqa: S101 - what ExportedProgram.module returns
    for node in list(traced.graph.nodes):
        if node.op == "call_function" and node.target is aten._assert_tensor_metadata.default:
            traced.graph.erase_node(node)
        elif node.op == "call_function" and node.target in (aten.view.default, aten._unsafe_view.default):
            node.target = aten.reshape.default
    _drop_clones(traced)
    follow_inputs(traced.graph)
    traced.graph._tracer_cls = None  # that of export cannot be made again when the result is unpickled
    _without_leaf_specs(traced)
    return GraphModule(traced, traced.graph)


def _drop_clones(traced: GraphModule) -> None:
    """A Dropout in eval mode is traced as a copy, which nobody needs in a graph that writes to nothing."""
    for node in list(traced.graph.nodes):
        if node.op != "call_function" or node.target is not aten.clone.default:
            continue
        source = node.args[0]
        if source.op == "call_function" and not any(user.op == "output" for user in node.users):
            node.replace_all_uses_with(source)
            traced.graph.erase_node(node)


def _without_leaf_specs(traced: GraphModule) -> None:
    """torch's own class for a leaf warns when it is copied, and so would every copy of the result."""
    codegen = traced.graph._codegen
    info = codegen.pytree_info  # type: ignore[attr-defined]
    out_spec = info.out_spec and _plain_spec(info.out_spec)
    codegen.pytree_info = info._replace(in_spec=_plain_spec(info.in_spec), out_spec=out_spec)  # type: ignore[attr-defined]


def _plain_spec(spec: pytree.TreeSpec) -> pytree.TreeSpec:
    return pytree.TreeSpec(spec.type, spec._context, [_plain_spec(child) for child in spec._children])


def _bound(module: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """The inputs by the names they have in forward, as export wants their sizes described."""
    return dict(inspect.signature(module.forward).bind(*inputs).arguments)


def _all_free(inputs: dict[str, Any]) -> Any:
    return _free(inputs, lambda axis, size: axis == 0 or size > 1)


def _batch_free(inputs: dict[str, Any]) -> Any:
    return _free(inputs, lambda axis, _: axis == 0)


def _free(inputs: dict[str, Any], chosen: Any) -> Any:
    def sizes(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return None
        return {axis: Dim.AUTO for axis, size in enumerate(leaf.shape) if chosen(axis, size)}

    return pytree.tree_map(sizes, inputs)
