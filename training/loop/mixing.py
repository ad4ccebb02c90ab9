"""Mixing: every row of a batch is mixed with another, in front of the first linear layer (mixup).

Zhang et al. 2018, "mixup", and Verma et al. 2019, "Manifold Mixup". What is mixed is what that layer gives,
as it is linear in what encodes the numbers and in the indicators of the categories. The loss of a mixed row
is that beside each of the two targets, by their shares.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.errors import ConfigError
from training.loop.losses import Loss
from training.loop.rows import Rows
from training.loop.seeds import derived
from training.model import Network


class Mixing:
    """One share for all rows of a batch, drawn from Beta(α, α) anew for each step."""

    def __init__(self, network: nn.Module, config: LoopConfig) -> None:
        """Only of a network that says where its first linear layer ends.

        Raises:
            ConfigError: it does not.
        """
        if not isinstance(network, Network):
            raise ConfigError(f"--mixup needs a Network, got {type(network).__name__}: give --mixup 0")
        self._network = network
        self._alpha = config.mixup
        self._seed = derived(config.seed, "mixing")

    def front(self, rows: Rows, step: int) -> Tensor:
        """What the first linear layer gives, mixed. A batch is in random order, so its reverse is a partner
        for each row."""
        front = self._network.front(*rows.inputs)
        return front.lerp(front.flip(0), 1 - self.share(step))

    def loss(self, outputs: Tensor, rows: Rows, step: int, loss: Loss) -> Tensor:
        """Of what the rest of the network gives for mixed rows."""
        first, second = loss(outputs, rows.y, rows.weight), loss(outputs, *_partners(rows))
        share = self.share(step)
        return first * share + second * (1 - share)

    def with_gradient(self, outputs: Tensor, rows: Rows, step: int, loss: Loss) -> tuple[float, Tensor]:
        """The same, and its gradient by the outputs."""
        first, gradient = loss.with_gradient(outputs, rows.y, rows.weight)
        second, other = loss.with_gradient(outputs, *_partners(rows))
        share = self.share(step)
        return first * share + second * (1 - share), gradient * share + other * (1 - share)

    def least(self, rows: Rows, step: int, loss: Loss) -> float:
        """What no answer can avoid, as it lies between two targets; it depends on the share above all."""
        share, (y, weight) = torch.tensor(self.share(step)), _partners(rows)
        mine, other = share, 1 - share
        if rows.weight is not None and weight is not None:
            mine, other = share * rows.weight, other * weight
        return loss.least(rows.y, y, mine, other)

    def share(self, step: int) -> float:
        """How much of each row stays; by the number of the step, so that a resume needs nothing kept."""
        return float(np.random.default_rng((self._seed, step)).beta(self._alpha, self._alpha))


def _partners(rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Target and weight of each row's partner."""
    return rows.y.flip(0), None if rows.weight is None else rows.weight.flip(0)
