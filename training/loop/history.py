"""What a fit remembers: its epochs, its best state, and what went wrong on the way."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

DIGITS = 6
"""Of a score; less is no difference, as where class weights lie far apart and one row is 1e-8 of them all."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the rows gave.

    Attributes:
        train_loss: the mean over its steps, with dropout and batch statistics.
        score: validation accuracy, or R² for a regression; higher is better.
        seconds: validation included.
        rate: the learning rate of its last step.
        gradient_norm: the mean over its steps.
        training_seconds: without validation.
        member, members: which network of how many; a fit knows only one.
    """

    number: int
    of: int
    train_loss: float
    validation_loss: float
    score: float
    seconds: float
    rate: float = math.nan
    gradient_norm: float = math.nan
    training_seconds: float = math.nan
    member: int = 1
    members: int = 1


@dataclass(frozen=True)
class Incidents:
    """What the spike guard did.

    Attributes:
        skipped: steps that were not taken, as their loss or gradient was far outside the ordinary.
        not_finite: those of them whose loss or gradient was no finite number.
        rollbacks: how often an earlier state was taken up again.
        rate_factor: what the learning rate was multiplied with because of that.
    """

    skipped: int = 0
    not_finite: int = 0
    rollbacks: int = 0
    rate_factor: float = 1.0


@dataclass(frozen=True)
class FitResult:
    """The history of a fit; the network itself holds the best state.

    Attributes:
        best: the number of the epoch whose state was kept.
        warnings: sentences for the user.
    """

    epochs: tuple[Epoch, ...]
    best: int
    incidents: Incidents = field(default_factory=Incidents)
    warnings: tuple[str, ...] = ()

    @property
    def seconds_per_epoch(self) -> float:
        """The median over the epochs, validation included."""
        return float(np.median([epoch.seconds for epoch in self.epochs]))


Observer = Callable[[Epoch], None]


class Best:
    """The best state so far: by score, and among equal scores by validation loss."""

    def __init__(self) -> None:
        self._key = (-math.inf, -math.inf)
        self.number = 0
        self.state: dict[str, Any] = {}

    def consider(self, epoch: Epoch, network: nn.Module) -> None:
        """Keep the network's state if the epoch was the best."""
        key = (round(epoch.score, DIGITS), -epoch.validation_loss)
        if key > self._key or not self.number:
            self._key, self.number = key, epoch.number
            self.state = copy.deepcopy(network.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"key": self._key, "number": self.number, "state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._key, self.number, self.state = tuple(state["key"]), state["number"], state["state"]
