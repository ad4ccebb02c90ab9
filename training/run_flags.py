"""The flags of commands that train: every command takes them from the same tables, and adds its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from training import data_flags, loop_flags, model_flags
from training.config import RunConfig
from training.data_flags import data_config
from training.flags import Flags, spelled
from training.loop_flags import loop_fields
from training.model_flags import model_fields

PLACE: Flags = {
    "name": (Annotated[str | None, typer.Option(help="the model's name [the file's]")], None),
    "models_dir": (Annotated[Path, typer.Option(help="where the model is published")], Path("models")),
    "ensemble": (loop_flags.Ensemble, 1),
    "report": (
        Annotated[bool, typer.Option(help="write report.html and history.csv beside the model")],
        True,
    ),
}
"""Those that say what is published, and where."""

TRACKING: Flags = {
    "tensorboard": (
        Annotated[Path | None, typer.Option(help="a folder for TensorBoard: curves, choices, scores")],
        None,
    ),
    "mlflow": (
        Annotated[
            str | None,
            typer.Option(
                help="where MLflow tracks runs, such as sqlite:///runs.db; alone where MLflow itself would",
                metavar="[URI]",
            ),
        ],
        None,
    ),
}
"""Who else is told."""

_CHOICES = model_flags.FLAGS | loop_flags.FLAGS

_ONE_WAY = ("log_target",)
"""Switches that have no --no-."""


def run_config(given: Mapping[str, Any], **others: Any) -> RunConfig:
    """The run that the flags ask for.

    Args:
        given: the values of flags, of those tables that the command takes.
        others: further fields of the run.

    Raises:
        ConfigError: a flag has a value that it cannot have, or flags contradict each other.
    """
    of_data, of_model, of_loop = (
        {name: given[name] for name in table if name in given}
        for table in (data_flags.FLAGS, model_flags.FLAGS, loop_flags.FLAGS)
    )
    name = given.get("name") or _name(given["data"], given["dataset"])
    placed = {field: given[field] for field in ("models_dir", "ensemble", "report") if field in given}
    return RunConfig(
        data_config(**of_data), name, model_fields(**of_model), loop_fields(**of_loop), **placed, **others
    )


def as_flags(config: RunConfig) -> str:
    """The choices of a run as words for `foldserve train`: network and loop, not the data."""
    choices = {**config.model, **config.loop}
    return shlex.join(word for name, value in choices.items() for word in _words(name, value))


def _words(name: str, value: Any) -> Iterator[str]:
    flag = spelled(name, _CHOICES)
    if isinstance(value, bool):
        if value or name not in _ONE_WAY:
            yield flag if value else flag.replace("--", "--no-", 1)
        return
    yield flag
    yield ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def _name(data: list[Path] | None, dataset: str | None) -> str:
    return dataset or (data[0].name.split(".")[0] if data else "model")
