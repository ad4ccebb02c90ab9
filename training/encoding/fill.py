"""Fill: a missing number becomes a value, and a flag says that it was missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.errors import ConfigError


class Fill(nn.Module):
    """NaN → the value of its column; one flag, 1 where it was NaN, for each flagged column.

    A column in which training saw no missing value has no flag, for its weights would be random.

    Attributes:
        accepts_missing: whether NaN may come; without it nothing is done.

    Shape: (batch, columns) → (batch, columns + flags), flags in the order of their columns.

    Raises:
        ConfigError: columns are flagged though nothing may be missing.
    """

    values: Tensor
    flagged: Tensor

    def __init__(
        self, values: NDArray[np.float32], flagged: Sequence[int] = (), *, accepts_missing: bool = True
    ) -> None:
        super().__init__()
        if len(flagged) and not accepts_missing:
            raise ConfigError(f"columns {list(flagged)} lacked values in training: NaN must be accepted")
        self.accepts_missing = accepts_missing
        self.register_buffer("values", torch.from_numpy(values.astype(np.float32)))
        self.register_buffer("flagged", torch.tensor([int(column) for column in flagged], dtype=torch.int64))

    @property
    def flags(self) -> int:
        """How many columns have a flag."""
        return len(self.flagged)

    @property
    def width(self) -> int:
        """Columns and flags."""
        return len(self.values) + self.flags

    def forward(self, x: Tensor) -> Tensor:
        """Fill, and append the flags."""
        if not self.accepts_missing:
            return x
        missing = torch.isnan(x)
        filled = torch.where(missing, self.values, x)
        if not self.flags:
            return filled
        return torch.cat([filled, missing.index_select(1, self.flagged).to(filled.dtype)], dim=1)
