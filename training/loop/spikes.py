"""SpikeGuard: which steps are taken, and when an earlier state is better than the present one.

Losses and gradient norms are compared on a logarithmic scale with the running median of the last `WINDOW`
accepted steps: a step is skipped where one of them is more than `DEVIATIONS` robust deviations and more than
`FACTOR` times above it, and higher than at the start of training. A step whose loss or gradient is not
finite is always skipped.

A step may be taken that was far too long, as where the rate was wrong for a while; the losses may hardly
tell, while the weights that it left learn slowly ever after. So every `EVERY` accepted steps it is seen how
far the weights have moved: more than `LEAP` times as far as ever lately is undone.

The weights themselves are bad too when steps are skipped again and again, and when the losses of accepted
steps say so, beyond what their scatter explains: they rise at once and a tenth of what training had gained is
lost; half of it is lost, however slowly; they are higher than before training; or nothing is gained and there
is hardly a gradient left. Then an earlier state is taken up with half the learning rate, and a quarter of it
where that happens again soon. What made steps leap may pass: after a calm while the rate is restored.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from training.loop.history import Incidents

WINDOW = 64
EVERY = 8
"""After so many accepted steps the limits are computed anew, and it is seen whether the loss stays up."""
UNTRAINED = 3
FIRST = 16
"""How many steps tell what is ordinary at the start."""
DEVIATIONS = 8.0
FACTOR = 6.0
REPEATED = 3.0
FORGIVEN = 1 / 8
"""What an accepted step takes off the count of skipped ones."""
HOPELESS = 20
"""Steps skipped in a row after which no change for the better is waited for."""
SOON = 256
CALM = 64
MOST_ROLLBACKS = 12
LOWEST_RATE = 1 / 1024
RISEN = 1.5
"""A median of `EVERY` losses so many deviations above the ordinary one: its own error is 0.44 of one."""
SETTLED = 32
"""Steps after which it can be said whether training gets anywhere."""
LEAP = 5.0
"""A hundredfold rate in one of `EVERY` steps moves weights 12 times as far, or further."""
MOVES = 4
"""How many ways of `EVERY` steps tell how far is ordinary."""
DEAD = 0.1
"""A gradient that is this share of what it was at the start moves nothing."""


class Verdict(Enum):
    """What is to be done with a step."""

    TAKE = "take"
    SKIP = "skip"
    ROLL_BACK = "roll back"
    STOP = "stop"


@dataclass
class _Ordinary:
    """The running median of one positive number, its scatter, and the limit that follows; of logarithms."""

    middle: float = math.nan
    deviation: float = math.nan
    start: float = math.nan
    limit: float = math.inf
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, value: float) -> None:
        """Take in one more; the first few say what was ordinary before training."""
        self.recent.append(math.log(max(value, 1e-30)))
        if math.isnan(self.start) and len(self.recent) == UNTRAINED:
            self.start = statistics.median(self.recent)

    def update(self) -> None:
        """A limit from what was seen."""
        middle = self.middle = statistics.median(self.recent)
        self.deviation = 1.4826 * statistics.median([abs(value - middle) for value in self.recent])
        limit = self.middle + max(DEVIATIONS * self.deviation, math.log(FACTOR))
        self.limit = math.exp(min(max(limit, self.start), 700.0))

    def forget(self, count: int) -> None:
        """The last ones belong to a state that is left."""
        for _ in range(min(count, len(self.recent))):
            self.recent.pop()

    def latest(self) -> float:
        """The median of the last few."""
        return statistics.median(list(self.recent)[-EVERY:])

    def as_tuple(self) -> tuple[float, float, float, float, list[float]]:
        """All of it, in plain values."""
        return self.middle, self.deviation, self.start, self.limit, list(self.recent)

    @classmethod
    def from_tuple(cls, state: Any) -> _Ordinary:
        """The same again."""
        middle, deviation, start, limit, recent = state
        return cls(middle, deviation, start, limit, deque(recent, maxlen=WINDOW))


class _State(Enum):
    """What the losses say of the weights."""

    GOOD = "good"
    BROKEN = "broken a moment ago"
    LOST = "bad for some while"


class SpikeGuard:
    """Judges each step by its loss and its gradient's norm.

    Attributes:
        in_a_row: how many steps were skipped since the last one that was taken.
        far: whether the last rollback has to go further back than the last few steps.
        lasting: whether it was for the rate, which is too high, and not for a fault that may pass.
    """

    _NUMBERS = ("_lowest", "_skipped", "in_a_row", "far", "_accepted", "_since_rollback", "_restore")

    def __init__(self) -> None:
        self.incidents = Incidents()
        self._loss, self._norm = _Ordinary(), _Ordinary()
        self._moves = deque[float](maxlen=MOVES)
        self._lowest = math.inf
        self._skipped, self._accepted, self._since_rollback = 0.0, 0, SOON
        self.in_a_row, self.far, self.lasting = 0, False, False
        self._restore = 1.0
        """What the rate is to be multiplied with once it is calm; 1 for nothing."""

    def judge(self, loss: float, norm: float, moved: Callable[[], float] = lambda: 0.0) -> Verdict:
        """What is to be done with the step.

        Args:
            loss: without what no answer could avoid, which follows the share in which rows are mixed and
                says nothing of the weights.
            moved: how far the weights are from where they were when this was asked before.
        """
        finite = math.isfinite(loss) and math.isfinite(norm)
        if finite and loss <= self._loss.limit and norm <= self._norm.limit:
            return self._accept(loss, norm, moved)
        return self._refuse(finite)

    @property
    def middle(self) -> float:
        """The running median of the losses, on a logarithmic scale."""
        return self._loss.middle

    @property
    def passing(self) -> float:
        """By how much of that the rate is lowered for a while only."""
        return 1.0 / self._restore

    @property
    def calm(self) -> bool:
        """Whether no step was skipped lately: the present state is worth keeping."""
        return self._skipped == 0

    def _accept(self, loss: float, norm: float, moved: Callable[[], float]) -> Verdict:
        self._loss.add(loss)
        self._norm.add(norm)
        self._accepted += 1
        self._since_rollback += 1
        self.in_a_row, self.far = 0, False
        self._skipped = max(0.0, self._skipped - FORGIVEN)
        if self._since_rollback == CALM and self._restore != 1.0:
            self._change_rate(self._restore)
            self._restore = 1.0
            # At a higher rate weights move further.
            self._moves.clear()
        if self._accepted % EVERY:
            return Verdict.TAKE
        if self._leapt(moved()) and self._may_roll_back:
            self._roll_back(lasting=False, far=False, moved=True)
            return Verdict.ROLL_BACK
        if len(self._loss.recent) < FIRST:
            return Verdict.TAKE
        state = self._state()
        if state is not _State.GOOD and self._may_roll_back:
            self._roll_back(lasting=True, far=state is _State.LOST)
            return Verdict.ROLL_BACK
        self._loss.update()
        self._norm.update()
        self._lowest = min(self._lowest, self._loss.middle)
        return Verdict.TAKE

    def _leapt(self, move: float) -> bool:
        """Whether the last few steps were far too long; a move that was not is an ordinary one."""
        leapt = len(self._moves) == MOVES and not move <= LEAP * max(self._moves)
        if not leapt:
            self._moves.append(move)
        return leapt

    def _refuse(self, finite: bool) -> Verdict:
        more = replace(self.incidents, skipped=self.incidents.skipped + 1)
        self.incidents = more if finite else replace(more, not_finite=more.not_finite + 1)
        self.in_a_row += 1
        self._skipped += 1
        if self.in_a_row >= HOPELESS:
            return Verdict.STOP if not finite else self._give_in()
        if self._skipped < REPEATED or self.in_a_row > REPEATED or not self._may_roll_back:
            return Verdict.SKIP
        self._roll_back(lasting=False, far=False)
        return Verdict.ROLL_BACK

    def _state(self) -> _State:
        """What the accepted losses say of the weights."""
        loss, norm, lowest = self._loss, self._norm, self._lowest
        if math.isnan(loss.middle):
            return _State.GOOD
        scatter = RISEN * loss.deviation
        if loss.latest() > max(loss.middle + max(scatter, math.log(2.0)), self._level(0.1)):
            return _State.BROKEN
        if len(loss.recent) < SETTLED:
            return _State.GOOD
        margin = max(scatter, math.log(1.2))
        lost = loss.middle > max(lowest + margin, self._level(0.5))
        worse = loss.middle > loss.start + margin
        dead = loss.middle > self._level(0.9) and norm.middle < norm.start + math.log(DEAD)
        return _State.LOST if lost or worse or (dead and lowest > loss.start - margin) else _State.GOOD

    def _level(self, share: float) -> float:
        """The loss, as a logarithm, at which this share of what training had gained is lost."""
        low, start = math.exp(self._lowest), math.exp(self._loss.start)
        return math.log(low + share * max(start - low, 0.0))

    def _give_in(self) -> Verdict:
        """These losses are the ordinary ones now."""
        for memory in (self._loss, self._norm):
            memory.limit = math.inf
            memory.recent.clear()
        self.in_a_row, self._skipped = 0, 0.0
        return Verdict.TAKE

    @property
    def _may_roll_back(self) -> bool:
        return self.incidents.rollbacks < MOST_ROLLBACKS

    def _roll_back(self, *, lasting: bool, far: bool, moved: bool = False) -> None:
        """Lower the rate, and forget what belongs to the state that is left.

        Args:
            lasting: the rate is to blame, and stays low.
            far: the state of some steps ago is no good either.
            moved: the last few steps are to blame, and no others.
        """
        again = self._since_rollback < SOON
        self.far, self.lasting = far or (again and not moved), lasting
        factor = 0.25 if again else 0.5
        if self.incidents.rate_factor * factor >= LOWEST_RATE:
            self._restore = 1.0 if lasting else (self._restore if again else 1.0) / factor
            self._change_rate(factor)
        self.incidents = replace(self.incidents, rollbacks=self.incidents.rollbacks + 1)
        self._skipped, self._since_rollback = 0.0, 0
        for memory in (self._loss, self._norm):
            memory.forget(WINDOW if self.far else EVERY)

    def _change_rate(self, factor: float) -> None:
        self.incidents = replace(self.incidents, rate_factor=self.incidents.rate_factor * factor)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        numbers = {name: getattr(self, name) for name in self._NUMBERS}
        ordinary = {"loss": self._loss.as_tuple(), "norm": self._norm.as_tuple()}
        return {**numbers, **ordinary, "moves": list(self._moves), "incidents": dict(vars(self.incidents))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in self._NUMBERS:
            setattr(self, name, state[name])
        self._loss, self._norm = _Ordinary.from_tuple(state["loss"]), _Ordinary.from_tuple(state["norm"])
        self._moves = deque(state["moves"], maxlen=MOVES)
        self.incidents = Incidents(**state["incidents"])
