"""Plots of a comparison, as SVG that an HTML page may hold."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training.comparison import wording
from training.comparison.comparison import Comparison
from training.comparison.summary import Face, Setting, Summary
from training.comparison.trials import PERCENTILES, Look, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {True: "#2563a8", False: "#c2571a"}
"""With and without: they differ in lightness, too."""

GAP = 0.07
"""Between two names of lines, as a share of the panel's height."""

DASHES = {True: "-", False: (0, (5, 1.5))}


def curves(summary: Summary) -> str:
    """Score against steps, of the hardest face and of the best settings (figure 1a)."""
    comparison = summary.comparison
    faces = list(dict.fromkeys((summary.faces[0], summary.best)))
    figure = _figure(len(faces))
    kind = "test" if comparison.rows[2] else "validation"
    floor = _floor(comparison, faces, kind)
    for axes, face in zip(_panels(figure, len(faces)), faces, strict=True):
        for setting in (face.with_norm, face.without):
            _curve(axes, setting, kind)
        axes.set_title(f"{face.question}\n{_caption(comparison, face)}", fontsize=9, loc="left")
        axes.set(xlabel="steps", ylabel=f"{kind} {comparison.score}")
        axes.set_ylim(bottom=floor)
        axes.legend(frameon=False, loc="lower right", fontsize=9)
    return svg(figure, "curves")


def percentiles(summary: Summary) -> str:
    """The input of one unit over training, one panel for each side (figure 1b, c)."""
    face = summary.faces[0]
    settings = [face.with_norm, face.without]
    figure = _figure(2, height=3.1)
    panels = _panels(figure, 2)
    bands(panels, [setting.runs[0] for setting in settings])
    for axes, setting in zip(panels, settings, strict=True):
        axes.set_title(wording.SIDES[setting.batch_norm], fontsize=9, loc="left")
        axes.set(xlabel="steps", ylabel="input of the unit")
    return svg(figure, "percentiles")


def rates(summary: Summary) -> str:
    """The best score against the learning rate."""
    comparison = summary.comparison
    starts = comparison.grid.starts
    figure = _figure(len(starts), height=3.1)
    for axes, start in zip(_panels(figure, len(starts)), starts, strict=True):
        for side in (True, False):
            settings = [summary.setting(side, start, rate) for rate in comparison.grid.rates]
            _with_bars(axes, [s for s in settings if s.score], side)
        axes.set_title(f"weights begin as {wording.start_name(comparison, start)}", fontsize=9, loc="left")
        axes.set(xscale="log", xlabel="learning rate", ylabel=f"best validation {comparison.score}")
        axes.set_xticks(comparison.grid.rates, [f"{rate:g}" for rate in comparison.grid.rates])
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=9)
    return svg(figure, "rates")


def bands(panels: Sequence[Axes], runs: Sequence[Run]) -> None:
    """The 15th, 50th and 85th percentile of each run's watched unit; the panels share their scale."""
    seen = [[look for look in run.looks if look.unit and all(map(math.isfinite, look.unit))] for run in runs]
    for axes, run, looks in zip(panels, runs, seen, strict=True):
        if looks:
            _band(axes, looks, COLOURS[run.trial.batch_norm])
        else:
            axes.text(0.5, 0.5, "no hidden layer was seen", ha="center", transform=axes.transAxes)
    bottom, top = panels[0].get_ylim()
    for axes, looks in zip(panels, seen, strict=True):
        if looks:
            _name_lines(axes, looks[-1], GAP * (top - bottom))


def _band(axes: Axes, looks: Sequence[Look], colour: str) -> None:
    x, (low, middle, high) = [look.step for look in looks], zip(*(look.unit for look in looks), strict=True)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    for values, width in ((low, 1.0), (middle, 2.0), (high, 1.0)):
        axes.plot(x, values, color=colour, linewidth=width)
    axes.margins(x=0.02)


def _name_lines(axes: Axes, last: Look, gap: float) -> None:
    """Beside their ends, no two names closer than the gap."""
    low, middle, high = last.unit
    places = (min(low, middle - gap), middle, max(high, middle + gap))
    for percent, place in zip(PERCENTILES, places, strict=True):
        end = (last.step, place)
        axes.annotate(f"{percent} %", end, (5, 0), textcoords="offset points", va="center", fontsize=8)


def _curve(axes: Axes, setting: Setting, kind: str) -> None:
    """The mean over the seeds, and the lowest and highest of them at each step."""
    runs = [run for run in setting.runs if run.looks]
    shortest = min((len(run.looks) for run in runs), default=0)
    if not shortest:
        return
    x = [look.step for look in runs[0].looks[:shortest]]
    y = np.array([[_seen(look, kind) for look in run.looks[:shortest]] for run in runs])
    side = setting.batch_norm
    name = wording.SIDES[side] + (f" ({setting.diverged} diverged)" if setting.diverged else "")
    axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=COLOURS[side], alpha=0.15, linewidth=0)
    axes.plot(x, y.mean(axis=0), color=COLOURS[side], linestyle=DASHES[side], linewidth=1.8, label=name)


def _seen(look: Any, kind: str) -> float:
    return float(look.test if kind == "test" else look.validation)


def _floor(comparison: Comparison, faces: Sequence[Face], kind: str) -> float | None:
    """An R² far below 0 before training would flatten all that follows."""
    if comparison.task == "classification":
        return None
    runs = [run for face in faces for side in (face.with_norm, face.without) for run in side.runs]
    lowest = min((_seen(look, kind) for run in runs for look in run.looks), default=0.0)
    return max(lowest, -0.1)


def _caption(comparison: Comparison, face: Face) -> str:
    one, other = (wording.choice(comparison, side) for side in (face.with_norm, face.without))
    return one if one == other else f"with BN: {one}; without: {other}"


def _with_bars(axes: Axes, settings: Sequence[Setting], side: bool) -> None:
    """Mean and standard deviation; both sides beside each other."""
    shift = 1.03 if side else 1 / 1.03
    found = [(s.rate * shift, s.score) for s in settings if s.score]
    means = [score.mean for _, score in found]
    bars = [0.0 if math.isnan(score.deviation) else score.deviation for _, score in found]
    axes.errorbar(
        *([rate for rate, _ in found], means, bars),
        color=COLOURS[side],
        linestyle=DASHES[side],
        marker="o",
        markersize=4,
        capsize=3,
        label=wording.SIDES[side],
    )


def _figure(panels: int, height: float = 3.6) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(9.2 if panels > 1 else 5.6, height), layout="constrained")


def _panels(figure: Figure, count: int) -> list[Axes]:
    panels = list(figure.subplots(1, count, sharey=True, squeeze=False)[0])
    for axes in panels:
        plain(axes)
    return panels


def plain(axes: Axes) -> None:
    """A light grid and no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, labelleft=True)


def svg(figure: Figure, name: str) -> str:
    """As an element of a page: without a document's head, its identifiers those of this picture alone."""
    import matplotlib as mpl

    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\b(id="|href="#)', rf"\g<1>{name}-", text)
    return text.replace("url(#", f"url(#{name}-").strip()
