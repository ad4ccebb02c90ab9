"""Fold every normalisation into its linear neighbour, in float64, with a reason for each one left.

The algebra is in `affine`, long numbers in `precise`, what happened in `report`; `onnx_graph` folds ONNX
files and needs no torch; `torch_module` folds PyTorch modules and is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from training.folding.affine import Affine, amplification, into_next, into_previous, to_float32
from training.folding.onnx_graph import FoldedModel, fold_onnx
from training.folding.report import FoldEntry, FoldError, FoldReport, Reason

if TYPE_CHECKING:
    from training.folding.torch_module import FoldedModule, fold_module

__all__ = [
    "Affine",
    "FoldEntry",
    "FoldError",
    "FoldReport",
    "FoldedModel",
    "FoldedModule",
    "Reason",
    "amplification",
    "fold_module",
    "fold_onnx",
    "into_next",
    "into_previous",
    "to_float32",
]

_NEED_TORCH = ("FoldedModule", "fold_module")


def __getattr__(name: str) -> Any:
    if name in _NEED_TORCH:
        from training.folding import torch_module

        return getattr(torch_module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
