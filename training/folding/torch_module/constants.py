"""The constants of a graph: which nodes are, what they are worth exactly, and the new ones a fold makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from training.folding.affine import Array
from training.folding.torch_module.rounding import as_double, from_tensor, rounded


@dataclass(frozen=True, eq=False)
class NewConstant:
    """A constant that a fold made, exact until the end.

    Attributes:
        target: the name the graph knows it by until the end.
        hint: the name it would like to have then.
        value: its exact value.
        dtype, device: what it will be stored as.
        trainable: whether the parameter it came from was.
    """

    target: str
    hint: str
    value: Array
    dtype: torch.dtype
    device: torch.device
    trainable: bool

    def stored(self) -> torch.Tensor:
        """The tensor that is stored: rounded once."""
        return rounded(self.value, self.dtype).to(self.device)


class Constants:
    """Values of the constant nodes of one graph.

    A node is constant when it is a parameter or buffer that nothing writes to, or computed from such alone:
    a weight under `weight_norm` is as constant as a plain one. Expressions are evaluated in float64.
    """

    def __init__(self, module: GraphModule) -> None:
        self._module = module
        self._tensors = dict(_tensors(module))
        self._written = {
            argument.target
            for node in module.graph.nodes
            for argument in _written_arguments(node)
            if argument.op == "get_attr"
        }
        self._known: dict[Node, bool] = {}
        self.new: dict[str, NewConstant] = {}

    def is_constant(self, node: object) -> bool:
        """Whether a node's value is the same at every call."""
        if not isinstance(node, Node):
            return False
        if node not in self._known:
            self._known[node] = self._decide(node)
        return self._known[node]

    def value(self, node: Node) -> Array:
        """The exact value of a constant node."""
        if node.op == "get_attr" and node.target in self.new:
            return self.new[str(node.target)].value
        return from_tensor(self._double(node))

    def device(self, node: Node) -> torch.device:
        """Where a tensor lives; new constants have no tensor yet."""
        made = self.new.get(str(node.target)) if node.op == "get_attr" else None
        device: torch.device = made.device if made else node.meta["val"].device
        return device

    def origins(self, node: Node) -> Iterator[str]:
        """The names of the parameters a constant is computed from."""
        if node.op == "get_attr":
            yield str(node.target)
        for argument in node.all_input_nodes:
            yield from self.origins(argument)

    def trainable(self, node: Node) -> bool:
        """Whether any parameter that a constant is computed from is trained."""
        names = list(self.origins(node)) if self.is_constant(node) else []
        return any(self.new[n].trainable if n in self.new else self._tensors[n].requires_grad for n in names)

    def add(self, before: Node, constant: NewConstant) -> Node:
        """A new constant in the graph, in front of `before`."""
        self.new[constant.target] = constant
        with before.graph.inserting_before(before):
            node = before.graph.create_node("get_attr", constant.target)
        node.meta["val"] = torch.empty(constant.value.shape, dtype=constant.dtype, device="meta")
        self._known[node] = True
        return node

    def _decide(self, node: Node) -> bool:
        if node.op == "get_attr":
            return node.target in self._tensors and node.target not in self._written
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            return False
        if node.target._schema.is_mutable or torch.Tag.nondeterministic_seeded in node.target.tags:
            return False
        if not isinstance(node.meta.get("val"), torch.Tensor):
            return False
        return all(self.is_constant(argument) for argument in node.all_input_nodes)

    def _double(self, node: Node) -> torch.Tensor:
        if node.op == "get_attr":
            name = str(node.target)
            return as_double(self.new[name].value) if name in self.new else _widened(self._tensors[name])
        args: tuple[Any, ...] = map_arg(node.args, self._double)
        kwargs: dict[str, Any] = dict(map_arg(node.kwargs, self._double))
        if node.target is torch.ops.aten._to_copy.default and _keeps_value(node):
            return _widened(args[0])
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        with torch.no_grad():
            return _widened(node.target(*args, **kwargs))  # type: ignore[operator]


def _keeps_value(cast: Node) -> bool:
    """Whether a cast goes to a type at least as wide, so that its exact result is its argument."""
    before, after = cast.all_input_nodes[0].meta["val"].dtype, cast.meta["val"].dtype
    return bool(before.is_floating_point and torch.promote_types(before, after) == after)


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    return tensor.double() if tensor.is_floating_point() else tensor


def _tensors(module: GraphModule) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor a graph can name: parameters, buffers and plain attributes."""
    for prefix, child in module.named_modules(remove_duplicate=False):
        for name, value in (*child._parameters.items(), *child._buffers.items(), *vars(child).items()):
            if isinstance(value, torch.Tensor):
                yield f"{prefix}.{name}" if prefix else name, value


def _written_arguments(node: Node) -> Iterator[Node]:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return
    for argument, value in zip(node.target._schema.arguments, node.args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, Node):
            yield value
