"""A module that cannot be traced as a whole: its children are folded where they stand, its own code stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from training.folding.report import FoldEntry, FoldError
from training.folding.torch_module.hooks import watched, without_hooks
from training.folding.torch_module.proof import prove
from training.folding.torch_module.result import FoldedModule
from training.folding.torch_module.twin import Inputs, run, twin

Fold = Callable[[nn.Module, Inputs], FoldedModule]


def fold_children(original: nn.Module, inputs: Inputs, fold: Fold) -> tuple[nn.Module, tuple[FoldEntry, ...]]:
    """A copy with every child folded that can be, and the entries of those children."""
    folded = twin(original)
    entries: list[FoldEntry] = []
    silent = without_hooks(original, watched(original, inputs))
    calls = _calls(silent, inputs)
    for path, child in list(folded.named_children()):
        entries += _replace(folded, path, child, calls, fold)
    if any(entry.direction != "left" for entry in entries):
        prove(silent, without_hooks(folded, watched(folded, inputs)), {}, inputs)
    return folded, tuple(entries)


def _replace(
    root: nn.Module, path: str, child: nn.Module, calls: dict[str, Inputs], fold: Fold
) -> Iterator[FoldEntry]:
    """Folds one child, or its own children when that gives nothing."""
    if path not in calls or not any(True for _ in child.children()):
        return
    try:
        result = fold(child, calls[path])
    except FoldError:
        return
    if result.report.folded:
        root.set_submodule(path, result.module)
        yield from (replace(entry, layer=f"{path}.{entry.layer}") for entry in result.report.entries)


def _calls(original: nn.Module, inputs: Inputs) -> dict[str, Inputs]:
    """The inputs of the first call of each child that has one name and takes positional arguments."""
    probe = twin(original)
    seen: dict[str, Inputs] = {}
    names = Counter(id(child) for _, child in probe.named_modules(remove_duplicate=False))

    def record(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Inputs, kwargs: dict[str, Any]) -> None:
            if not kwargs:
                seen.setdefault(path, args)

        return hook

    for path, child in probe.named_children():
        if names[id(child)] == 1:
            child.register_forward_pre_hook(record(path), with_kwargs=True)
    run(probe, inputs)
    return seen
