"""Changes to a graph as data: planned by the walkers, applied together or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.fx import Graph, Node

from training.folding.affine import Array
from training.folding.report import Reason
from training.folding.torch_module.constants import Constants, NewConstant
from training.folding.torch_module.naming import module_path
from training.folding.torch_module.operators import set_argument
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.rounding import fits

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Swap:
    """`user` takes this value where it took the constant `old`, or as its `argument` when it took none."""

    user: Node
    argument: str
    old: Node | None
    value: Array
    like: Node


@dataclass(frozen=True, eq=False)
class AddAfter:
    """A constant is added to the result of `node`."""

    node: Node
    value: Array


Edit = Swap | AddAfter


class Editor:
    """Applies edits to one graph; every new value is a new constant, so nothing shared is written to."""

    def __init__(self, graph: Graph, constants: Constants) -> None:
        self._graph = graph
        self._constants = constants

    def check(self, edits: list[Edit]) -> None:
        """Whether every value fits in the type it will be stored in.

        Raises:
            Blocked: one does not.
        """
        for edit in edits:
            dtype = _dtype(edit.like if isinstance(edit, Swap) else edit.node)
            if not fits(edit.value, dtype):
                raise Blocked(Reason.OUT_OF_RANGE, f"a result is outside the range of {dtype}")

    def apply(self, edits: list[Edit]) -> None:
        """Applies all of them."""
        for edit in edits:
            if isinstance(edit, Swap):
                self._swap(edit)
            else:
                self._add_after(edit)

    def bypass(self, nodes: tuple[Node, ...], source: Node, centre: Array | None = None) -> None:
        """Takes a run of operations out; with a centre, one subtraction of it stays."""
        last = nodes[-1]
        result = source
        if centre is not None:
            constant = self._new(last, centre, source, f"{module_path(last)}.centre")
            with self._graph.inserting_before(last):
                result = self._graph.call_function(aten.sub.Tensor, (source, constant))
            result.meta = {**last.meta, "val": source.meta["val"]}
        if _dtype(source) != _dtype(last):
            with self._graph.inserting_before(last):
                result = self._graph.call_function(aten._to_copy.default, (result,), {"dtype": _dtype(last)})
            result.meta = dict(last.meta)
        last.replace_all_uses_with(result)
        for node in reversed(nodes):
            for user in list(node.users):
                self._graph.erase_node(user)  # sizes asked of an operation that is gone, never used
            self._graph.erase_node(node)

    def _swap(self, edit: Swap) -> None:
        new = self._new(edit.user, edit.value, edit.like, self._hint(edit))
        if edit.old is None:
            set_argument(edit.user, edit.argument, new)
        else:
            edit.user.replace_input_with(edit.old, new)

    def _add_after(self, edit: AddAfter) -> None:
        following = edit.node.next
        constant = self._new(following, edit.value, edit.node, f"{module_path(edit.node)}.shift")
        with self._graph.inserting_before(following):
            total = self._graph.call_function(aten.add.Tensor, (edit.node, constant))
        total.meta = dict(edit.node.meta)
        edit.node.replace_all_uses_with(total, delete_user_cb=lambda user: user is not total)

    def _new(self, before: Node, value: Array, like: Node, hint: str) -> Node:
        constants = self._constants
        target = f"_folded_{len(constants.new)}"
        stored_as = _dtype(like), constants.device(like), constants.trainable(like)
        return constants.add(before, NewConstant(target, hint, np.array(value), *stored_as))

    def _hint(self, edit: Swap) -> str:
        """A name for the new constant: that of the one it replaces, or of the argument of its layer."""
        if edit.old is not None and edit.old.op == "get_attr":
            target = str(edit.old.target)
            return self._constants.new[target].hint if target in self._constants.new else target
        path = module_path(edit.user)
        return edit.argument if path == edit.user.name else f"{path}.{edit.argument}"


def _dtype(node: Node) -> torch.dtype:
    value: torch.Tensor = node.meta["val"]
    return value.dtype
