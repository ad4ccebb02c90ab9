"""Into the layer before: a field walks up from its site until every path ends in something linear.

Each tensor on the way must be used by nothing else. A concat sends each producer its part; a sum sends every
producer the scale and one of them the shift. Either all paths end well or nothing is changed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from training.folding.report import Reason
from training.folding.torch_module import axes
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.contractions import contraction_of
from training.folding.torch_module.crossings import crossing
from training.folding.torch_module.edits import AddAfter, Edit, Swap
from training.folding.torch_module.field import Field
from training.folding.torch_module.layers import layer_of
from training.folding.torch_module.naming import value_users
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.refusal import Blocked

aten = torch.ops.aten


class Backward:
    """Plans the edits that make a tensor scale·tensor + shift."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants

    def absorb(self, node: Node, field: Field, user: Node) -> list[Edit]:
        """The edits after which `node` carries the field, as `user` wants it.

        Raises:
            Blocked: some path does not end in a linear layer that is free to change.
        """
        if self._constants.is_constant(node):
            return [self._constant(node, field, user)]
        _used_only_by(node, user)
        for attempt in (self._into_layer, self._into_contraction, self._across):
            edits = attempt(node, field)
            if edits is not None:
                return edits
        join = _JOINS.get(node.target)
        if join is not None:
            return join(self, node, field)
        raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, f"{_operation(node)} is before it")

    def _constant(self, node: Node, field: Field, user: Node) -> Swap:
        rank = field.scale.ndim
        value = axes.aligned(self._constants.value(node), rank)
        return Swap(user, "", node, field.scale * value + field.shift, node)

    def _into_layer(self, node: Node, field: Field) -> list[Edit] | None:
        layer = layer_of(node, self._constants)
        if layer is None:
            return None
        weight, bias = layer.scaled_rows(field)
        old, old_bias = argument(node, "weight"), argument(node, "bias")
        edits: list[Edit] = [Swap(node, "weight", old, weight, old)]
        if old_bias is not None or bias.any():
            edits.append(Swap(node, "bias", old_bias, bias, old_bias if old_bias is not None else old))
        return edits

    def _into_contraction(self, node: Node, field: Field) -> list[Edit] | None:
        if is_call(node, aten.embedding.default):
            return self._into_embedding(node, field)
        product = contraction_of(node, self._constants)
        if product is None:
            return None
        weight, shift = product.scaled_result(field)
        edits: list[Edit] = [Swap(node, "", product.constant, weight, product.constant)]
        return [*edits, AddAfter(node, shift)] if shift.any() else edits

    def _into_embedding(self, node: Node, field: Field) -> list[Edit] | None:
        """A row of the table for each index: every row takes the whole field."""
        table = argument(node, "weight")
        if not self._constants.is_constant(table):
            return None
        value = self._constants.value(table)
        affine = field.along(len(axes.dims(node)) - 1, value.shape[1])
        return [Swap(node, "", table, value * affine.scale + affine.shift, table)]

    def _across(self, node: Node, field: Field) -> list[Edit] | None:
        if is_call(node, operator.getitem) and is_call(node.args[0], *SPLITS):
            return self._from_part(node, field)
        way = crossing(node)
        if way is None:
            return None
        through = node.args[0] if is_call(node, operator.getitem) else node
        assert isinstance(through, Node)  # noqa: S101 - getitem of a node
        if through is not node:
            _used_only_by(through, node)
        return self.absorb(way.operand, way.back(field), through)

    def _from_part(self, node: Node, field: Field) -> list[Edit]:
        """One part of a split: the other parts stay as they are."""
        split, index = node.args
        assert isinstance(split, Node)  # noqa: S101 - getitem of a split
        assert isinstance(index, int)  # noqa: S101
        whole = split.all_input_nodes[0]
        if sum(is_call(user, operator.getitem) and user.args[1] == index for user in split.users) != 1:
            raise Blocked(Reason.OUTPUT_ALSO_USED, "the part is used twice")
        axis, start = part_of(split, index)
        total = axes.dims(whole)[axis]
        if is_call(split, aten.unbind.int):
            field, size = field.moved(axes.inserted([axis])), 1
        else:
            size = axes.dims(node)[axis]
        scale, shift = (np.broadcast_to(a, _with(a.shape, axis, size)) for a in (field.scale, field.shift))
        whole_part = replace(field, scale=scale, shift=shift)
        placed = whole_part.moved(axes.placed(axis, start, size, total))
        return self.absorb(whole, placed, split)

    def concat(self, node: Node, field: Field) -> list[Edit]:
        """Each producer takes its part of the field."""
        parts = _tensors(node)
        axis = argument(node, "dim") % len(axes.dims(node))
        if len(set(parts)) != len(parts):
            raise Blocked(Reason.OUTPUT_ALSO_USED, "one tensor is concatenated twice")
        edits: list[Edit] = []
        for part, start in zip(parts, starts(node, parts, axis), strict=True):
            size = axes.dims(part)[axis]
            edits += self.absorb(part, field.moved(_part(axis, start, size)), node)
        return edits

    def stack(self, node: Node, field: Field) -> list[Edit]:
        """Each producer takes its slice of the field."""
        parts = _tensors(node)
        axis = argument(node, "dim") % len(axes.dims(node))
        if len(set(parts)) != len(parts):
            raise Blocked(Reason.OUTPUT_ALSO_USED, "one tensor is stacked twice")
        edits: list[Edit] = []
        for index, part in enumerate(parts):
            move = axes.chained(axes.window(axis, index, 1), axes.without([axis]))
            edits += self.absorb(part, field.moved(move), node)
        return edits

    def sum(self, node: Node, field: Field) -> list[Edit]:
        """Both terms take the scale, one of them the shift."""
        terms = [term for term in node.args[:2] if isinstance(term, Node)]
        if len(terms) != 2:
            raise Blocked(Reason.NO_LINEAR_NEIGHBOUR, f"{_operation(node)} of a number is before it")
        if terms[0] is terms[1]:
            weight = 1 + _factor(node)
            if weight == 0:
                raise Blocked(
                    Reason.NO_LINEAR_NEIGHBOUR, "a difference of one tensor with itself is before it"
                )
            return self.absorb(terms[0], replace(field, shift=field.shift / weight), node)
        first = self.absorb(terms[0], field.moved(_broadcast(terms[0], node)), node)
        rest = field.without_shift().moved(_broadcast(terms[1], node))
        return first + self.absorb(terms[1], rest, node)


def _factor(node: Node) -> float:
    alpha = float(argument(node, "alpha"))
    return -alpha if is_call(node, aten.sub.Tensor) else alpha


def _used_only_by(node: Node, user: Node) -> None:
    others = value_users(node) - {user}
    if any(other.op == "output" for other in others):
        raise Blocked(Reason.GRAPH_OUTPUT, f"{node.name} before it is also an output")
    if others:
        raise Blocked(
            Reason.OUTPUT_ALSO_USED, f"{node.name} before it is also used by {min(o.name for o in others)}"
        )


def _tensors(node: Node) -> list[Node]:
    tensors: Sequence[Node] = argument(node, "tensors")
    return list(tensors)


def starts(node: Node, parts: Sequence[Node], axis: int) -> list[Any]:
    """Where each part of a concat begins along its axis."""
    rank = len(axes.dims(node))
    if any(len(axes.dims(part)) != rank for part in parts):
        raise Blocked(Reason.OTHER_AXIS, "tensors of different rank are concatenated")
    sizes = [axes.dims(part)[axis] for part in parts]
    return [sum(sizes[:i]) for i in range(len(sizes))]


def part_of(split: Node, index: int) -> tuple[int, int]:
    """The axis of a split and where one of its parts begins."""
    whole = split.all_input_nodes[0]
    axis = argument(split, "dim") % len(axes.dims(whole))
    if is_call(split, aten.unbind.int):
        return axis, index
    sizes = [value.shape[axis] for value in split.meta["val"][:index]]
    if not all(isinstance(size, int) for size in (*sizes, axes.dims(whole)[axis])):
        raise Blocked(Reason.OTHER_AXIS, "an axis of free size is split")
    return axis, sum(sizes)


def _part(axis: int, start: Any, size: Any) -> axes.Move:
    move = axes.window(axis, start, size) if isinstance(start, int) else None
    return move or axes.still([axis], "tensors of free size are concatenated")


def _broadcast(term: Node, node: Node) -> axes.Move:
    """From the result of a sum to one term, which may repeat along some axes."""
    before, after = axes.dims(term), axes.dims(node)
    missing = len(after) - len(before)
    grown = [i for i in range(len(after)) if i < missing or (before[i - missing] == 1 and after[i] != 1)]
    return axes.chained(axes.still(grown, "a term is repeated"), axes.without(list(range(missing))))


def _with(shape: tuple[int, ...], axis: int, size: Any) -> tuple[int, ...]:
    return tuple(size if i == axis else n for i, n in enumerate(shape))


def _operation(node: Node) -> str:
    return node.target.__name__ if callable(node.target) else str(node.name)


SPLITS = (
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.split.sizes,
    aten.chunk.default,
    aten.unbind.int,
)

_JOINS: dict[Any, Callable[[Backward, Node, Field], list[Edit]]] = {
    aten.cat.default: Backward.concat,
    aten.stack.default: Backward.stack,
    aten.add.Tensor: Backward.sum,
    aten.sub.Tensor: Backward.sum,
}
