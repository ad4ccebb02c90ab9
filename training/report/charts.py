"""The pictures of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.calibration import BINS
from training.loop import Epoch, FitResult
from training.report.answers import Reliability, Residuals
from training.report.html import Html, figure
from training.report.svg import Plot, across, upwards

STEEP = 20.0
"""Values that differ by more than this factor are shown on a logarithmic axis."""

MOST_DOTS = 1000
FEWEST_BINS, MOST_BINS = 8, 32
FADED = 3
"""Lines of more members than this are drawn thinner."""

Look = Callable[[Epoch], float]


def curve(
    fits: Sequence[FitResult],
    looks: Sequence[tuple[str, str, Look]],
    caption: str,
    unit: str,
    *,
    logarithmic: bool | None = None,
) -> Html:
    """Something of each epoch, of each member; the best epoch is marked.

    Args:
        looks: class, name and value of each line.
        logarithmic: None for steep ones.
    """
    values = [[look(epoch) for epoch in fit.epochs] for fit in fits for _, _, look in looks]
    longest = max(len(fit.epochs) for fit in fits)
    joined = np.concatenate(values)
    y = upwards(joined, unit, logarithmic=_steep(joined) if logarithmic is None else logarithmic)
    plot = Plot(across([1, longest], "epoch", exact=True, whole=True), y, caption)
    thin = " thin" if len(fits) > FADED else ""
    for fit in fits:
        plot.upright(fit.best, f"best: {fit.best}" if len(fits) == 1 else "")
        for kind, _, look in looks:
            numbers = [epoch.number for epoch in fit.epochs]
            plot.line(numbers, [_drawn(look(e), logarithmic=y.logarithmic) for e in fit.epochs], kind + thin)
    legend = [(kind, name) for kind, name, _ in looks] if len(looks) > 1 else []
    return figure(plot.svg(), caption, legend)


def histogram(
    values: ArrayLike, caption: str, label: str, *, logarithmic: bool = False, kind: str = "s1"
) -> Html:
    """How often values occur."""
    given = np.asarray(values, np.float64).ravel()
    given = given[np.isfinite(given) & ((given > 0) | (not logarithmic))]
    x = across(given, label, logarithmic=logarithmic)
    space = np.geomspace if logarithmic else np.linspace
    bins = int(np.clip(2 * np.sqrt(given.size), FEWEST_BINS, MOST_BINS))
    edges = space(x.low, x.high, bins + 1)
    counts, _ = np.histogram(given, edges)
    plot = Plot(
        x, upwards([0, max(counts.max(initial=0), 1) * 1.05], "count", exact=True, whole=True), caption
    )
    plot.bars(edges, counts, kind)
    return figure(plot.svg(), caption)


def predicted(residuals: Residuals) -> Html:
    """Predicted values above the true ones; the dashed line is where they are the same."""
    truth, values = _some(residuals)
    both = np.concatenate([truth, values])
    caption = "Predicted against true"
    plot = Plot(across(both, "true"), upwards(both, "predicted"), caption)
    ends = [plot.x.low, plot.x.high]
    plot.dots(truth, values, "s1")
    plot.segment(ends, ends)
    return figure(plot.svg(), caption)


def errors_by_prediction(residuals: Residuals) -> Html:
    """Errors above the predicted values: a slope or a funnel is something that was not learnt."""
    truth, values = _some(residuals)
    caption = "Error against predicted"
    plot = Plot(across(values, "predicted"), upwards(values - truth, "predicted − true"), caption)
    plot.dots(values, values - truth, "s1")
    if plot.y.low < 0 < plot.y.high:
        plot.segment([plot.x.low, plot.x.high], [0, 0])
    return figure(plot.svg(), caption)


def reliability(found: Reliability) -> Html:
    """The share of right labels in each bin; the dashed line is where it equals the probability."""
    caption = "Right labels by probability"
    plot = Plot(
        across([0, 1], "highest probability", exact=True), upwards([0, 1], "right", exact=True), caption
    )
    plot.bars(np.linspace(0, 1, BINS + 1), np.nan_to_num(found.right), "s1 soft")
    plot.dots(found.confidence, found.right, "s2")
    plot.segment([0, 1], [0, 1])
    legend = [("s1 soft", "share right"), ("s2", "at the bin's mean")]
    return figure(plot.svg(), caption, legend)


def confidence(found: Reliability) -> Html:
    """How many rows each bin has."""
    caption = "Rows by probability"
    y = upwards([0, max(found.counts.max(), 1) * 1.05], "rows", exact=True, whole=True)
    plot = Plot(across([0, 1], "highest probability", exact=True), y, caption)
    plot.bars(np.linspace(0, 1, BINS + 1), found.counts, "s1")
    return figure(plot.svg(), caption)


def bar(value: float, spread: float, most: float) -> Html:
    """A small bar for a table, with a whisker of one deviation either way."""
    width, height = 160, 14
    end = max(value, 0.0) / most * width if most > 0 else 0.0
    parts = f'<rect class="s1" x="0" y="2" width="{min(end, width):.1f}" height="{height - 4}"/>'
    if np.isfinite(spread) and most > 0:
        reach = [float(np.clip(e / most * width, 0, width)) for e in (value - spread, value + spread)]
        parts += f'<path class="whisker" d="M{reach[0]:.1f} {height / 2}H{reach[1]:.1f}"/>'
    return Html(f'<svg class="bar" viewBox="0 0 {width} {height}" aria-hidden="true">{parts}</svg>')


def _some(residuals: Residuals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Not all dots: a page stays small, and a cloud says no more with more of them."""
    rows = np.random.default_rng(0).permutation(len(residuals.truth))[:MOST_DOTS]
    return residuals.truth[rows], residuals.predicted[rows]


def _steep(values: NDArray[np.float64]) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 0 and float(finite.min()) > 0 and float(finite.max() / finite.min()) > STEEP


def _drawn(value: float, *, logarithmic: bool) -> float:
    return value if value > 0 or not logarithmic else float("nan")
