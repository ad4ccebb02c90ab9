"""Place: how far the schedule has come.

It is the number of the step as long as all goes well. Steps that a rollback undid do not count, and a step
at a rate that is lowered for a while counts as that share of one: a fault that passes costs time, and no
training.

A fault that comes again at the same place belongs to the schedule and would come each time. From then on the
place is never taken back; the rest of the schedule is as much longer instead.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

FAR = 32
"""Steps; going back further is a fault of its own, and not more of the one before."""

NEAR = 16
"""Steps; faults that are no further apart are at the same place."""


@dataclass
class Place:
    """Where in the schedule the next step is.

    Attributes:
        planned: the steps of the schedule; as many may be lost, and no more.
        at: how many steps of the schedule are done.
        steps: how many were made.
        longer: how many steps the schedule has been made longer by.
    """

    planned: int
    at: float = 0.0
    steps: int = 0
    longer: float = 0.0
    _fault: float = -math.inf
    _fixed: bool = False

    @property
    def lost(self) -> float:
        """How many more steps than planned there will be."""
        return self.steps - self.at + self.longer

    @property
    def total(self) -> int:
        """The steps of the schedule."""
        return self.planned + round(self.longer)

    def advance(self, share: float) -> None:
        """After a step at this share of the rate that was planned."""
        self.steps += 1
        self._move(self.at + 1, 1 - share)

    def go_back(self, to: float) -> None:
        """Where the weights are those of an earlier place."""
        if self.at - to > FAR:
            self._fixed = self._fixed or abs(self.at - self._fault) <= NEAR
            self._fault = self.at
        self._move(self.at, self.at - to)

    def _move(self, at: float, again: float) -> None:
        """To a place, less so many steps that are to be done again."""
        again = min(again, max(self.planned - (self.steps - at + self.longer), 0.0))
        self.at = at if self._fixed else at - again
        self.longer += again if self._fixed else 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state)
