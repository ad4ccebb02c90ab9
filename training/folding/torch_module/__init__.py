"""Fold the normalisations of any PyTorch module: traced, searched, rewritten, proved.

    module → copy (`twin`) → graph of ATen operations (`capture`, one for each branch on shape: `variants`)
    → constants and their exact values (`constants`) → affines (`sites`) → moved into linear neighbours
    (`backward`, `forward`, by `axes`, `crossings`, `layers`, `contractions`) → stored (`storing`) → `proof`

A module that cannot be traced is folded child by child (`children`).
"""

from training.folding.torch_module.folding import fold_module
from training.folding.torch_module.result import FoldedModule

__all__ = ["FoldedModule", "fold_module"]
