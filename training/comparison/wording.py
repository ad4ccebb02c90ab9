"""How figures of a comparison read, in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from training.comparison.comparison import Comparison
from training.comparison.pairs import Estimate
from training.comparison.summary import Face, Reached, Setting, Spread, Summary
from training.comparison.trials import SMALL_DEVIATION, Start
from training.model.layers import SMALL

SIDES = {True: "with BN", False: "without BN"}

_NAMES = {"he": "He", "xavier": "Xavier", "lecun": "LeCun", "small": f"N(0, {SMALL}²)"}

MINUS = "−"


def start_name(summary: Comparison, start: Start) -> str:
    """What weights begin as."""
    if start == "small":
        return f"N(0, {SMALL_DEVIATION}²)"
    model = summary.recipe.model
    if model.initialisation != "auto":
        return _NAMES[model.initialisation]
    return "He" if model.activation in ("relu", "gelu") else "Xavier"


def scored(setting: Setting, *, test: bool = False) -> str:
    """Mean ± standard deviation over the seeds."""
    found = setting.test if test else setting.score
    count = f"{setting.diverged} of {len(setting.runs)} diverged"
    if found is None:
        return "diverged" if setting.diverged else "–"
    text = f"{found.mean:.4f}" if math.isnan(found.deviation) else f"{found.mean:.4f} ± {found.deviation:.4f}"
    return f"{text} ({count})" if setting.diverged else text


def difference(found: Estimate | None, seeds: int) -> str:
    """Mean and its interval; of how many pairs where that is not all seeds."""
    return "no pair" if found is None else _with_interval(found, signed, seeds)


def times(found: Estimate | None, seeds: int) -> str:
    """A ratio of steps and its interval, likewise."""
    return "no pair" if found is None else _with_interval(found, _plain, seeds)


def _with_interval(found: Estimate, number: Callable[[float], str], seeds: int) -> str:
    count = "" if found.n == seeds else f"\nn = {found.n}"
    if found.n == 1:
        return f"{number(found.mean)}{count}"
    return f"{number(found.mean)}\n[{number(found.low)}, {number(found.high)}]{count}"


def steps(reached: Reached) -> str:
    """The median, and how many runs it is of."""
    if not reached.of:
        return "–"
    if not reached.times:
        return "never"
    text = f"{reached.median:,.0f}"
    return text if reached.times == reached.of else f"{text} ({reached.times} of {reached.of})"


def choice(comparison: Comparison, setting: Setting) -> str:
    """Start and rate."""
    return f"{start_name(comparison, setting.start)}, {setting.rate:g}"


def moved(spread: Spread, start: Start) -> str:
    """Over the rates."""
    value = spread.over_rates[start]
    return "a rate diverged" if math.isnan(value) else f"{value:.4f}"


def signed(value: float) -> str:
    """With a sign that is as wide as a plus."""
    return f"{value:+.4f}".replace("-", MINUS)


def answer(summary: Summary) -> Iterator[str]:
    """The answer, in sentences: the best settings first, then the hard start, then the spread."""
    score = summary.comparison.score
    yield f"With the best settings of both sides {_gain(summary.best.difference, f'validation {score}')}."
    if summary.best.test_difference:
        yield f"At those places {_gain(summary.best.test_difference, f'test {score}')}."
    for face in dict.fromkeys((summary.faces[0], summary.best)):
        if face.fewer:
            yield f"{_where(summary, face)} {_pace(face.fewer)}."
    for start in summary.comparison.grid.starts:
        moves = [moved(spread, start) for spread in summary.spreads]
        begun = start_name(summary.comparison, start)
        yield f"Range of the mean score over the rates, from {begun}: {moves[0]} with BN, {moves[1]} without."


def _where(summary: Summary, face: Face) -> str:
    if face is summary.best:
        return "With the best settings of both sides"
    begun = start_name(summary.comparison, face.with_norm.start)
    return f"From weights of {begun} at rate {face.with_norm.rate:g}"


def _gain(found: Estimate | None, score: str) -> str:
    if found is None:
        return f"nothing can be said of the {score}, as runs diverged"
    if not found.mean and not found.deviation:
        return f"the {score} is the same with BN and without, seed by seed (n = {found.n})"
    told = f"BN changes the {score} by {signed(found.mean)}"
    if found.n == 1:
        return f"{told}, by one seed: an interval takes two or more"
    told += f" (95 % interval {signed(found.low)} to {signed(found.high)}, n = {found.n})"
    if found.tells:
        return told
    return f"{told}: a difference that chance explains"


def _pace(found: Estimate) -> str:
    faster, factor = (found.mean, "fewer") if found.mean >= 1 else (1 / found.mean, "more")
    told = f"BN takes {_plain(faster)} times {factor} steps to the score that both sides reach"
    if found.n == 1:
        return f"{told}, by one seed"
    low, high = sorted((found.low, found.high) if found.mean >= 1 else (1 / found.high, 1 / found.low))
    told += f" (95 % interval {_plain(low)} to {_plain(high)})"
    return told if low > 1 else f"{told}: a difference that chance explains"


def _plain(value: float) -> str:
    """Three significant digits without exponents, as far as that is readable."""
    if value >= 1e5 or value < 1e-2:
        return f"{value:.0e}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
