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
        self._best, self._level = [tensor.clone() for tensor in self._live], math.inf
        self._kept = deque([[tensor.clone() for tensor in self._live] for _ in range(KEPT)], KEPT)
        self._steps = 0

    def after_step(self, calm: bool, level: float) -> None:
        """Keep the present state, if it is time to and all was well lately.

        Args:
            level: how high the losses of the last steps were.
        """
        self._steps += 1
        if self._steps >= EVERY and calm:
            self._keep(level)

    @torch.no_grad()
    def _keep(self, level: float) -> None:
        oldest = self._kept.popleft()
        if level < self._level:
            torch._foreach_copy_(self._best, oldest)
            self._level = level
        torch._foreach_copy_(oldest, self._live)
        self._kept.append(oldest)
        self._steps = 0

    @torch.no_grad()
    def restore(self, best: bool) -> None:
        """Take up the oldest state again, or the best one where the oldest did not help; what came after it
        is not worth keeping."""
        chosen = self._best if best else self._kept[0]
        torch._foreach_copy_(self._live, chosen)
        for kept in self._kept:
            torch._foreach_copy_(kept, self._live)
        self._steps = 0

    @torch.no_grad()
    def restore_only(self, which: Sequence[int]) -> None:
        """Give some of the tensors, by their places, their newest kept values."""
        for place in which:
            self._live[place].copy_(self._kept[-1][place])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        kept = [list(kept) for kept in self._kept]
        return {"kept": kept, "best": list(self._best), "level": self._level, "steps": self._steps}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for kept, saved in zip(self._kept, state["kept"], strict=True):
            torch._foreach_copy_(kept, saved)
        torch._foreach_copy_(self._best, state["best"])
        self._level, self._steps = state["level"], state["steps"]
