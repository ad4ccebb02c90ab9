"""Proof on the way out: the folded graph against the module it came from, on the example inputs.

Twice: in float64 with the new constants before rounding, where only algebra can make a difference, and in
the type of the module, where rounding may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from training.folding.report import FoldError, Reason
from training.folding.torch_module.constants import NewConstant
from training.folding.torch_module.rounding import as_double
from training.folding.torch_module.twin import Inputs, doubled, run, twin

ALGEBRA = 1e-7
"""Largest row error in float64. Rounding alone gives 1e-15 times the depth and the amplification."""

EPS_OF_ERROR = {torch.float64: 4096.0, torch.float32: 4096.0, torch.float16: 64.0, torch.bfloat16: 32.0}
"""Largest row error in the module's own type, in its eps: amplification times depth, with room to spare."""

TIMES_ORIGINAL = 8.0
"""A module that is itself far off in its own type may be this many times as far off when folded."""


def prove(original: nn.Module, folded: nn.Module, new: dict[str, NewConstant], inputs: Inputs) -> None:
    """Both comparisons. `new` are the constants of the folded module that are known exactly.

    Raises:
        FoldError: the folded module disagrees.
    """
    rounding = _rounding(original, folded)
    exact = _in_double(original, inputs)
    if exact is None:
        exact = run(twin(original), inputs)
    elif (got := _in_double(_exact(folded, new), inputs)) is not None:
        bound = max(ALGEBRA, _casts(folded)) if new else rounding
        _check("in float64", lambda: difference(exact, got), bound)
    bound = max(rounding, TIMES_ORIGINAL * difference(exact, run(twin(original), inputs), types=False))
    _check("as stored", lambda: difference(exact, run(twin(folded), inputs), types=False), bound)


def _check(where: str, error: Callable[[], float], bound: float) -> None:
    try:
        found = error()
    except Exception as failure:
        raise FoldError("the module", Reason.DISAGREES, f"{where} it raises {failure}") from failure
    if not found <= bound:
        raise FoldError("the module", Reason.DISAGREES, f"{where} the row error is {found:.2g} > {bound:.2g}")


def _in_double(module: nn.Module, inputs: Inputs) -> Any:
    """The result in float64, or None for a module that its own code binds to another type."""
    try:
        return run(twin(module).double(), doubled(inputs))
    except Exception:
        return None


def _exact(folded: nn.Module, new: dict[str, NewConstant]) -> nn.Module:
    """A folded module in float64 with its new constants as they were before rounding."""
    exact = twin(folded).double()
    with torch.no_grad():
        for name, constant in new.items():
            exact.get_parameter(name).copy_(as_double(constant.value))
    return exact


def _rounding(original: nn.Module, folded: nn.Module) -> float:
    """What rounding may change in the types the module computes in."""
    types = {t.dtype for t in (*original.parameters(), *original.buffers()) if t.is_floating_point()}
    return max([_allowed(dtype) for dtype in types], default=_allowed(torch.float32)) + _casts(folded)


def _casts(folded: nn.Module) -> float:
    """What the casts to narrower types inside a graph may change."""
    nodes = [node for m in folded.modules() if isinstance(m, GraphModule) for node in m.graph.nodes]
    casts = {node.kwargs.get("dtype") for node in nodes if node.target is torch.ops.aten._to_copy.default}
    return max((_allowed(dtype) for dtype in casts if dtype in EPS_OF_ERROR), default=0.0)


def _allowed(dtype: torch.dtype) -> float:
    return EPS_OF_ERROR.get(dtype, 4096.0) * torch.finfo(dtype).eps


def difference(expected: Any, got: Any, *, types: bool = True) -> float:
    """The largest max|y − t| / max|t| over all tensors of two results; infinite where they do not match.

    Without `types`, results in different types are compared, and integers, which may hang on a rounding, not.
    """
    left, right = pytree.tree_flatten(expected), pytree.tree_flatten(got)
    if len(left[0]) != len(right[0]):
        return float("inf")
    return max((_difference(a, b, types) for a, b in zip(left[0], right[0], strict=True)), default=0.0)


def _difference(expected: Any, got: Any, types: bool) -> float:
    if not isinstance(expected, torch.Tensor):
        return 0.0 if expected == got else float("inf")
    if not isinstance(got, torch.Tensor) or expected.shape != got.shape:
        return float("inf")
    if types and expected.dtype != got.dtype:
        return float("inf")
    if not expected.is_floating_point() or not expected.numel():
        return 0.0 if not types or torch.equal(expected, got) else float("inf")
    a, b = expected.detach().double(), got.detach().double()
    known = a.isfinite()
    if not torch.equal(a.isnan(), b.isnan()) or not b[known].isfinite().all():
        return float("inf")
    size = float(a[known].abs().max()) if known.any() else 0.0
    return float((a[known] - b[known]).abs().max()) / size if size else float(b[known].abs().sum())
