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
from training.run_flags import PLACE, as_flags, run_config

if TYPE_CHECKING:
    from rich.console import Console

    from training.pipeline import Outcome
    from training.tuning.search import Limits

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


@taking(_OWN, data_flags.FLAGS, model_flags.FLAGS, loop_flags.FLAGS, PLACE)
def tune(*, trials: int, timeout: float | None, study: Path | None, **given: Any) -> None:
    """Search for better choices than the defaults on validation rows; train and publish the best."""
    _require_extra()
    from rich.console import Console

    from training.tuning.search import Limits

    config = run_config(given)
    config = replace(
        config, model=_asked(config.model, ModelConfig()), loop=_asked(config.loop, LoopConfig())
    )
    path = study or config.models_dir / ".tuning" / f"{config.name}.sqlite3"
    console = Console()
    with _going_on(path):
        outcome = _run(console, config, Limits(trials, timeout), path)
    _show(console, outcome)


def _run(console: Console, config: RunConfig, limits: Limits, path: Path) -> Outcome:
    from training.data import load
    from training.pipeline import publish
    from training.pipeline import train as fit
    from training.progress import TrainingProgress
    from training.schema_table import show
    from training.tuning.progress import TuningProgress
    from training.tuning.search import search
    from training.tuning.space import Space
    from training.tuning.study import alone, open_study, ranked
    from training.tuning.summary import counts_of, table_of

    splits = load(config.data, config.seed)
    show(console, splits)
    space = Space.of(config, splits)
    with alone(path):
        study = open_study(path, space, splits)
        with TuningProgress(console) as progress:
            watch, observe = progress.standing, progress.epoch
            search(study, space, splits, limits, path=path, watch=watch, observe=observe)
    best = space.config(ranked(study)[0].params)
    console.print(table_of(study, space))
    console.print(f"{counts_of(study)}; {_pictures(study, path)}", soft_wrap=True)
    console.print(f"the best: {as_flags(best)}", soft_wrap=True, markup=False, highlight=False)
    with TrainingProgress(console) as bar:
        trained = fit(splits, best, bar.epoch)
    return publish(best, splits, trained)


def _pictures(study: Any, path: Path) -> str:
    from training.tuning.plots import plot

    try:
        return f"pictures: {', '.join(map(str, plot(study, path)))}"
    except ConfigError as error:
        return f"no pictures: {error}"


def _show(console: Console, outcome: Outcome) -> None:
    from service.inspection import describe_model

    console.print(describe_model(outcome.metadata))
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
