"""table_of(study): the best trials side by side, the defaults with them."""

from __future__ import annotations

from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from training.tuning.space import Space
from training.tuning.study import counted, ranked

SHOWN = 5


def table_of(study: Study, space: Space) -> Table:
    """A column for each trial, the best first."""
    trials = ranked(study)
    shown = trials[:SHOWN]
    shown += [trial for trial in trials[SHOWN:] if _is_default(trial, space)]
    table = Table(box=None)
    table.add_column("trial")
    for trial in shown:
        table.add_column("defaults" if _is_default(trial, space) else str(trial.number), justify="right")
    table.add_row("score", *(f"{trial.value:.4f}" for trial in shown))
    table.add_row("epochs", *(str(trial.user_attrs.get("epochs", "")) for trial in shown))
    for name in space.dimensions:
        table.add_row(name.replace("_", " "), *(_shown(trial.params[name]) for trial in shown))
    return table


def counts_of(study: Study) -> str:
    """How the trials ended."""
    trials = counted(study)
    early = sum(trial.state is TrialState.PRUNED for trial in trials)
    diverged = sum(trial.state is TrialState.FAIL for trial in trials)
    return f"{len(trials)} trials, {early} ended early, {diverged} diverged"


def _is_default(trial: FrozenTrial, space: Space) -> bool:
    return trial.params == space.defaults


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
