"""A module that branches on a shape: one graph for each branch, with the condition under which it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from training.folding.torch_module.capture import Captured, NotCaptured, capture
from training.folding.torch_module.guards import NOT_ONE
from training.folding.torch_module.proof import difference
from training.folding.torch_module.twin import Inputs, batch_size, doubled, resized, run, twin

PROBES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64, 100)
"""Batch sizes at which a graph must either stand or give way to another."""

MOST = 4
"""A module that wants more graphs than this is not branching but looping over its batch."""


@dataclass(frozen=True, eq=False)
class Variant:
    """One graph of a module, and inputs it stands for."""

    captured: Captured
    inputs: Inputs


@dataclass(frozen=True, eq=False)
class Variants:
    """The graphs of a module.

    Attributes:
        all: those that were found.
        complete: whether they stand for every batch size that was tried and that the module itself takes.
    """

    all: tuple[Variant, ...]
    complete: bool


def variants_of(module: nn.Module, inputs: Inputs, *, only_batch: bool = False) -> Variants:
    """Traces a module at its example inputs, then at every batch size that no graph stands for.

    With `only_batch` other sizes are fixed, which lets channels be followed through a view that mixes them
    with pixels.

    Raises:
        NotCaptured: the module cannot be traced at its example inputs.
    """
    first = _several_rows(module, inputs)
    found = [Variant(capture(twin(module), first, only_batch=only_batch), first)]
    complete = True
    for size in _sizes(found[0], inputs):
        given = resized(inputs, size)
        if any(_stands(variant, module, given) for variant in found) or not _runs(module, given):
            continue
        if len(found) == MOST:
            complete = False
            break
        try:
            found.append(Variant(capture(twin(module), given, only_batch=only_batch), given))
        except NotCaptured:
            complete = False
    return Variants(tuple(found), complete)


def _several_rows(module: nn.Module, inputs: Inputs) -> Inputs:
    """A batch of 1 would be traced as a fixed size; two rows are traced as any number."""
    if batch_size(inputs) != 1:
        return inputs
    more = resized(inputs, 2)
    return more if _runs(module, more) else inputs


def _sizes(variant: Variant, inputs: Inputs) -> Iterator[int]:
    """The example's own size, the usual ones, and those next to a bound in the conditions."""
    own = batch_size(inputs)
    if own is None:
        return
    bounds = {
        int(n) for c in variant.captured.guard.conditions for n in re.findall(r"\b\d+\b", c.split("]")[-1])
    }
    near = {n + d for n in bounds if n <= 4096 for d in (-1, 0, 1)}
    yield own
    yield from sorted({*PROBES, *near} - {0, -1, own})


def _stands(variant: Variant, module: nn.Module, inputs: Inputs) -> bool:
    """Whether a graph is right at these inputs; an assumption "not 1" that proves empty is dropped."""
    leaves = tuple(pytree.tree_leaves(inputs))
    guard = variant.captured.guard
    try:
        failed = list(guard.failures(leaves))
    except Exception:
        return False
    if not failed:
        return True
    if not all(NOT_ONE.fullmatch(each) for each in failed) or not _agrees(variant, module, inputs):
        return False
    for each in failed:
        guard.drop(each)
    return True


def _agrees(variant: Variant, module: nn.Module, inputs: Inputs) -> bool:
    given = doubled(_noisy(inputs))
    try:
        expected = run(twin(module).double(), given)
        got = run(twin(variant.captured.graph_module).double(), given)
    except Exception:
        return False
    return difference(expected, got) < 1e-9


def _noisy(inputs: Inputs) -> Inputs:
    """Other values than the example's, which may be all zeros."""
    generator = torch.Generator().manual_seed(0)

    def shifted(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        return tensor.detach() + noise.to(tensor)

    result: Any = pytree.tree_map_only(torch.Tensor, shifted, inputs)
    return tuple(result)


def _runs(module: nn.Module, inputs: Inputs) -> bool:
    try:
        run(twin(module), inputs)
    except Exception:
        return False
    return True
