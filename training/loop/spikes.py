"""SpikeGuard: which steps are taken, and when an earlier state is better than the present one.

Losses and gradient norms are compared on a logarithmic scale with the running median of the last `WINDOW`
accepted steps: a step is skipped where one of them is more than `DEVIATIONS` robust deviations and more than
`FACTOR` times above it, and higher than at the start of training. A step whose loss or gradient is not
finite is always skipped.

`REPEATED` skipped steps in short order, or a median loss that has lost half of what training had gained,
mean that the weights are bad already. Then an earlier state is taken up with half the learning rate, and a
quarter of it where that happens again soon.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from training.loop.history import Incidents

WINDOW = 64
FIRST = 16
"""How many steps tell what is ordinary at the start."""
EVERY = 16
"""After so many accepted steps the limits are computed anew."""
DEVIATIONS = 8.0
FACTOR = 6.0
REPEATED = 3.0
FORGIVEN = 1 / 8
"""What an accepted step takes off the count of skipped ones."""
SOON = 256
MOST_ROLLBACKS = 12
LOST = 0.5


class Verdict(Enum):
    """What is to be done with a step."""

    TAKE = "take"
    SKIP = "skip"
    ROLL_BACK = "roll back"
    STOP = "stop"


@dataclass
class _Ordinary:
    """The running median of one positive number and the limit that follows from it."""

    limit: float = math.inf
    start: float = math.nan
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, value: float) -> None:
        self.recent.append(math.log(max(value, 1e-30)))

    def update(self) -> None:
        """A limit from what was seen; the first one also says what was ordinary at the start."""
        middle = statistics.median(self.recent)
        if math.isnan(self.start):
            self.start = middle
        deviation = 1.4826 * statistics.median(abs(value - middle) for value in self.recent)
        limit = max(middle + max(DEVIATIONS * deviation, math.log(FACTOR)), self.start)
        self.limit = math.exp(min(limit, 700.0))


class SpikeGuard:
    """Judges each step by its loss and its gradient's norm."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self._loss, self._norm = _Ordinary(), _Ordinary()
        self._last: deque[float] = deque(maxlen=2 * EVERY)
        self._lowest = math.inf
        self._skipped, self._accepted, self._since_rollback = 0.0, 0, SOON

    def judge(self, loss: float, norm: float) -> Verdict:
        """What is to be done with the step."""
        finite = math.isfinite(loss) and math.isfinite(norm)
        if finite and loss <= self._loss.limit and norm <= self._norm.limit:
            return self._accept(loss, norm)
        more = replace(self.incidents, skipped=self.incidents.skipped + 1)
        self.incidents = more if finite else replace(more, not_finite=more.not_finite + 1)
        self._skipped += 1
        if self._skipped < REPEATED:
            return Verdict.SKIP
        return self._repeated(finite)

    @property
    def calm(self) -> bool:
        """Whether no step was skipped lately: the present state is worth keeping."""
        return self._skipped == 0

    def _accept(self, loss: float, norm: float) -> Verdict:
        self._loss.add(loss)
        self._norm.add(norm)
        self._last.append(loss)
        self._accepted += 1
        self._since_rollback += 1
        self._skipped = max(0.0, self._skipped - FORGIVEN)
        if self._accepted % EVERY == 0 and len(self._loss.recent) >= FIRST:
            self._loss.update()
            self._norm.update()
            if self._lost() and self._may_roll_back:
                self._rolled_back()
                return Verdict.ROLL_BACK
        return Verdict.TAKE

    def _lost(self) -> bool:
        """Whether the median loss of the last steps is halfway back to where it was at the start, or far
        above that; in both cases beyond what their scatter explains."""
        if len(self._last) < 2 * EVERY:
            return False
        middle = statistics.median(self._last)
        scatter = statistics.median(abs(loss - middle) for loss in self._last)
        start = math.exp(self._loss.start)
        lowest = self._lowest = min(self._lowest, middle)
        halfway = lowest + LOST * (start - lowest)
        return middle > lowest + 4 * scatter and (middle > max(halfway, lowest) or middle > 2 * start)

    def _repeated(self, finite: bool) -> Verdict:
        if not self._since_rollback and not finite:
            return Verdict.STOP
        if self._may_roll_back:
            self._rolled_back()
            return Verdict.ROLL_BACK
        if not finite:
            return Verdict.STOP
        # Nothing helped: these losses are the ordinary ones now.
        self._loss.limit = self._norm.limit = math.inf
        self._skipped = 0.0
        return Verdict.TAKE

    @property
    def _may_roll_back(self) -> bool:
        return self.incidents.rollbacks < MOST_ROLLBACKS

    def _rolled_back(self) -> None:
        factor = 0.25 if self._since_rollback < SOON else 0.5
        done = self.incidents
        self.incidents = replace(done, rollbacks=done.rollbacks + 1, rate_factor=done.rate_factor * factor)
        self._skipped, self._since_rollback = 0.0, 0
        for memory in (self._loss.recent, self._norm.recent, self._last):
            memory.clear()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        names = ("_lowest", "_skipped", "_accepted", "_since_rollback")
        state: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name in ("_loss", "_norm"):
            ordinary: _Ordinary = getattr(self, name)
            state[name] = (ordinary.limit, ordinary.start, list(ordinary.recent))
        return state | {"_last": list(self._last), "incidents": vars(self.incidents)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in ("_lowest", "_skipped", "_accepted", "_since_rollback"):
            setattr(self, name, state[name])
        for name in ("_loss", "_norm"):
            limit, start, recent = state[name]
            setattr(self, name, _Ordinary(limit, start, deque(recent, maxlen=WINDOW)))
        self._last = deque(state["_last"], maxlen=2 * EVERY)
        self.incidents = Incidents(**state["incidents"])
