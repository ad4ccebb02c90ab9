"""Summary: what follows from a comparison.

A face pairs a setting with Batch Normalization and one without, seed by seed. "Steps to a level": both sides
reach the lower of their two best scores, so that a ratio of steps exists for every pair.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.comparison.comparison import Comparison
from training.comparison.pairs import Estimate, estimate, paired, ratio
from training.comparison.trials import Run, Start


@dataclass(frozen=True)
class Setting:
    """One side with a start and a rate, over all seeds."""

    batch_norm: bool
    start: Start
    rate: float
    runs: tuple[Run, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        """The best validation score of each run; NaN for one that diverged."""
        return tuple(run.best.validation if run.best else math.nan for run in self.runs)

    @property
    def tests(self) -> tuple[float, ...]:
        """The test score where the validation score was best."""
        return tuple(run.best.test if run.best else math.nan for run in self.runs)

    @property
    def diverged(self) -> int:
        """How many of the runs."""
        return sum(run.diverged is not None for run in self.runs)

    @property
    def score(self) -> Estimate | None:
        """Over the runs that came to their end."""
        return estimate([value for value in self.scores if math.isfinite(value)])

    @property
    def test(self) -> Estimate | None:
        """Likewise."""
        return estimate([value for value in self.tests if math.isfinite(value)])

    @property
    def merit(self) -> tuple[int, float]:
        """What makes a setting better than another: fewer runs that diverge, then the mean score."""
        return -self.diverged, self.score.mean if self.score else -math.inf


@dataclass(frozen=True)
class Reached:
    """Steps to the other side's best score of the same seed.

    Attributes:
        median: over the runs that reached it.
        times: how many did.
    """

    median: float
    times: int
    of: int


@dataclass(frozen=True)
class Face:
    """Two settings side by side.

    Attributes:
        question: what is asked of them.
        difference: with − without, of the best validation scores.
        test_difference: of the test scores there.
        reached: by the side with, by the side without.
        fewer: steps without / steps with, to the lower of the two best scores of each pair.
    """

    question: str
    with_norm: Setting
    without: Setting
    difference: Estimate | None
    test_difference: Estimate | None
    reached: tuple[Reached, Reached]
    fewer: Estimate | None


@dataclass(frozen=True)
class Spread:
    """How far the score of one side moves.

    Attributes:
        over_rates: highest less lowest mean score over the rates, for the usual start; NaN if a rate has no
            run that came to its end.
        over_starts: the usual start less the small one, seed by seed, each at its best rate.
    """

    batch_norm: bool
    over_rates: dict[Start, float]
    over_starts: Estimate | None


@dataclass(frozen=True, eq=False)
class Summary:
    """All that tables and pages show."""

    comparison: Comparison
    settings: tuple[Setting, ...]
    faces: tuple[Face, ...]
    spreads: tuple[Spread, Spread]

    @classmethod
    def of(cls, comparison: Comparison) -> Summary:
        """Computed from the runs alone."""
        settings = tuple(_settings(comparison))
        faces = tuple(_faces(comparison, settings))
        with_norm, without = (_spread(comparison, settings, side) for side in (True, False))
        return cls(comparison, settings, faces, (with_norm, without))

    @property
    def best(self) -> Face:
        """The best settings of both sides."""
        return self.faces[-1]

    def setting(self, batch_norm: bool, start: Start, rate: float) -> Setting:
        """One of them."""
        wanted = (batch_norm, start, rate)
        return next(s for s in self.settings if (s.batch_norm, s.start, s.rate) == wanted)


def _settings(comparison: Comparison) -> Iterator[Setting]:
    for start in comparison.grid.starts:
        for rate in comparison.grid.rates:
            for side in (True, False):
                yield Setting(side, start, rate, comparison.cell(side, start, rate))


def _faces(comparison: Comparison, settings: Sequence[Setting]) -> Iterator[Face]:
    """From the one in which a normalisation should help most to the one in which both sides do their best."""
    lowest = comparison.grid.rates[0]
    if "small" in comparison.grid.starts:
        modest = [s for s in settings if s.start == "small" and s.rate == lowest]
        yield _face("small start, lowest rate", modest, comparison.every)
        small = [s for s in settings if s.start == "small"]
        yield _face("small start, best rates", small, comparison.every)
    yield _face("best start and rate of each", settings, comparison.every)


def _face(question: str, settings: Sequence[Setting], every: int) -> Face:
    one, other = (_best(settings, side) for side in (True, False))
    return Face(
        question,
        one,
        other,
        paired(one.scores, other.scores),
        paired(one.tests, other.tests),
        (_reached(one, other), _reached(other, one)),
        ratio(*(_steps_to_common(a, b, every) for a, b in ((other, one), (one, other)))),
    )


def _best(settings: Sequence[Setting], batch_norm: bool) -> Setting:
    return max((s for s in settings if s.batch_norm is batch_norm), key=lambda setting: setting.merit)


def _reached(side: Setting, other: Setting) -> Reached:
    """NaN, the score of a run that diverged, is never reached, and says nothing."""
    pairs = [(run, score) for run, score in zip(side.runs, other.scores, strict=True) if score == score]
    steps = [run.steps_to(score) for run, score in pairs if run.diverged is None]
    finite = [count for count in steps if math.isfinite(count)]
    return Reached(statistics.median(finite) if finite else math.inf, len(finite), len(pairs))


def _steps_to_common(side: Setting, other: Setting, every: int) -> list[float]:
    """Of each run, at least one look: what is reached before the first step took no longer than that."""
    levels = (min(pair) for pair in zip(side.scores, other.scores, strict=True))
    return [
        max(run.steps_to(level), every) if math.isfinite(level) else math.nan
        for run, level in zip(side.runs, levels, strict=True)
    ]


def _spread(comparison: Comparison, settings: Sequence[Setting], batch_norm: bool) -> Spread:
    own = [setting for setting in settings if setting.batch_norm is batch_norm]
    over_rates = {start: _range(own, start) for start in comparison.grid.starts}
    usual, small = ([s for s in own if s.start == start] for start in ("usual", "small"))
    if not usual or not small:
        return Spread(batch_norm, over_rates, None)
    one, other = (max(some, key=lambda setting: setting.merit) for some in (usual, small))
    return Spread(batch_norm, over_rates, paired(one.scores, other.scores))


def _range(settings: Sequence[Setting], start: Start) -> float:
    means = [s.score.mean if s.score else math.nan for s in settings if s.start == start]
    return max(means) - min(means) if all(math.isfinite(mean) for mean in means) else math.nan
