"""Whether a convolution adds zeros around its input, which a shift in front of it would not reach."""

from __future__ import annotations

import onnx_ir as ir

from training.folding.onnx_graph.attributes import ints_attribute, string_attribute
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.workspace import Workspace


def effective_padding(workspace: Workspace, node: ir.Node, kernel: tuple[int, ...]) -> str:
    """Why the border differs from the middle, or "": `auto_pad` is resolved where sizes are known."""
    if node.op_type == "DeformConv":
        return "samples zeros outside its input"
    mode = string_attribute(node, "auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        return "pads with zeros" if any(ints_attribute(node, "pads") or ()) else ""
    if mode == "VALID":
        return ""
    return "" if _same_adds_nothing(workspace, node, kernel) else f"pads with zeros ({mode})"


def _same_adds_nothing(workspace: Workspace, node: ir.Node, kernel: tuple[int, ...]) -> bool:
    """SAME pads max((⌈size / stride⌉ − 1)·stride + reach − size, 0) along each axis."""
    strides = ints_attribute(node, "strides") or (1,) * len(kernel)
    dilations = ints_attribute(node, "dilations") or (1,) * len(kernel)
    try:
        sizes = workspace.shape(node.inputs[0])[2:]
    except Refused:
        sizes = (None,) * len(kernel)
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (taps - 1) * dilation + 1
        if reach == 1:
            continue
        if not isinstance(size, int) or (-(-size // stride) - 1) * stride + reach > size:
            return False
    return True
