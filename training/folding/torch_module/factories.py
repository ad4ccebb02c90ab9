"""Tensors a graph makes itself follow its inputs: zeros of their type and device, not of those once traced.

`torch.zeros(n, dtype=x.dtype, device=x.device)` is traced as float32 on the CPU; after `.to(...)` the graph
would mix types. Where the type is that of an input, the tensor is made like that input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, Node

from training.folding.torch_module.operators import argument

aten = torch.ops.aten

LIKE_INPUT: dict[Any, tuple[Any, tuple[str, ...]]] = {
    aten.zeros.default: (aten.new_zeros.default, ("size",)),
    aten.ones.default: (aten.new_ones.default, ("size",)),
    aten.full.default: (aten.new_full.default, ("size", "fill_value")),
}
"""Operation → the one that takes type and device from a tensor, and the arguments both have."""


def follow_inputs(graph: Graph) -> None:
    """Rewrites what can be rewritten."""
    inputs = [n for n in graph.nodes if n.op == "placeholder" and isinstance(n.meta.get("val"), torch.Tensor)]
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target in LIKE_INPUT:
            like = next((n for n in inputs if _alike(n, node)), None)
            if like is not None:
                _rewrite(graph, node, like)


def _alike(a: Node, b: Node) -> bool:
    left, right = a.meta["val"], b.meta["val"]
    return bool(left.dtype == right.dtype and left.device == right.device)


def _rewrite(graph: Graph, node: Node, like: Node) -> None:
    target, names = LIKE_INPUT[node.target]
    with graph.inserting_before(node):
        made = graph.call_function(target, (like, *(argument(node, name) for name in names)))
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made)
    graph.erase_node(node)
