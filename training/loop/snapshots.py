"""Snapshots: states that training can go back to.

The newest is not trusted yet, as a fault shows some steps after it was made; one interval later it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from training.statistics import norms

EVERY = 128
"""Steps between two snapshots: copying all state then costs about a hundredth of a step."""


class Stateful(Protocol):
    """What can be put back."""

    def state_dict(self) -> Mapping[str, Any]:
        """Its state."""
        ...

    def load_state_dict(self, state: Any) -> Any:
        """Take it up again."""
        ...


class Snapshots:
    """The state of several parts, now and then."""

    def __init__(self, parts: Mapping[str, Stateful]) -> None:
        self._parts = parts
        self._trusted = self._newest = self._copy()
        self._steps = 0

    def after_step(self, calm: bool) -> None:
        """Keep the present state, if it is time to and all was well lately."""
        self._steps += 1
        if self._steps >= EVERY and calm:
            self._trusted, self._newest, self._steps = self._newest, self._copy(), 0

    def restore(self) -> None:
        """Take up the trusted state again."""
        self._newest, self._steps = self._trusted, 0
        for name, part in self._parts.items():
            part.load_state_dict(copy.deepcopy(self._trusted[name]))

    def restore_statistics(self, network: nn.Module) -> None:
        """Take up the newest running statistics: a step that was not taken has left its mark on them."""
        known = self._newest["network"]
        for name, layer in norms(network).items():
            for buffer, value in layer.named_buffers():
                value.copy_(known[f"{name}.{buffer}" if name else buffer])

    def _copy(self) -> dict[str, Any]:
        return {name: copy.deepcopy(part.state_dict()) for name, part in self._parts.items()}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"trusted": self._trusted, "newest": self._newest, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._trusted, self._newest, self._steps = state["trusted"], state["newest"], state["steps"]
