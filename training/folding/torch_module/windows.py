"""Passages through operations that mix places but not channels: pools, means, maxima, padding, upsampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.fx import Node

from training.folding.report import Reason
from training.folding.torch_module import axes
from training.folding.torch_module.operators import argument
from training.folding.torch_module.passage import Crossing, mixed, operand_of


def _reduced(node: Node, **more: Any) -> Crossing:
    operand = operand_of(node)
    rank = len(axes.dims(operand))
    given = argument(node, "dim")
    given = [given] if isinstance(given, int) else given
    along = sorted({axis % rank for axis in given or range(rank)})
    still = axes.still(along, "elements are summed up")
    if argument(node, "keepdim"):
        return Crossing(operand, still, still, **more)
    return Crossing(operand, axes.chained(still, axes.without(along)), axes.inserted(along), **more)


def mean(node: Node) -> Crossing:
    return _reduced(node)


def total(node: Node) -> Crossing:
    return _reduced(node, shift=Reason.NO_LINEAR_NEIGHBOUR)


def largest(node: Node) -> Crossing:
    return _reduced(node, positive=True)


def _spatial(node: Node, count: int) -> list[int]:
    rank = len(axes.dims(operand_of(node)))
    return list(range(rank - count, rank))


def average(count: int) -> Callable[[Node], Crossing]:
    def rule(node: Node) -> Crossing:
        padding = argument(node, "padding")
        padded = any(padding if isinstance(padding, (list, tuple)) else [padding])
        zeros = padded and argument(node, "count_include_pad")
        divided = count > 1 and argument(node, "divisor_override") is not None
        reason = Reason.ZERO_PADDING if zeros or divided else None
        return mixed(node, _spatial(node, count), "a window is averaged", shift=reason)

    return rule


def windowed(count: int, **more: Any) -> Callable[[Node], Crossing]:
    return lambda node: mixed(node, _spatial(node, count), "elements of a window are mixed", **more)


def pad(node: Node) -> Crossing | None:
    widths = argument(node, "pad")
    rank = len(axes.dims(operand_of(node)))
    along = [rank - 1 - i // 2 for i, width in enumerate(widths) if width != 0]
    if argument(node, "mode") != "constant":
        return mixed(node, sorted(set(along)), "elements are repeated")
    if argument(node, "value") not in (None, 0):
        return None
    if not along:
        return Crossing(operand_of(node))
    return mixed(node, sorted(set(along)), "zeros are put around", shift=Reason.ZERO_PADDING)


def homogeneous(node: Node) -> Crossing:
    """relu and its kin: f(s·x) = s·f(x) for s ≥ 0."""
    return Crossing(operand_of(node), shift=Reason.NO_LINEAR_NEIGHBOUR, positive=True)
