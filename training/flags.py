"""Tables of flags: what a command takes by them, and the fields of a record that their values ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from training.errors import ConfigError

Flags = dict[str, tuple[Any, Any]]
"""A command's parameters: the annotation, which Typer reads, and the default of each."""

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


def choices_of(record: type) -> dict[str, tuple[str, ...]]:
    """The values of those fields that have a few."""
    kinds = get_type_hints(record)
    return {name: get_args(kind) for name, kind in kinds.items() if get_origin(kind) is Literal}


def fields_asked(
    table: Flags,
    given: Mapping[str, Any],
    choices: Mapping[str, tuple[str, ...]],
    **read: Callable[[str], Any],
) -> dict[str, Any]:
    """The fields that were asked for.

    Args:
        table: the flags, which messages name.
        given: their values; None asks for nothing.
        choices: the values that a field may have.
        read: what makes a field's value of the flag's text.

    Raises:
        ConfigError: a flag has a value that it cannot have.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    for name, known in choices.items():
        if name in asked and asked[name] not in known:
            flag = spelled(name, table)
            raise ConfigError(f"{flag} is {asked[name]!r}, expected one of {', '.join(known)}")
    return {name: read[name](value) if name in read else value for name, value in asked.items()}


def spelled(name: str, table: Flags) -> str:
    """A flag as it is typed; Typer keeps a name of its own where other callers give a default."""
    own = table[name][0].__metadata__[0].default
    return own if isinstance(own, str) else f"--{name.replace('_', '-')}"
