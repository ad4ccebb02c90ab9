"""Plot: axes, lines, bars and dots as SVG text. Colours are the page's classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 68, 14, 14, 46
TICKS = 5
"""About so many marks on an axis."""

FEWEST_TICKS = 3


@dataclass(frozen=True)
class Axis:
    """From values to places on the page.

    Attributes:
        start, end: the places of the lowest and the highest value.
        whole: values between whole numbers say nothing, so only those are marked.
    """

    low: float
    high: float
    start: float
    end: float
    label: str = ""
    logarithmic: bool = False
    whole: bool = False

    def place(self, values: ArrayLike) -> NDArray[np.float64]:
        """Shape: (...) → (...)."""
        low, high, given = self.low, self.high, np.asarray(values, np.float64)
        if self.logarithmic:
            low, high, given = math.log10(low), math.log10(high), np.log10(given)
        found: NDArray[np.float64] = self.start + (given - low) / (high - low) * (self.end - self.start)
        return found

    def ticks(self) -> list[float]:
        """Round values between the ends."""
        if not self.logarithmic:
            return _round_values(self.low, self.high, whole=self.whole)
        fine = _ones_twos_fives(self.low, self.high)
        if FEWEST_TICKS <= len(fine) <= TICKS + 2:
            return fine
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        step = max(1, -(-(last - first) // TICKS))
        tens = [10.0**power for power in range(first, last + 1, step)]
        return tens if len(tens) > 1 else _round_values(self.low, self.high)


def across(
    values: ArrayLike, label: str = "", *, logarithmic: bool = False, exact: bool = False, whole: bool = False
) -> Axis:
    """An axis from left to right for finite values; `exact` ends it at the lowest and the highest."""
    low, high = _ends(values, logarithmic=logarithmic, exact=exact)
    return Axis(low, high, LEFT, WIDTH - RIGHT, label, logarithmic, whole)


def upwards(
    values: ArrayLike, label: str = "", *, logarithmic: bool = False, exact: bool = False, whole: bool = False
) -> Axis:
    """The same, from the bottom upwards."""
    low, high = _ends(values, logarithmic=logarithmic, exact=exact)
    return Axis(low, high, HEIGHT - BOTTOM, TOP, label, logarithmic, whole)


@dataclass
class Plot:
    """A picture of two axes, drawn part by part."""

    x: Axis
    y: Axis
    name: str
    parts: list[str] = field(default_factory=list)

    def line(self, xs: ArrayLike, ys: ArrayLike, kind: str) -> None:
        """Through the points; broken where one is not finite."""
        self.parts.append(f'<path class="line {kind}" d="{_path(*self._places(xs, ys))}"/>')

    def dots(self, xs: ArrayLike, ys: ArrayLike, kind: str) -> None:
        """A dot per point."""
        places = zip(*self._places(xs, ys), strict=True)
        marks = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places if math.isfinite(x + y))
        self.parts.append(f'<path class="dots {kind}" d="{marks}"/>')

    def bars(self, edges: ArrayLike, heights: ArrayLike, kind: str) -> None:
        """From the lowest value of y upwards, between edges. Shape: edges (bars + 1,), heights (bars,)."""
        xs, tops = self.x.place(edges), self.y.place(heights)
        for left, right, top in zip(xs[:-1], xs[1:], tops, strict=True):
            if math.isfinite(top) and self.y.start - top > 0.05:
                size = f'width="{max(right - left - 1, 0.5):.1f}" height="{self.y.start - top:.1f}"'
                self.parts.append(f'<rect class="{kind}" x="{left + 0.5:.1f}" y="{top:.1f}" {size}/>')

    def upright(self, value: float, text: str = "") -> None:
        """A dashed line at a value of x."""
        x = float(self.x.place(value))
        right = x > (self.x.start + self.x.end) / 2
        anchor, shift = ("end", -5) if right else ("start", 5)
        self.parts.append(f'<path class="rule" d="M{x:.1f} {self.y.start}V{self.y.end}"/>')
        if text:
            place = f'x="{x + shift:.1f}" y="{self.y.end + 10}"'
            self.parts.append(f'<text {place} text-anchor="{anchor}">{escape(text)}</text>')

    def segment(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """A dashed line between points."""
        self.parts.append(f'<path class="rule" d="{_path(*self._places(xs, ys))}"/>')

    def svg(self) -> str:
        """The picture."""
        inside = "\n".join([*_grid(self.x, self.y), *self.parts])
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.name)}">\n'
            f"{inside}\n</svg>"
        )

    def _places(self, xs: ArrayLike, ys: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.x.place(xs), self.y.place(ys)


def short(value: float) -> str:
    """A number for a mark."""
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, power = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(power)}".replace("-", "−")
    return f"{value:,.6g}".replace("-", "−")


def marks(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Values and their texts; evenly spaced ones have the same decimals: 0.30, 0.35, 0.40."""
    texts = [short(value) for value in ticks]
    steps = np.diff(ticks)
    even = len(ticks) > 1 and bool(np.allclose(steps, steps[0]))
    if even and not any("e" in text for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        texts = [f"{value:,.{decimals}f}".replace("-", "−") for value in ticks]
    return list(zip(ticks, texts, strict=True))


def _grid(x: Axis, y: Axis) -> Iterable[str]:
    for value, text in marks(y.ticks()):
        place = float(y.place(value))
        yield f'<path class="grid" d="M{x.start} {place:.1f}H{x.end}"/>'
        yield f'<text x="{x.start - 7}" y="{place + 4:.1f}" text-anchor="end">{text}</text>'
    for value, text in marks(x.ticks()):
        place = float(x.place(value))
        yield f'<path class="axis" d="M{place:.1f} {y.start}v4"/>'
        yield f'<text x="{place:.1f}" y="{y.start + 17}" text-anchor="middle">{text}</text>'
    yield f'<path class="axis" d="M{x.start} {y.start}H{x.end}"/>'
    middle = (x.start + x.end) / 2
    yield f'<text class="label" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>'
    middle = (y.start + y.end) / 2
    turned = f'transform="translate(12 {middle}) rotate(-90)"'
    yield f'<text class="label" {turned} text-anchor="middle">{escape(y.label)}</text>'


def _path(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(x + y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    # A path of one point is not drawn: a length of 0 makes it a dot.
    return "".join(parts) + ("h0" if len(parts) == 1 else "")


def _ends(values: ArrayLike, *, logarithmic: bool, exact: bool) -> tuple[float, float]:
    """A little beyond the lowest and the highest finite value, and never the same."""
    given = np.asarray(values, np.float64).ravel()
    given = given[np.isfinite(given) & ((given > 0) | (not logarithmic))]
    low, high = (float(given.min()), float(given.max())) if len(given) else (1.0, 1.0)
    if logarithmic:
        margin = (high / low) ** 0.04 if high > low * 1.0001 else 3.0
        return (low, high) if exact and high > low else (low / margin, high * margin)
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        margin = abs(high) / 2 or 0.5
        return low - margin, high + margin
    margin = 0.0 if exact else (high - low) * 0.04
    return low - margin, high + margin


def _ones_twos_fives(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [mark for power in powers for lead in (1, 2, 5) if low <= (mark := lead * 10.0**power) <= high]


def _round_values(low: float, high: float, *, whole: bool = False) -> list[float]:
    rough = max((high - low) / TICKS, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = (power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    step = next(step for step in steps if not whole or step == round(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12 - math.floor(math.log10(step))) for number in range(first, last + 1)]
