"""Two pictures of a study, beside its file: how the best score rose, and which choices mattered."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study

from training import extras
from training.tuning.study import ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST = 4
"""Complete trials below which importances say nothing."""

_POINTS, _LINE = "#2563a8", "#c2571a"


def plot(study: Study, path: Path) -> tuple[Path, ...]:
    """Write what there is to see as SVG files beside the study's file.

    The importance of a choice is that of PED-ANOVA (Watanabe et al. 2023): how much the best trials' values
    of it differ from those of all.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    written = [_write(_history(study), path, "history")]
    shares = importances(study)
    return (*written, _write(_bars(shares), path, "importances")) if shares else tuple(written)


def importances(study: Study) -> dict[str, float]:
    """The share of each choice, the greatest first; nothing where the trials do not differ enough."""
    complete = ranked(study)
    if len(complete) < FEWEST or complete[0].value == complete[-1].value or not complete[0].params:
        return {}
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def _history(study: Study) -> Figure:
    figure, axes = _canvas(4.0)
    trials = sorted(ranked(study), key=lambda trial: trial.number)
    numbers, scores = [trial.number for trial in trials], [trial.value or 0.0 for trial in trials]
    axes.plot(numbers, scores, "o", color=_POINTS, label="trial")
    axes.step(numbers, list(accumulate(scores, max)), where="post", color=_LINE, label="best so far")
    axes.set(xlabel="trial", ylabel="validation score")
    axes.legend(frameon=False)
    return figure


def _bars(shares: dict[str, float]) -> Figure:
    figure, axes = _canvas(1.0 + 0.3 * len(shares))
    names = [name.replace("_", " ") for name in reversed(shares)]
    axes.barh(names, list(reversed(shares.values())), color=_POINTS)
    axes.set(xlabel="share of the importance")
    return figure


def _canvas(height: float) -> tuple[Figure, Axes]:
    extras.require("tune,train,cpu", "matplotlib.figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure: Figure, study: Path, name: str) -> Path:
    path = study.with_name(f"{study.stem}.{name}.svg")
    figure.savefig(path, format="svg")
    return path
