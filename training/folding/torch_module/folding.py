"""`fold_module`: the story from a module to a folded one with its report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
from training.folding.torch_module.proof import prove
from training.folding.torch_module.twin import Inputs, run, twin
from training.folding.torch_module.variants import Variant, Variants, variants_of


@dataclass(frozen=True, eq=False)
class FoldedModule:
    """A module without the normalisations that could be folded.

    Attributes:
        module: an ordinary module; a copy of the original when nothing was folded.
        report: what became of each normalisation.
    """

    module: nn.Module
    report: FoldReport


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
    original = twin(module)
    try:
        run(twin(original), example_inputs)
    except Exception as error:
        raise FoldError(type(module).__name__, Reason.EXAMPLE_FAILS, str(error).split("\n")[0]) from error
    return _Folding(forward, amp_limit).fold(original, example_inputs)


@dataclass(frozen=True)
class _Folding:
    """The options of one fold."""

    forward: bool
    amp_limit: float

    def fold(self, original: nn.Module, inputs: Inputs) -> FoldedModule:
        try:
            variants = variants_of(original, inputs)
        except NotCaptured as refusal:
            return self._by_children(original, inputs, refusal)
        folds = [self._graph(original, variant) for variant in variants.all]
        if not any(fold.changed for _, fold, _ in folds):
            before = folds[0][2]
            return FoldedModule(twin(original), _report(original, original, folds[0][1].entries, before, before))
        folded = self._joined(original, inputs, variants, [graph for graph, _, _ in folds])
        entries = _merged(fold.entries for _, fold, _ in folds)
        after = operations(folds[0][0])
        return FoldedModule(folded, _report(original, folded, entries, folds[0][2], after))

    def _graph(self, original: nn.Module, variant: Variant) -> tuple[GraphModule, GraphFold, int]:
        graph = variant.captured.graph_module
        before = operations(graph)
        fold = fold_graph(graph, forward=self.forward, amp_limit=self.amp_limit)
        graph = variant.captured.guarded()
        if fold.changed:
            prove(original, graph, fold.new, variant.inputs)
        return graph, fold, before

    def _joined(
        self, original: nn.Module, inputs: Inputs, variants: Variants, graphs: list[GraphModule]
    ) -> nn.Module:
        if len(graphs) == 1 and variants.complete:
            return graphs[0]
        rest = None if variants.complete else self._rest(original, inputs)
        joined = Dispatch(list(graphs), rest, argument_names(original))
        prove(original, joined, {}, inputs)
        return joined

    def _rest(self, original: nn.Module, inputs: Inputs) -> nn.Module:
        """For the batch sizes that no graph stands for: the module itself, its children folded."""
        folded, _ = fold_children(original, inputs, self.fold)
        return folded

    def _by_children(self, original: nn.Module, inputs: Inputs, refusal: NotCaptured) -> FoldedModule:
        folded, entries = fold_children(original, inputs, self.fold)
        reason = Reason.DATA_DEPENDENT if refusal.data_dependent else Reason.NOT_EXPORTABLE
        known = {entry.layer for entry in entries}
        left = [entry for entry in _norms(original, reason, str(refusal)) if entry.layer not in known]
        count = len(list(original.modules()))
        return FoldedModule(folded, _report(original, folded, (*entries, *left), count, count))


def _norms(module: nn.Module, reason: Reason, detail: str) -> Iterable[FoldEntry]:
    for name, child in module.named_modules():
        if isinstance(child, _BatchNorm):
            yield FoldEntry(name, "BatchNorm", child.num_features, None, "left", None, reason, detail)


def _merged(all_entries: Iterable[tuple[FoldEntry, ...]]) -> tuple[FoldEntry, ...]:
    """The entries of several graphs of one module: a layer left in any of them counts as left."""
    merged: dict[tuple[str, str], FoldEntry] = {}
    for number, entries in enumerate(all_entries):
        for position, entry in enumerate(entries):
            key = (entry.layer, str(position) if number == 0 else "")
            known = next((k for k, e in merged.items() if e.layer == entry.layer and number), key)
            if known not in merged or entry.direction == "left":
                merged[known] = entry
    return tuple(merged.values())


def _report(
    original: nn.Module, folded: nn.Module, entries: tuple[FoldEntry, ...], before: int, after: int
) -> FoldReport:
    return FoldReport(tuple(replace(e) for e in entries), _size(original), _size(folded), before, after)


def _size(module: nn.Module) -> int:
    tensors: list[torch.Tensor] = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() for tensor in tensors)
