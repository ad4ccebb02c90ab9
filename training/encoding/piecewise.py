"""PiecewiseLinear: how far each bin of a number is filled.

Component i of x over the edges e_0 < … < e_n is clamp((x − e_i) · 1/(e_{i+1} − e_i), 0, 1) (Gorishniy et
al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning", equation 1, here clipped at both
ends). It subtracts before it scales: x/w − e/w would lose every bit of a bin that is thin beside its edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """The components of all columns, one column after the other, then the flags.

    Attributes:
        bins: how many components each column has.
        width: all components and the flags.

    Shape: (batch, columns + flags) → (batch, width).
    """

    column: Tensor
    lower: Tensor
    inverse: Tensor

    def __init__(self, edges: Sequence[NDArray[np.float32]], flags: int) -> None:
        super().__init__()
        self.bins = tuple(len(of_column) - 1 for of_column in edges)
        # A flag is 0 or 1: the only component of a bin from 0 to 1 is the flag itself.
        exact = [of_column.astype(np.float64) for of_column in edges] + [np.array([0.0, 1.0])] * flags
        column = np.repeat(np.arange(len(exact)), [len(of_column) - 1 for of_column in exact])
        inverse = np.concatenate([1 / np.diff(of_column) for of_column in exact])
        self.width = len(column)
        self.register_buffer("column", torch.from_numpy(column.astype(np.int64)))
        self.register_buffer("lower", _float32([of_column[:-1] for of_column in exact]))
        self.register_buffer("inverse", _float32([inverse]))

    def forward(self, x: Tensor) -> Tensor:
        """Encode."""
        return x.index_select(1, self.column).sub(self.lower).mul(self.inverse).clamp(0.0, 1.0)


def _float32(parts: Sequence[NDArray[np.float64]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))
