"""Reading and changing the arguments of ATen operators by the names in their schemas."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node


def argument(node: Node, name: str) -> Any:
    """The value of an argument, its default when it was not given."""
    for position, known in enumerate(_schema(node).arguments):
        if known.name == name:
            if name in node.kwargs:
                return node.kwargs[name]
            return node.args[position] if position < len(node.args) else known.default_value
    raise KeyError(f"{node.target} has no argument {name}")


def set_argument(node: Node, name: str, value: Any) -> None:
    """Replaces one argument."""
    for position, known in enumerate(_schema(node).arguments):
        if known.name == name and position < len(node.args):
            node.update_arg(position, value)
            return
    node.update_kwarg(name, value)


def is_call(node: object, *targets: object) -> bool:
    """Whether a node calls one of these functions."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in targets


def _schema(node: Node) -> Any:
    assert isinstance(node.target, torch._ops.OpOverload)  # noqa: S101 - the tables hold nothing else
    return node.target._schema
