"""The command `tune`: flags of `train` fix choices, the others are searched; the best is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training import data_flags, extras, loop_flags, model_flags
from training.config import LoopConfig, ModelConfig, RunConfig
from training.errors import ConfigError, TrainingError
from training.flags import Flags, taking
from training.run_flags import PLACE, TRACKING, as_flags, run_config

if TYPE_CHECKING:
    from rich.console import Console

    from training.data import Splits
    from training.loop import Epoch
    from training.pipeline import Outcome
    from training.tracking import Logs
    from training.tuning.search import Limits, Standing
    from training.tuning.space import Space

_OWN: Flags = {
    "trials": (Annotated[int, typer.Option(help="of the whole study, with those of earlier searches")], 50),
    "timeout": (Annotated[float | None, typer.Option(help="seconds after which no more is tried")], None),
    "study": (
        Annotated[
            Path | None, typer.Option(help="the file that remembers [MODELS_DIR/.tuning/NAME.sqlite3]")
        ],
        None,
    ),
}


class StoppedSearchError(TrainingError):
    """A person stopped it."""

    exit_code = 130


@taking(_OWN, data_flags.FLAGS, model_flags.FLAGS, loop_flags.FLAGS, PLACE, TRACKING)
def tune(
    *,
    trials: int,
    timeout: float | None,
    study: Path | None,
    tensorboard: Path | None,
    mlflow: str | None,
    **given: Any,
) -> None:
    """Search for better choices than the defaults on validation rows; train and publish the best."""
    _require_extra()
    from rich.console import Console

    from training.tracking import opened
    from training.tuning.search import Limits
    from training.tuning.space import Space

    config = run_config(given)
    config = replace(
        config, model=_asked(config.model, ModelConfig()), loop=_asked(config.loop, LoopConfig())
    )
    path = study or config.models_dir / ".tuning" / f"{config.name}.sqlite3"
    console = Console()
    with _going_on(path), opened(config.name, tensorboard, mlflow) as logs:
        splits = _load(console, config)
        best = _best(console, Space.of(config, splits), splits, Limits(trials, timeout), path, logs)
        outcome = _publish(console, splits, best, logs)
    _show(console, outcome, logs)


def _load(console: Console, config: RunConfig) -> Splits:
    from training.data import load
    from training.schema_table import show

    splits = load(config.data, config.seed)
    show(console, splits)
    return splits


def _best(
    console: Console, space: Space, splits: Splits, limits: Limits, path: Path, logs: Logs
) -> RunConfig:
    """Search, and say what was found."""
    from training.tuning.progress import TuningProgress
    from training.tuning.search import search
    from training.tuning.study import alone, open_study, ranked
    from training.tuning.summary import counts_of, table_of

    with alone(path), TuningProgress(console) as progress:
        study = open_study(path, space, splits)

        def watch(standing: Standing) -> None:
            progress.standing(standing)
            if standing.last is not None:
                logs.trial(standing.last.number, standing.last.values[0])

        search(study, space, splits, limits, path=path, watch=watch, observe=progress.epoch)
    best = space.config(ranked(study)[0].params)
    console.print(table_of(study, space))
    console.print(f"{counts_of(study)}; {_pictures(study, path)}", soft_wrap=True)
    console.print(f"the best: {as_flags(best)}", soft_wrap=True, markup=False, highlight=False)
    return best


def _publish(console: Console, splits: Splits, best: RunConfig, logs: Logs) -> Outcome:
    from training.pipeline import publish, train
    from training.progress import TrainingProgress

    with TrainingProgress(console) as bar:

        def observe(epoch: Epoch) -> None:
            bar.epoch(epoch)
            logs.epoch(epoch)

        trained = train(splits, best, observe)
    outcome = publish(best, splits, trained)
    logs.published(outcome.metadata, outcome.path)
    return outcome


def _pictures(study: Any, path: Path) -> str:
    from training.tuning.plots import plot

    try:
        return f"pictures: {', '.join(map(str, plot(study, path)))}"
    except ConfigError as error:
        return f"no pictures: {error}"


def _show(console: Console, outcome: Outcome, logs: Logs) -> None:
    from service.inspection import describe_model

    console.print(describe_model(outcome.metadata))
    for warning in logs.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    console.print(f"published {outcome.path}", soft_wrap=True)


@contextmanager
def _going_on(path: Path) -> Iterator[None]:
    """An interruption as one line that says what is kept."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise StoppedSearchError(f"stopped; {path} keeps the trials, and the same command goes on") from error


def _asked(given: Mapping[str, Any], usual: ModelConfig | LoopConfig) -> dict[str, Any]:
    """Without switches that stand as usual."""
    return {
        name: value
        for name, value in given.items()
        if not isinstance(value, bool) or value != getattr(usual, name)
    }


def _require_extra() -> None:
    extras.require("tune,train,cpu", "onnxscript", "optuna", "torch")
