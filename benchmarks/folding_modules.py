"""Which folder of PyTorch modules folds what: the module corpus against torch's own tools, in one table.

Run from the root of the repository: `python -m benchmarks.folding_modules`.

A pattern counts as *folded* when no normalisation runs any more, *partly* when fewer steps run, *left* when
the same steps run, *wrong* when the row error in float64 exceeds what rounding can cause, here or at another
batch size.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import pairwise
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.folding.module_corpus import PATTERNS, Pattern
from training.folding import fold_module
from training.folding.torch_module.twin import batch_size, resized

WRONG = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.1}
"""Rounding the parameters once stays a hundred times below this for float32, ten times for the others."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

OUTCOMES = ("folded", "partly", "left", "wrong", "crashed")

Folder = Callable[[nn.Module, tuple[Any, ...]], nn.Module]


def with_foldserve(module: nn.Module, inputs: tuple[Any, ...]) -> nn.Module:
    return fold_module(module, inputs).module


def with_fx_fuse(module: nn.Module, inputs: tuple[Any, ...]) -> nn.Module:
    del inputs
    return fuse(module)


def with_utils_fusion(module: nn.Module, inputs: tuple[Any, ...]) -> nn.Module:
    """torch.nn.utils.fusion folds one pair; as its users do, each pair of neighbours is given to it."""
    del inputs
    module = copy.deepcopy(module)
    for parent in module.modules():
        children = list(parent.named_children())
        for (name, first), (norm_name, norm) in pairwise(children):
            if isinstance(norm, _BatchNorm) and isinstance(first, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)):
                setattr(parent, name, _fused(first, norm))
                setattr(parent, norm_name, nn.Identity())
    return module


FOLDERS: dict[str, Folder] = {
    "foldserve": with_foldserve,
    "torch.fx fuse": with_fx_fuse,
    "nn.utils.fusion": with_utils_fusion,
}


class Steps(TorchDispatchMode):
    """Counts the normalisations and the other arithmetic that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = 0
        self.others = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if "batch_norm" in name:
            self.norms += 1
        elif name in ("add", "sub", "rsub", "mul", "div", "sqrt", "rsqrt", "addmm", "convolution"):
            self.others += 1
        return func(*args, **(kwargs or {}))


def outcome(pattern: Pattern, folder: Folder) -> str:
    """What a folder makes of a pattern."""
    module, inputs = pattern.build()
    before = steps(module, inputs)
    try:
        folded = folder(copy.deepcopy(module), inputs)
        after = steps(folded, inputs)
        error = max(row_error(module, folded, resized(inputs, n)) for n in (batch_size(inputs), 2, 6))
    except Exception:
        return "crashed"
    if not error <= max(
        WRONG[p.dtype] for p in (*module.parameters(), torch.ones(())) if p.is_floating_point()
    ):
        return "wrong"
    if (after.norms, after.others) == (before.norms, before.others):
        return "left"
    return "folded" if not after.norms and pattern.kind != "partial" else "partly"


def steps(module: nn.Module, inputs: tuple[Any, ...]) -> Steps:
    """The steps of one call."""
    counter = Steps()
    with torch.no_grad(), counter:
        module(*inputs)
    return counter


def row_error(module: nn.Module, folded: nn.Module, inputs: tuple[Any, ...]) -> float:
    """The largest error relative to the largest result; in float64 where the module allows it."""
    with torch.no_grad():
        try:
            given = pytree.tree_map(_double, inputs)
            pair = copy.deepcopy(module).double()(*given), copy.deepcopy(folded).double()(*given)
        except RuntimeError:
            pair = module(*inputs), folded(*inputs)
    errors = [0.0]
    for wanted, got in zip(*map(pytree.tree_leaves, pair), strict=True):
        finite = wanted.isfinite()
        size = wanted[finite].abs().max() if finite.any() else torch.tensor(1.0)
        errors.append(float((wanted - got)[finite].abs().max() / size) if finite.any() else 0.0)
    return max(errors)


def compare() -> dict[str, dict[str, str]]:
    """Pattern → folder → outcome."""
    outcomes = {}
    for pattern in PATTERNS:
        with quiet():
            outcomes[pattern.name] = {name: outcome(pattern, folder) for name, folder in FOLDERS.items()}
    return outcomes


def markdown(outcomes: dict[str, dict[str, str]]) -> str:
    """Class of pattern × folder, and how often each outcome occurred."""
    lines = ["| modules | folder | " + " | ".join(OUTCOMES) + " |", "|---|---|" + "---|" * len(OUTCOMES)]
    kinds = {pattern.name: pattern.kind for pattern in PATTERNS}
    for kind in dict.fromkeys(kinds.values()):
        some = [each for name, each in outcomes.items() if kinds[name] == kind]
        for folder in FOLDERS:
            counts = Counter(each[folder] for each in some)
            row = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
            lines.append(f"| {kind} ({len(some)}) | {folder} | {row} |")
    return "\n".join(lines)


def table(outcomes: dict[str, dict[str, str]]) -> Table:
    """Pattern × folder, for a terminal."""
    result = Table("pattern", "class", *FOLDERS)
    for pattern in PATTERNS:
        each = outcomes[pattern.name]
        result.add_row(pattern.name, pattern.kind, *(_coloured(each[name]) for name in FOLDERS))
    return result


@contextmanager
def quiet() -> Iterator[None]:
    """The peers warn and print."""
    nowhere = io.StringIO()
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def _fused(layer: nn.Module, norm: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return fuse_linear_bn_eval(layer, norm)
    return fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, TRANSPOSED))


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _coloured(word: str) -> str:
    colour = {"folded": "green", "partly": "cyan", "wrong": "red", "crashed": "red"}.get(word)
    return f"[{colour}]{word}[/]" if colour else word


if __name__ == "__main__":
    found = compare()
    Console(width=100).print(table(found))
    Console(width=100).print(markdown(found))
