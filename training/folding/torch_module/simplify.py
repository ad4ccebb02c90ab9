"""Before the search: products with a constant matrix become linear layers, which have a bias to fold into."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, Node

from training.folding.torch_module.axes import dims
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.operators import argument, is_call

aten = torch.ops.aten


def simplify(graph: Graph, constants: Constants) -> None:
    """x @ W becomes linear(x, Wᵀ); addmm(c, x, W) becomes linear(x, α·Wᵀ) + β·c."""
    for node in list(graph.nodes):
        if is_call(node, aten.matmul.default, aten.mm.default) and _plain(
            node.args[0], node.args[1], constants
        ):
            _replace(graph, node, _linear(graph, node, node.args[0], node.args[1]))
        elif is_call(node, aten.addmm.default) and _plain(
            argument(node, "mat1"), argument(node, "mat2"), constants
        ):
            _replace(graph, node, _addmm(graph, node))


def _plain(operand: Any, weight: Any, constants: Constants) -> bool:
    return (
        constants.is_constant(weight)
        and not constants.is_constant(operand)
        and len(dims(weight)) == 2
        and len(dims(operand)) >= 2
    )


def _linear(graph: Graph, node: Node, operand: Any, weight: Any) -> Node:
    with graph.inserting_before(node):
        turned = graph.call_function(aten.t.default, (weight,))
        turned.meta["val"] = weight.meta["val"].t()
        linear = graph.call_function(aten.linear.default, (operand, turned))
    linear.meta = dict(node.meta)
    return linear


def _addmm(graph: Graph, node: Node) -> Node:
    start, alpha, beta = (argument(node, key) for key in ("self", "alpha", "beta"))
    product = _linear(graph, node, argument(node, "mat1"), argument(node, "mat2"))
    product = _times(graph, node, product, alpha)
    start = _times(graph, node, start, beta)
    with graph.inserting_before(node):
        total = graph.call_function(aten.add.Tensor, (product, start))
    total.meta = dict(node.meta)
    return total


def _times(graph: Graph, node: Node, tensor: Node, factor: float) -> Node:
    if factor == 1:
        return tensor
    with graph.inserting_before(node):
        product = graph.call_function(aten.mul.Tensor, (tensor, factor))
    product.meta = {**node.meta, "val": tensor.meta["val"]}
    return product


def _replace(graph: Graph, node: Node, by: Node) -> None:
    node.replace_all_uses_with(by)
    graph.erase_node(node)
