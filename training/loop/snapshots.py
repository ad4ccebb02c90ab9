"""Snapshots: states that training can go back to.

The newest are not trusted yet, as a fault shows some steps after it was made: the oldest of `KEPT` is taken
up. All tensors live as long as the run, so a snapshot is one copy into memory that is there already.
"""

from __future__ import annotations

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
        self._kept = deque([[tensor.clone() for tensor in self._live] for _ in range(KEPT)], KEPT)
        self._steps = 0

    @torch.no_grad()
    def after_step(self, calm: bool) -> None:
        """Keep the present state, if it is time to and all was well lately."""
        self._steps += 1
        if self._steps >= EVERY and calm:
            oldest = self._kept.popleft()
            torch._foreach_copy_(oldest, self._live)
            self._kept.append(oldest)
            self._steps = 0

    @torch.no_grad()
    def restore(self) -> None:
        """Take up the oldest state again; what came after it is not worth keeping."""
        oldest = self._kept[0]
        torch._foreach_copy_(self._live, oldest)
        for later in list(self._kept)[1:]:
            torch._foreach_copy_(later, oldest)
        self._steps = 0

    @torch.no_grad()
    def restore_only(self, which: Sequence[int]) -> None:
        """Give some of the tensors, by their places, their newest kept values."""
        for place in which:
            self._live[place].copy_(self._kept[-1][place])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"kept": [list(kept) for kept in self._kept], "steps": self._steps}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for kept, saved in zip(self._kept, state["kept"], strict=True):
            torch._foreach_copy_(kept, saved)
        self._steps = state["steps"]
