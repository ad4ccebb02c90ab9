"""Robust: z = (x − median) / scale, and then a clip without corners: z / √(1 + (z/3)²).

Between −1 and 1 it is nearly z itself; nothing is further from 0 than 3. The idea is that of Holzmüller et
al. (2024), "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data".
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LIMIT = 3.0

FAR = 1e9
"""From here on the clip is 3 to the last bit of a float64, and z² is far from overflow."""


class Robust(nn.Module):
    """The columns scaled and smoothly clipped; flags pass through.

    Shape: (batch, columns + flags) → the same.
    """

    centre: Tensor
    scale: Tensor
    bend: Tensor

    def __init__(self, centre: NDArray[np.float64], scale: NDArray[np.float64], flags: int) -> None:
        super().__init__()
        # A flag is scaled by 1 and bent by 0, which changes nothing.
        passing = np.zeros(flags)
        bend = np.full(len(centre), 1 / LIMIT**2)
        self.register_buffer("centre", _float32(np.append(centre, passing)))
        self.register_buffer("scale", _float32(np.append(scale, passing + 1)))
        self.register_buffer("bend", _float32(np.append(bend, passing)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and clip."""
        z = ((x - self.centre) / self.scale).clamp(-FAR, FAR)
        return z / torch.sqrt(z * z * self.bend + 1.0)


def _float32(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
