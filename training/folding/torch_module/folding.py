"""`fold_module`: the story from a module to a folded one with its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.modules.batchnorm import _BatchNorm

from training.folding.affine import AMP_LIMIT
from training.folding.report import FoldEntry, FoldError, FoldReport, Reason
from training.folding.torch_module.capture import NotCaptured
from training.folding.torch_module.children import fold_children
from training.folding.torch_module.dispatch import Dispatch, argument_names
from training.folding.torch_module.graph_fold import GraphFold, fold_graph, operations
from training.folding.torch_module.hooks import watched, without_hooks
from training.folding.torch_module.proof import prove
from training.folding.torch_module.result import FoldedModule
from training.folding.torch_module.twin import Inputs, run, twin
from training.folding.torch_module.variants import Variant, Variants, variants_of


def fold_module(
    module: nn.Module, example_inputs: tuple[Any, ...], *, forward: bool = True, amp_limit: float = AMP_LIMIT
) -> FoldedModule:
    """Folds every normalisation of a module that algebra allows. The module itself is not changed.

    Args:
        module: the module, in the mode it will be used in.
        example_inputs: the positional arguments of one call.
        forward: whether to fold into layers after a normalisation too.
        amp_limit: the amplification above which a shift is not folded forward.

    Raises:
        FoldError: the module fails on its example inputs, or the folded one disagrees with it.
    """
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise FoldError(name, Reason.NOT_EXPORTABLE, "a scripted module has no Python code left to trace")
    try:
        original = twin(module)
    except Exception as error:
        raise FoldError(name, Reason.NOT_EXPORTABLE, f"it cannot be copied: {error}") from error
    try:
        run(without_hooks(original, watched(original, example_inputs)), example_inputs)
    except Exception as error:
        raise FoldError(name, Reason.EXAMPLE_FAILS, str(error).split("\n")[0]) from error
    return _Folding(forward, amp_limit).fold(original, example_inputs)


@dataclass(frozen=True, eq=False)
class _Graph:
    """One folded graph and how many operations it had before."""

    module: GraphModule
    fold: GraphFold
    before: int


@dataclass(frozen=True, eq=False)
class _Traced:
    """The folded graphs of one module, and whether they stand for every batch size it takes."""

    graphs: tuple[_Graph, ...]
    complete: bool

    @property
    def entries(self) -> tuple[FoldEntry, ...]:
        """Those of the first graph; of another one where that knows more layers or had to leave one."""
        merged: dict[tuple[str, int], FoldEntry] = {}
        for graph in self.graphs:
            seen: Counter[str] = Counter()
            for entry in graph.fold.entries:
                key = (entry.layer, seen[entry.layer])
                seen[entry.layer] += 1
                if key not in merged or entry.direction == "left":
                    merged[key] = entry
        return tuple(merged.values())

    @property
    def folded(self) -> int:
        """How many normalisations are gone."""
        return sum(entry.direction != "left" for entry in self.entries)

    @property
    def changed(self) -> bool:
        """Whether any graph is."""
        return any(graph.fold.changed for graph in self.graphs)


@dataclass(frozen=True)
class _Folding:
    """The options of one fold."""

    forward: bool
    amp_limit: float

    def fold(self, original: nn.Module, inputs: Inputs) -> FoldedModule:
        watchers = watched(original, inputs)
        if watchers:
            detail = f"a hook watches {', '.join(sorted(watchers)) or 'the module'}"
            return self._by_children(original, inputs, Reason.HOOKS, detail)
        try:
            traced = self._traced(original, inputs)
        except NotCaptured as refusal:
            reason = Reason.DATA_DEPENDENT if refusal.data_dependent else Reason.NOT_EXPORTABLE
            return self._by_children(original, inputs, reason, str(refusal))
        before = traced.graphs[0].before
        if not traced.changed:
            return FoldedModule(twin(original), _report(original, original, traced.entries, before, before))
        folded = self._joined(original, inputs, traced)
        after = operations(traced.graphs[0].module)
        return FoldedModule(folded, _report(original, folded, traced.entries, before, after))

    def _traced(self, original: nn.Module, inputs: Inputs) -> _Traced:
        """All sizes free first; with only the batch free when that lets more be folded."""
        variants = variants_of(original, inputs)
        fixed = variants.all[0].captured.fixed
        traced = self._graphs(original, variants)
        if not fixed and traced.folded < len(traced.entries):
            narrower = self._graphs(original, variants_of(original, inputs, only_batch=True))
            if narrower.folded > traced.folded:
                return narrower
        return traced

    def _graphs(self, original: nn.Module, variants: Variants) -> _Traced:
        return _Traced(tuple(self._graph(original, each) for each in variants.all), variants.complete)

    def _graph(self, original: nn.Module, variant: Variant) -> _Graph:
        module = variant.captured.graph_module
        before = operations(module)
        fold = fold_graph(module, forward=self.forward, amp_limit=self.amp_limit)
        guarded = variant.captured.guarded()
        if fold.changed:
            prove(original, guarded, fold.new, variant.inputs)
        return _Graph(guarded, fold, before)

    def _joined(self, original: nn.Module, inputs: Inputs, traced: _Traced) -> nn.Module:
        if len(traced.graphs) == 1 and traced.complete:
            prove(original, traced.graphs[0].module, {}, inputs)
            return traced.graphs[0].module
        rest = None if traced.complete else self._rest(original, inputs)
        joined = Dispatch([graph.module for graph in traced.graphs], rest, argument_names(original))
        prove(original, joined, {}, inputs)
        return joined

    def _rest(self, original: nn.Module, inputs: Inputs) -> nn.Module:
        """For the batch sizes that no graph stands for: the module itself, its children folded."""
        folded, _ = fold_children(original, inputs, self.fold)
        return folded

    def _by_children(self, original: nn.Module, inputs: Inputs, reason: Reason, detail: str) -> FoldedModule:
        folded, entries = fold_children(original, inputs, self.fold)
        known = {entry.layer for entry in entries}
        left = [entry for entry in _norms(original, reason, detail) if entry.layer not in known]
        count = len(list(original.modules()))
        return FoldedModule(folded, _report(original, folded, (*entries, *left), count, count))


def _norms(module: nn.Module, reason: Reason, detail: str) -> Iterable[FoldEntry]:
    for name, child in module.named_modules():
        if isinstance(child, _BatchNorm):
            yield FoldEntry(name, "BatchNorm", child.num_features, None, "left", None, reason, detail)


def _report(
    original: nn.Module, folded: nn.Module, entries: tuple[FoldEntry, ...], before: int, after: int
) -> FoldReport:
    return FoldReport(entries, _size(original), _size(folded), before, after)


def _size(module: nn.Module) -> int:
    tensors: list[torch.Tensor] = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() for tensor in tensors)
