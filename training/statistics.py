"""Exact running statistics: what a normalisation sees over all training rows, once training is over.

Averages kept during training lag behind the weights and, on tables, ruin a good network. So each layer's
mean and variance are computed again over the training rows, layer by layer, every layer before it already
using its own exact statistics (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from training.model import BatchNorm

CHUNK = 8192


@torch.no_grad()
def reestimate_exactly(core: nn.Sequential, rows: Tensor) -> None:
    """Set the running statistics of every BatchNorm to the population's, computed in float64.

    Shape: rows (rows, features), standardised.
    """
    precise = copy.deepcopy(core).double()
    reestimate(precise, rows)
    for layer, exact in zip(_norms(core), _norms(precise), strict=True):
        layer.running_mean.copy_(exact.running_mean)
        layer.running_var.copy_(exact.running_var)


@torch.no_grad()
def reestimate(core: nn.Sequential, rows: Tensor) -> None:
    """The same in the precision of the network's parameters; only the sums are in float64."""
    was_training = core.training
    core.eval()
    for index, layer in enumerate(core):
        if isinstance(layer, BatchNorm):
            mean, var = _population(nn.Sequential(*list(core)[:index]), layer, rows)
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(var)
    core.train(was_training)


def _norms(core: nn.Sequential) -> list[BatchNorm]:
    return [layer for layer in core if isinstance(layer, BatchNorm)]


def _population(before: nn.Sequential, layer: BatchNorm, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the layer's input, merged chunk by chunk (Chan, Golub & LeVeque 1979)."""
    axes = (0,) if layer.moments == "feature" else (0, 1)
    count, mean, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for chunk in torch.split(rows, CHUNK):
        values = before(chunk.to(layer.weight.dtype)).double()
        size = len(values) if layer.moments == "feature" else values.numel()
        var, centre = torch.var_mean(values, dim=axes, correction=0)
        shift = centre - mean
        total = count + size
        mean = mean + shift * (size / total)
        squares = squares + var * size + shift**2 * (count * size / total)
        count = total
    return mean, squares / count
