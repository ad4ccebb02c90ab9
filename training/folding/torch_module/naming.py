"""Who a node is and who uses it: module paths from the export, and users that read values, not sizes."""

from __future__ import annotations

import re

import torch
from torch.fx import Node

SIZES_ONLY = frozenset(
    {torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default, torch.ops.aten.sym_stride.int}
)
"""Operations that ask a tensor for its shape; folding does not change the answer."""


def value_users(node: Node) -> set[Node]:
    """The users that read the values of a node."""
    return {user for user in node.users if user.target not in SIZES_ONLY}


def module_path(node: Node) -> str:
    """The name of the innermost module that made a node, or the node's own name at the top."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((str(path) for path, _ in reversed(stack.values())), "")
    return path.removeprefix("L['self'].") or re.sub(
        r"^_native(_batch_norm)[a-z_]*?(_\d+)?$", r"batch_norm\2", node.name
    )
