"""Periodic: sines and cosines of learned frequencies, then a linear layer and ReLU for each feature.

"PLR" of Gorishniy et al. (2022), "On Embeddings for Numerical Features in Tabular Deep Learning", section
3.3: for each feature sin(2π·f·x) and cos(2π·f·x), with frequencies f that start from N(0, σ²).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.encoding.per_feature import PerFeature

FREQUENCIES = 24
SIGMA = 0.3


class Sinusoids(nn.Module):
    """For each feature the sines, then the cosines; flags pass through.

    Shape: (batch, features + flags) → (batch, features · 2 · frequencies + flags); angular is (features,
    frequencies).
    """

    angular: Tensor

    def __init__(self, angular: Tensor) -> None:
        super().__init__()
        self.register_buffer("angular", angular)

    def forward(self, x: Tensor) -> Tensor:
        """Sines and cosines."""
        return _sinusoids(x, self.angular)


class Waves(nn.Module):
    """The same with frequencies that learn; they do not decay, for a low frequency is no simpler answer.

    Shape: frequencies is (features, frequencies).
    """

    decay_scale = 0.0

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(features, FREQUENCIES))
        self.draw(generator)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Begin anew."""
        self.frequencies.normal_(0, SIGMA, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Sines and cosines."""
        return _sinusoids(x, 2 * math.pi * self.frequencies)

    @torch.no_grad()
    def plain(self) -> Sinusoids:
        """With the frequencies that it has now."""
        return Sinusoids(2 * math.pi * self.frequencies)


class Periodic(nn.Sequential):
    """Waves, then a linear layer and ReLU for each feature. All of it learns at `rate_scale` times the rate.

    Shape: (batch, features + flags) → (batch, features · outputs + flags).
    """

    rate_scale: float = 1.0

    def __init__(self, features: int, flags: int, generator: torch.Generator) -> None:
        waves = Waves(features, generator)
        linear = PerFeature((2 * FREQUENCIES,) * features, flags, generator)
        super().__init__(waves, linear)
        self.width = linear.width


def _sinusoids(x: Tensor, angular: Tensor) -> Tensor:
    features = len(angular)
    phase = x[:, :features, None] * angular
    waves = torch.cat([phase.sin(), phase.cos()], dim=2).reshape(-1, 2 * angular.numel())
    return torch.cat([waves, x[:, features:]], dim=1) if x.shape[1] > features else waves
