"""PerFeature: a small linear layer and ReLU for each feature.

Each feature learns its own function of one number before the first layer that sees all of them (Gorishniy
et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning", the "LR" of section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = 16


class PerFeature(nn.Module):
    """relu(W_j·x_j + b_j) of each feature j; flags pass through, and other numbers that are never below 0.

    While it trains all features are one batched product: each is filled up with zeros to the longest. The
    weights that meet these zeros get no gradient and stay at 0. Weights and biases both start uniformly
    between ±1/√size, decay, and learn at `rate_scale` times the rate where that is given.

    Args:
        sizes: how many components each feature has.
        flags: how many numbers behind them pass.

    Shape: (batch, sum of sizes + flags) → (batch, features · outputs + flags); weight is (features, longest,
    outputs), bias (features, 1, outputs).
    """

    rate_scale: float
    decay_scale: float = 1.0
    places: Tensor | None

    def __init__(
        self,
        sizes: Sequence[int],
        flags: int,
        generator: torch.Generator,
        *,
        outputs: int = OUTPUTS,
        rate_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.sizes, self.flags, self.outputs = tuple(sizes), flags, outputs
        if rate_scale is not None:
            self.rate_scale = rate_scale
        self.weight = nn.Parameter(torch.empty(len(self.sizes), max(sizes), outputs))
        self.bias = nn.Parameter(torch.empty(len(self.sizes), 1, outputs))
        self.draw(generator)
        used = self._used()
        self.register_buffer("places", None if used.all() else _places(used))

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Begin anew."""
        bound = self._used()[:, :, None] * torch.tensor(self.sizes).rsqrt()[:, None, None]
        self.weight.uniform_(-1, 1, generator=generator).mul_(bound)
        self.bias.uniform_(-1, 1, generator=generator).mul_(bound[:, :1])

    def _used(self) -> Tensor:
        """Which places of the filled-up features hold a component. Shape: (features, longest)."""
        return torch.arange(max(self.sizes)) < torch.tensor(self.sizes)[:, None]

    @property
    def inputs(self) -> int:
        """Components of all features, and flags."""
        return sum(self.sizes) + self.flags

    @property
    def width(self) -> int:
        """Columns that it gives."""
        return len(self.sizes) * self.outputs + self.flags

    def forward(self, x: Tensor) -> Tensor:
        """All features at once."""
        features, longest, outputs = self.weight.shape
        components = x if not self.flags else x[:, : -self.flags]
        if self.places is not None:
            components = functional.pad(components, (0, 1)).index_select(1, self.places)
        by_feature = components.reshape(-1, features, longest).transpose(0, 1)
        learned = torch.baddbmm(self.bias, by_feature, self.weight).relu()
        flat = learned.transpose(0, 1).reshape(-1, features * outputs)
        return torch.cat([flat, x[:, -self.flags :]], dim=1) if self.flags else flat

    @torch.no_grad()
    def plain(self) -> nn.Sequential:
        """The same map as one linear layer, block by block, and ReLU, which what passes is never below."""
        linear: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, self.inputs, self.width, device=self.weight.device, dtype=self.weight.dtype
        )
        linear.weight.zero_()
        linear.bias.zero_()
        linear.bias[: self.bias.numel()] = self.bias.flatten()
        start = 0
        for j, size in enumerate(self.sizes):
            rows = slice(j * self.outputs, (j + 1) * self.outputs)
            linear.weight[rows, start : start + size] = self.weight[j, :size].T
            start += size
        if self.flags:
            linear.weight[-self.flags :, -self.flags :].fill_diagonal_(1.0)
        return nn.Sequential(linear, nn.ReLU())


def _places(used: Tensor) -> Tensor:
    """For each place of the filled-up features its component; after the last of them is a zero."""
    count = int(used.sum())
    places = torch.full(used.shape, count)
    places[used] = torch.arange(count)
    return places.flatten()
