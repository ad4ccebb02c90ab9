"""For which inputs a traced graph stands: the conditions on shapes it was traced under, kept and checked.

A module may branch on a shape. Its graph holds one branch; asked for a shape of the other it must say no
rather than answer from the wrong one.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import sympy
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import SYMPY_INTERP
from torch.utils import _pytree as pytree

NOT_ONE = re.compile(r"\S+\.size\(\)\[\d+\] != 1")
"""The tracer assumes this of a size it broadcasts; true branches on a batch of 1 look the same."""


class Guard(nn.Module):
    """Checks the inputs of a graph.

    Attributes:
        conditions: Python expressions over `args`, the flat inputs, as torch.export prints them.
        kinds: what each input is: its rank, or the value of a constant.
    """

    _is_impure = True  # torch.fx would drop a call whose result nobody uses

    def __init__(self, conditions: tuple[str, ...], kinds: tuple[Any, ...]) -> None:
        super().__init__()
        self.conditions = conditions
        self.kinds = kinds

    def forward(self, *args: Any) -> None:
        """Raises ValueError when a condition does not hold; the old tracer of torch.jit can keep none."""
        if torch._C._get_tracing_state() is not None:
            return
        for failed in self.failures(args):
            raise ValueError(f"the folded module stands for inputs with {failed}")

    def failures(self, args: tuple[Any, ...]) -> Iterator[str]:
        """The conditions that do not hold."""
        for i, (kind, value) in enumerate(zip(self.kinds, args, strict=True)):
            if isinstance(kind, _Rank):
                if not isinstance(value, torch.Tensor) or value.dim() != kind:
                    yield f"a tensor of rank {int(kind)} as input {i}"
                    return
            elif value != kind:
                yield f"input {i} equal to {kind!r}"
                return
        scope = {**SYMPY_INTERP, "math": math, "inf": math.inf, "args": args}
        for condition in self.conditions:
            if not eval(condition, scope):  # noqa: S307 - printed by torch.export from shapes, never from data
                yield condition

    def drop(self, condition: str) -> None:
        """Takes back a condition that proved empty."""
        self.conditions = tuple(each for each in self.conditions if each != condition)


class _Rank(int):
    """The rank of a tensor input; a plain int is the value of a constant one."""


def guard_of(program: ExportedProgram, forward: Callable[..., Any], placeholders: list[Node]) -> Guard:
    """The guard of a traced program.

    Args:
        program: the program, with the conditions its tracer met.
        forward: the signature the inputs were bound to.
        placeholders: the inputs of the graph, in order.
    """
    values = [node.meta.get("val") for node in placeholders]
    kinds = tuple(_Rank(value.dim()) if isinstance(value, torch.Tensor) else value for value in values)
    conditions = list(_shapes(values, program))
    for code in program._guards_code:
        condition = code.replace("\n", " ")
        for i, path in enumerate(_paths(program, forward)):
            condition = condition.replace(f"L['flat_args'][{i}]", f"args[{i}]").replace(
                f"L{path}", f"args[{i}]"
            )
        conditions.append(condition)
    return Guard(tuple(dict.fromkeys(conditions)), kinds)


def _paths(program: ExportedProgram, forward: Callable[..., Any]) -> list[str]:
    assert program.example_inputs is not None  # noqa: S101 - export records them
    args, kwargs = program.example_inputs
    bound = inspect.signature(forward).bind(*args, **kwargs)
    return [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(dict(bound.arguments))]


def _shapes(values: list[Any], program: ExportedProgram) -> Iterator[str]:
    """Fixed sizes, equal sizes and ranges."""
    first: dict[Any, str] = {}
    for i, value in enumerate(values):
        if not isinstance(value, torch.Tensor):
            continue
        for axis, size in enumerate(value.shape):
            name = f"args[{i}].size()[{axis}]"
            if isinstance(size, int):
                yield f"{name} == {size}"
                continue
            expression = size.node.expr
            if expression in first:
                yield f"{name} == {first[expression]}"
            elif isinstance(expression, sympy.Symbol):
                first[expression] = name
                yield from _range(name, program.range_constraints.get(expression))


def _range(name: str, limits: Any) -> Iterator[str]:
    if limits is None:
        return
    if limits.upper.is_finite and limits.upper < 2**60:
        yield f"{name} <= {int(limits.upper)}"
    if limits.lower > 2:
        yield f"{name} >= {int(limits.lower)}"
