"""Following axes through a reshape: which axes of one shape hold the elements of which axes of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.folding.onnx_graph.facts import Dim, Shape
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import Move
from training.folding.report import Reason


@dataclass(frozen=True)
class _Group:
    """Consecutive axes of the source and of the target that cover the same elements in the same order."""

    source: Shape
    target: Shape


def regroup(source: Shape, target: Shape) -> Move:
    """How an array laid out over `source` is laid out over `target`, its reshape.

    The move raises:
        Refused: the array varies along axes whose sizes are not known well enough to follow them.
    """
    groups = _groups(source, target)

    def move(array: NDArray[Any]) -> NDArray[Any]:
        before: list[int] = []
        full: list[int] = []
        after: list[int] = []
        start = 0
        for group in groups:
            sizes = array.shape[start : start + len(group.source)]
            start += len(group.source)
            spread = _spread(group, sizes)
            before += spread[0]
            full += spread[1]
            after += spread[2]
        return np.broadcast_to(array.reshape(before), full).reshape(after)

    return move


def _spread(group: _Group, sizes: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """For one group: the sizes as they are, as they must be broadcast, and as they become."""
    ones = [1] * len(group.target)
    if all(size == 1 for size in sizes):
        return list(sizes), list(sizes), ones
    if len(sizes) == len(group.target) == 1:
        return list(sizes), list(sizes), list(sizes)
    if _product(group.source) is not None and _product(group.source) == _product(group.target):
        return list(sizes), [int(dim) for dim in group.source if dim is not None], _ints(group.target)
    return _repeated(group, sizes)


def _repeated(group: _Group, sizes: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """Axes that vary only at the end of a group repeat with a period, which a longer end holds."""
    first = next(k for k, size in enumerate(sizes) if size != 1)
    period = _product(group.source[first:])
    for cut in range(len(group.target), -1, -1):
        length = _product(group.target[cut:])
        if period and length and length % period == 0:
            head, tail = [1] * first, list(sizes[first:])
            full = [*head, length // period, *_ints(group.source[first:])]
            return [*head, 1, *tail], full, [1] * cut + _ints(group.target[cut:])
    raise Refused(Reason.UNKNOWN_SHAPE, f"the reshape of {group.source} to {group.target} cannot be followed")


def _groups(source: Shape, target: Shape) -> list[_Group]:
    """Match from the end by equal products, then from the front by equal sizes; the rest is one group."""
    i, j, ends = len(source), len(target), []
    while (cut := _last_match(source[:i], target[:j])) is not None:
        ends.append(_Group(source[cut[0] : i], target[cut[1] : j]))
        i, j = cut
    front = 0
    while front < min(i, j) and source[front] is not None and source[front] == target[front]:
        front += 1
    starts = [_Group((source[k],), (target[k],)) for k in range(front)]
    middle = [_Group(source[front:i], target[front:j])] if front < max(i, j) else []
    return [*starts, *middle, *reversed(ends)]


def _last_match(source: Shape, target: Shape) -> tuple[int, int] | None:
    """Where the shortest ends with the same number of elements begin."""
    if not source or not target:
        return None
    i, j = len(source) - 1, len(target) - 1
    if source[i] is not None and source[i] == target[j]:
        return i, j
    while (left := _product(source[i:])) and (right := _product(target[j:])):
        if left == right:
            return i, j
        if left < right:
            i -= 1
        else:
            j -= 1
        if i < 0 or j < 0:
            return None
    return None


def _product(dims: Shape) -> int | None:
    return math.prod(_ints(dims)) if all(isinstance(dim, int) for dim in dims) else None


def _ints(dims: tuple[Dim, ...]) -> list[int]:
    return [dim for dim in dims if isinstance(dim, int)]
