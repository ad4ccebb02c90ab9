"""What is tidied when all folds are made: a product and its added bias, in two dimensions, are one Gemm."""

from __future__ import annotations

import onnx_ir as ir

from training.folding.onnx_graph.bias import AddedBias
from training.folding.onnx_graph.forms import Form
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.weights import Weights
from training.folding.onnx_graph.workspace import Workspace


def join_added_biases(workspace: Workspace) -> None:
    """MatMul + Add → Gemm, for every MatMul that took something over: one node less, the same numbers."""
    for node in sorted(workspace.touched, key=lambda node: node.name or ""):
        if node.graph is None or node.op_type != "MatMul" or not _is_flat(workspace, node):
            continue
        form = AddedBias().form(workspace, node)
        if form is not None:
            _join(workspace, node, form)


def _is_flat(workspace: Workspace, node: ir.Node) -> bool:
    try:
        return all(workspace.rank(value) == 2 for value in node.inputs)
    except Refused:
        return False


def _join(workspace: Workspace, node: ir.Node, form: Form) -> None:
    added = form.node.inputs[1 - form.data]
    old = workspace.constants.weights(added)
    name = workspace.unique(f"{node.name}_gemm")
    gemm = ir.Node("", "Gemm", [*node.inputs, added], num_outputs=1, name=name)
    gemm.outputs[0].name = workspace.unique(f"{node.outputs[0].name}_gemm")
    if workspace.opset < 7:
        gemm.attributes.add(ir.AttrInt64("broadcast", 1))
    workspace.replace([node, form.node], gemm, form.result)
    if form.node.op_type == "Sub":
        workspace.set_weights(gemm, 2, Weights.of(form.spread.shift, old.dtype, old.name))
