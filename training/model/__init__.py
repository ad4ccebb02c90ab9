"""The multilayer perceptron with Batch Normalization, and the affine maps around it.

layers    what is ours: the normalisations, categories, the residual step
network   the whole that is learnt and folded
"""

from training.model.layers import BatchNorm, Categories, Exponential, Residual, Standardiser, TargetScale
from training.model.network import Network, build_core, build_network

__all__ = [
    "BatchNorm",
    "Categories",
    "Exponential",
    "Network",
    "Residual",
    "Standardiser",
    "TargetScale",
    "build_core",
    "build_network",
]
