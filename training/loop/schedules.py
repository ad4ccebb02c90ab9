"""Schedules: the share of the highest learning rate that each step gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.config import ScheduleName

Numbers = dict[str, float]


@dataclass
class Schedule:
    """The rate stays what it is once it has risen.

    Attributes:
        steps: how many there will be.
        warm_up: the share of the steps in which the rate rises.
    """

    steps: int
    warm_up: float = 0.0

    def factor(self, step: float) -> float:
        """The share of the highest rate for the step, counted from 0; in (0, 1]."""
        return min(1.0, (step + 1) / self._rising)

    def momentum(self, step: float) -> float | None:  # noqa: ARG002 - of one kind of schedule
        """AdamW's first β for the step; None leaves it alone."""
        return None

    def after_epoch(self, validation_loss: float) -> None:
        """Learn how the epoch went."""

    def state_dict(self) -> Numbers:
        """What a resumed run needs."""
        return {}

    def load_state_dict(self, state: Numbers) -> None:
        """Go on from there."""

    @property
    def _rising(self) -> int:
        return max(1, round(self.warm_up * self.steps))

    def _fallen(self, step: float) -> float:
        """How far the step is on the way from the peak, near 0, to the end, just below 1."""
        return max(0.0, (step - self._rising + 1) / (self.steps - self._rising + 1))


class Cosine(Schedule):
    """A linear rise, then half a cosine down to nothing (Loshchilov & Hutter 2017)."""

    def factor(self, step: float) -> float:
        """Rise, then fall."""
        if step < self._rising:
            return (step + 1) / self._rising
        return _cosine(1.0, 0.0, self._fallen(step))


class OneCycle(Schedule):
    """Rate up and momentum down along a cosine, then both back (Smith & Topin 2018; the numbers are those
    of torch's OneCycleLR)."""

    FIRST, LAST = 1 / 25, 1e-4 / 25
    SLOW, FAST = 0.95, 0.85

    def factor(self, step: float) -> float:
        """From 1/25 to 1 to almost nothing."""
        if step < self._rising:
            return _cosine(self.FIRST, 1.0, (step + 1) / self._rising)
        return _cosine(1.0, self.LAST, self._fallen(step))

    def momentum(self, step: float) -> float | None:
        """High where the rate is low."""
        if step < self._rising:
            return _cosine(self.SLOW, self.FAST, (step + 1) / self._rising)
        return _cosine(self.FAST, self.SLOW, self._fallen(step))


class Plateau(Schedule):
    """A linear rise; later a tenth whenever the validation loss has not fallen for `PATIENCE` epochs."""

    PATIENCE = 5
    DROP = 0.1
    LOWEST = 1e-4

    def __init__(self, steps: int, warm_up: float = 0.0) -> None:
        super().__init__(steps, warm_up)
        self._level, self._best, self._waited = 1.0, math.inf, 0

    def factor(self, step: float) -> float:
        """The rise, times the present level."""
        return super().factor(step) * self._level

    def after_epoch(self, validation_loss: float) -> None:
        """Count the epochs that brought nothing."""
        if validation_loss < self._best:
            self._best, self._waited = validation_loss, 0
            return
        self._waited += 1
        if self._waited > self.PATIENCE:
            self._level, self._waited = max(self._level * self.DROP, self.LOWEST), 0

    def state_dict(self) -> Numbers:
        """Level, best loss and how long it is ago."""
        return {"level": self._level, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: Numbers) -> None:
        """Go on from there."""
        self._level, self._best, self._waited = state["level"], state["best"], int(state["waited"])


SCHEDULES: dict[ScheduleName, type[Schedule]] = {
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "plateau": Plateau,
    "constant": Schedule,
}


def _cosine(start: float, end: float, way: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * way))
