"""The flags of commands that train: every command takes them from the same tables, and adds its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from training import data_flags, loop_flags, model_flags
from training.config import RunConfig
from training.data_flags import data_config
from training.loop_flags import loop_fields
from training.model_flags import Flags, model_fields

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

Command = TypeVar("Command", bound=Callable[..., None])


def taking(*tables: Flags) -> Callable[[Command], Command]:
    """A command of keyword arguments gets these flags, in this order."""
    flags = {name: flag for table in tables for name, flag in table.items()}

    def decorate(command: Command) -> Command:
        command.__annotations__ = {name: kind for name, (kind, _) in flags.items()} | {"return": None}
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
                for name, (kind, default) in flags.items()
            ]
        )
        return command

    return decorate


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


def _name(data: list[Path] | None, dataset: str | None) -> str:
    return dataset or (data[0].name.split(".")[0] if data else "model")
