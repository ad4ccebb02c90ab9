"""Searches of a second, on wine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study

from training.config import DataConfig, RunConfig
from training.data import Splits, load
from training.loop import Observer
from training.tuning.search import Limits, search
from training.tuning.space import Space
from training.tuning.study import counted

SMALL: Mapping[str, Any] = {"hidden": (8,), "encoding": "standard"}


def config(models_dir: Path = Path("models"), **loop: Any) -> RunConfig:
    """Two epochs of a small network."""
    return RunConfig(DataConfig("wine"), "wine", SMALL, {"epochs": 2, **loop}, models_dir)


@cache
def splits() -> Splits:
    """Nobody may change them."""
    return load(DataConfig("wine"), 0)


@cache
def space() -> Space:
    """Of the small network."""
    return Space.of(config(), splits())


def searched(
    trials: int,
    study: Study | None = None,
    *,
    over: Space | None = None,
    rows: Splits | None = None,
    observe: Observer = lambda _: None,
) -> Study:
    """A study with so many trials; in memory where none is given."""
    study = study or optuna.create_study(direction="maximize")
    search(study, over or space(), rows or splits(), Limits(trials), path=Path("x"), observe=observe)
    return study


def told(study: Study) -> list[tuple[dict[str, Any], float | None]]:
    """What was tried, and what came of it."""
    return [(trial.params, trial.value) for trial in counted(study)]
