"""Average: a twin of the network whose weights are the moving average of its weights (EMA).

Running statistics are never averaged, as they belong to other weights: the caller estimates them again for
the twin. Other buffers are the network's own.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from training.loop.memory import twins


class Average:
    """An exponential moving average; the first steps count more, so that the start is soon forgotten.

    Attributes:
        network: the twin.
        steps: how many weights were taken in.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network)
        self._decay, self.steps = decay, 0
        self._live, self._mean = twins(network.parameters(), self.network.parameters())

    def update(self) -> None:
        """Take in the present weights."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)

    def tensors(self) -> list[Tensor]:
        """The averages."""
        return self._mean
