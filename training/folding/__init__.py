"""Fold every normalisation into its linear neighbour, in float64, with a reason for each one left.

The algebra is in `affine`, long numbers in `precise`, what happened in `report`; `onnx_graph` folds ONNX
files and `torch_module` folds PyTorch modules.
"""

from training.folding.affine import Affine, amplification, into_next, into_previous, to_float32
from training.folding.onnx_graph import FoldedModel, fold_onnx
from training.folding.report import FoldEntry, FoldError, FoldReport, Reason

__all__ = [
    "Affine",
    "FoldEntry",
    "FoldError",
    "FoldReport",
    "FoldedModel",
    "Reason",
    "amplification",
    "fold_onnx",
    "into_next",
    "into_previous",
    "to_float32",
]
