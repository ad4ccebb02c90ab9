"""Places: where a row lies on the plane of two columns, by waves that cross the plane in all directions.

    1 + sin(2π f·z + φ),   z = both columns, scaled robustly and clipped at ±4,   φ = 0 and a quarter turn

The directions of f are drawn uniformly, its lengths log-uniformly (random Fourier features, Rahimi & Recht
2007): a sum of such waves is any smooth function on the plane, which bins of each column alone are not. No
number is below 0, so that a ReLU behind them lets them pass. Frequencies that learn gained nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.encoding.scales import Scales

FREQUENCIES = 64
"""Of each pair; each gives two columns."""

SLOWEST, FASTEST = 0.5, 32.0
"""Waves per unit of z."""

LIMIT = 4.0


class Places(nn.Module):
    """The waves of each pair of columns.

    Attributes:
        pairs: the columns that are places together.
        width: the columns that it gives.

    Args:
        scales: of all columns, robust ones.

    Shape: (batch, at least the columns) → (batch, width).
    """

    columns: Tensor
    centre: Tensor
    scale: Tensor
    place: Tensor
    angular: Tensor
    phase: Tensor

    def __init__(self, pairs: Sequence[tuple[int, int]], scales: Scales, generator: torch.Generator) -> None:
        super().__init__()
        self.pairs = tuple(pairs)
        columns = [column for pair in pairs for column in pair]
        self.width = 2 * FREQUENCIES * len(pairs)
        self.register_buffer("columns", torch.tensor(columns))
        self.register_buffer("centre", _float32(scales.centre[columns]))
        self.register_buffer("scale", _float32(scales.scale[columns]))
        firsts = 2 * torch.arange(len(pairs)).repeat_interleave(2 * FREQUENCIES)
        self.register_buffer("place", torch.stack([firsts, firsts + 1]))
        self.register_buffer("angular", torch.cat([_drawn(generator) for _ in pairs], dim=1))
        quarters = torch.tensor([0.0, math.pi / 2]).repeat_interleave(FREQUENCIES)
        self.register_buffer("phase", quarters.repeat(len(pairs)))

    def forward(self, x: Tensor) -> Tensor:
        """Encode. Products one by one: a Gemm in the file is a linear layer of the network."""
        z = x.index_select(1, self.columns).sub(self.centre).div(self.scale).clamp(-LIMIT, LIMIT)
        one = z.index_select(1, self.place[0]) * self.angular[0]
        other = z.index_select(1, self.place[1]) * self.angular[1]
        return (one + other + self.phase).sin() + 1.0


class WithPlaces(nn.Module):
    """What another encoding gives of all columns, and the waves behind it.

    Shape: (batch, columns + flags) → (batch, width).
    """

    def __init__(self, each: nn.Module, width: int, places: Places) -> None:
        super().__init__()
        self.each, self.places = each, places
        self.width = width + places.width

    def forward(self, x: Tensor) -> Tensor:
        """Both, side by side."""
        return torch.cat([self.each(x), self.places(x)], dim=1)


def _drawn(generator: torch.Generator) -> Tensor:
    """2π f of one pair, once for the sines and once for the cosines. Shape: (2, 2 · frequencies)."""
    way = 2 * math.pi * torch.rand(FREQUENCIES, generator=generator)
    share = torch.rand(FREQUENCIES, generator=generator)
    length = 2 * math.pi * SLOWEST * (FASTEST / SLOWEST) ** share
    return torch.stack([way.cos() * length, way.sin() * length]).repeat(1, 2)


def _float32(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
