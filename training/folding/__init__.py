"""Fold every normalisation into its linear neighbour, in float64, with a reason for each one left.

The algebra is in `affine`, what happened is in `report`; `torch_module` folds PyTorch modules.
"""

from training.folding.affine import Affine, amplification, into_next, into_previous, to_float32
from training.folding.report import FoldEntry, FoldError, FoldReport, Reason

__all__ = [
    "Affine",
    "FoldEntry",
    "FoldError",
    "FoldReport",
    "Reason",
    "amplification",
    "into_next",
    "into_previous",
    "to_float32",
]
