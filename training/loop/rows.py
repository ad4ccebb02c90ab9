"""Rows: all rows of one purpose, whole tensors in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import DataError


@dataclass(frozen=True, eq=False)
class Rows:
    """What a network takes and should answer.

    Shape: every input (rows, ...), y (rows,) class indices in int64, or values (rows,) or (rows, outputs);
    weight (rows,) or None.

    Raises:
        DataError: the lengths differ, or a weight is negative or not finite.
    """

    inputs: tuple[Tensor, ...]
    y: Tensor
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        lengths = {len(tensor) for tensor in self._tensors()}
        if len(lengths) > 1:
            raise DataError(f"inputs, target and weights have {sorted(lengths)} rows, expected one length")
        weight = self.weight
        if weight is not None and len(weight) and not bool((torch.isfinite(weight) & (weight >= 0)).all()):
            raise DataError("a sample weight is negative or not finite; expected numbers from 0 upwards")

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Tensor, into: Rows | None = None) -> Rows:
        """The rows of an index, in its order.

        Args:
            into: rows of the same kind whose memory they take, at least as many: memory that is given back
                to the system at each step would have to be asked for again.
        """
        if into is not None:
            into = into.slice(0, len(index))
            for source, target in zip(self._tensors(), into._tensors(), strict=True):
                torch.index_select(source, 0, index, out=target)
            return into
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return _unchecked(
            tuple(tensor.index_select(0, index) for tensor in self.inputs),
            self.y.index_select(0, index),
            weight,
        )

    def slice(self, start: int, stop: int) -> Rows:
        """The rows from start to stop; no copy."""
        weight = None if self.weight is None else self.weight[start:stop]
        return _unchecked(tuple([tensor[start:stop] for tensor in self.inputs]), self.y[start:stop], weight)

    @property
    def bytes_per_row(self) -> int:
        """Of all that a row consists of; at least 1."""
        return max(1, sum(t.element_size() * t[:1].numel() for t in self._tensors()))

    def to(self, device: torch.device) -> Rows:
        """The same rows on a device."""
        weight = None if self.weight is None else self.weight.to(device)
        return _unchecked(tuple(tensor.to(device) for tensor in self.inputs), self.y.to(device), weight)

    def check(self, purpose: str) -> None:
        """Refuse what no network can learn from.

        Raises:
            DataError: a number is not finite, or every weight is zero; the message names the row.
        """
        for tensor in self._tensors():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                bad = ~torch.isfinite(tensor.reshape(len(tensor), -1)).all(dim=1)
                raise DataError(
                    f"{purpose} row {int(bad.nonzero()[0])} holds a number that is not finite; "
                    "missing values are to be filled before the network"
                )
        if self.weight is not None and len(self) and not bool(self.weight.any()):
            raise DataError(f"every {purpose} row has weight 0; expected at least one above 0")

    def _tensors(self) -> tuple[Tensor, ...]:
        return (*self.inputs, self.y, *(() if self.weight is None else (self.weight,)))


def _unchecked(inputs: tuple[Tensor, ...], y: Tensor, weight: Tensor | None) -> Rows:
    """Rows made from checked rows: checking every batch again would cost more than taking it."""
    rows = object.__new__(Rows)
    object.__setattr__(rows, "inputs", inputs)
    object.__setattr__(rows, "y", y)
    object.__setattr__(rows, "weight", weight)
    return rows
