"""Folding ONNX graphs of any origin.

constants and weights (what is stored) → forms (what is a normalisation) → passages (through what it may
move) → linear and bias (what can take it) → backward and forward (the plans) → workspace (the edits) →
journal (the report).
"""

from training.folding.onnx_graph.file import FoldedFile, fold_file, read_model
from training.folding.onnx_graph.model import BrokenPromiseError, FoldedModel, InvalidModelError, fold_onnx

__all__ = [
    "BrokenPromiseError",
    "FoldedFile",
    "FoldedModel",
    "InvalidModelError",
    "fold_file",
    "fold_onnx",
    "read_model",
]
