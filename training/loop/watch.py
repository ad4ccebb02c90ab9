"""Watch: what wants to look at a network while it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from training.errors import ConfigError


@dataclass(frozen=True)
class Watch:
    """A look at the network before its first step, after every so many, and after the last.

    Attributes:
        every: steps between two looks.
        look: gets the number of steps taken and a copy of the network as it would be evaluated there, in eval
            mode, with statistics of its own; whatever it does to the copy and draws, the run goes on to the
            same bits. After a resume it sees only the steps that were left.
    """

    every: int
    look: Callable[[int, nn.Module], None]

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"a watch looks every {self.every} steps, expected at least 1")
