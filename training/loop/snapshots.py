"""Snapshots: states that training can go back to.

The newest are not trusted yet, as a fault shows some steps after it was made: the oldest of `KEPT` is taken
up, and where that does not help the one after which losses were lowest. All tensors live as long as the run,
so a snapshot is one copy into memory that is there already.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EVERY = 32
"""Accepted steps between two snapshots."""

KEPT = 3


class Snapshots:
    """The state of a run's tensors, now and then."""

    def __init__(self, live: Sequence[Tensor]) -> None:
        self._live = list(live)
        self._places, self._best_place = deque([0.0] * KEPT, KEPT), 0.0
        self._best, self._level = [tensor.clone() for tensor in self._live], math.inf
        self._kept = deque([[tensor.clone() for tensor in self._live] for _ in range(KEPT)], KEPT)
        self._steps = 0

    def after_step(self, calm: bool, level: float, place: float) -> None:
        """Keep the present state, if it is time to and all was well lately.

        Args:
            level: how high the losses of the last steps were.
            place: how many steps of the schedule are done.
        """
        self._steps += 1
        if self._steps >= EVERY and calm:
            self._keep(level, place)

    @torch.no_grad()
    def _keep(self, level: float, place: float) -> None:
        oldest = self._kept.popleft()
        if level < self._level:
            torch._foreach_copy_(self._best, oldest)
            self._level, self._best_place = level, self._places[0]
        torch._foreach_copy_(oldest, self._live)
        self._kept.append(oldest)
        self._places.append(place)
        self._steps = 0

    @torch.no_grad()
    def restore(self, best: bool) -> float:
        """Take up the oldest state again, or the best one where the oldest did not help; what came after it
        is not worth keeping.

        Returns:
            How many steps of the schedule were done then.
        """
        chosen, place = (self._best, self._best_place) if best else (self._kept[0], self._places[0])
        torch._foreach_copy_(self._live, chosen)
        for kept in self._kept:
            torch._foreach_copy_(kept, self._live)
        self._places.extend([place] * KEPT)
        self._steps = 0
        return place

    @torch.no_grad()
    def restore_only(self, which: Sequence[int]) -> None:
        """Give some of the tensors, by their places, their newest kept values."""
        for place in which:
            self._live[place].copy_(self._kept[-1][place])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        kept = [list(kept) for kept in self._kept]
        numbers = {"level": self._level, "steps": self._steps}
        places = {"places": list(self._places), "best_place": self._best_place}
        return {"kept": kept, "best": list(self._best), **numbers, **places}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for kept, saved in zip(self._kept, state["kept"], strict=True):
            torch._foreach_copy_(kept, saved)
        torch._foreach_copy_(self._best, state["best"])
        self._level, self._steps = state["level"], state["steps"]
        self._places, self._best_place = deque(state["places"], KEPT), state["best_place"]
