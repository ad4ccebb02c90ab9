"""Every pattern of the corpus: what can be folded is folded, and the answer stays the same."""

import copy

import pytest
import torch
from torch import nn
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from tests.training.folding.module_corpus import PATTERNS, Pattern
from training.folding.report import FoldReport
from training.folding.torch_module import fold_module
from training.folding.torch_module.twin import batch_size, resized

ROUNDING = {torch.float64: 1e-12, torch.float32: 3e-6, torch.bfloat16: 3e-2, torch.float16: 4e-3}
"""Row error that rounding each constant once may cause, with the amplification of small random layers."""


def norms_in(module: nn.Module) -> int:
    """The normalisations that still run in a folded module."""
    graphs = [part for part in module.modules() if isinstance(part, GraphModule)]
    if not graphs:
        return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
    return max(sum("batch_norm" in str(node.target) for node in g.graph.nodes) for g in graphs)


def row_error(module: nn.Module, folded: nn.Module, inputs: tuple) -> float:
    """Against the original in float64."""

    def double(value: object) -> object:
        floating = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.double() if floating else value

    with torch.no_grad():
        try:
            exact = copy.deepcopy(module).double()(*pytree.tree_map(double, inputs))
            got = copy.deepcopy(folded).double()(*pytree.tree_map(double, inputs))
        except RuntimeError:  # it casts inside, and runs in its own type only
            exact, got = module(*inputs), folded(*inputs)
    pairs = zip(pytree.tree_leaves(exact), pytree.tree_leaves(got), strict=True)
    errors = [float((a - b).abs().max() / a.abs().max().clamp_min(1e-30)) for a, b in pairs if a.numel()]
    return max(errors)


def takes(module: nn.Module, inputs: tuple) -> bool:
    try:
        module(*inputs)
    except (RuntimeError, ValueError):
        return False
    return True


def left(report: FoldReport) -> int:
    return sum(entry.direction == "left" for entry in report.entries)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.name)
def test_pattern(pattern: Pattern) -> None:
    module, inputs = pattern.build()
    before = copy.deepcopy(module.state_dict())
    folded = fold_module(module, inputs)
    entries = "\n".join(map(str, folded.report.entries))
    assert left(folded.report) == pattern.left, entries
    assert all((entry.reason is not None) == (entry.direction == "left") for entry in folded.report.entries)
    if not pattern.left:
        assert folded.report.folded, entries
        assert norms_in(folded.module) == 0, entries
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    for size in (batch_size(inputs), 1, 6):
        given = resized(inputs, size)
        if takes(module, given) and pattern.name != "infinite_statistics":
            assert row_error(module, folded.module, given) <= ROUNDING[dtype], f"batch size {size}\n{entries}"
    assert all(torch.equal(a, b) for a, b in zip(before.values(), module.state_dict().values(), strict=True))


def test_the_corpus_covers_every_class() -> None:
    assert {pattern.kind for pattern in PATTERNS} == {"backward", "forward", "partial", "nothing", "trap"}
