"""The commands as Typer knows them."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from docs.site import markdown
from docs.site.markdown import cell, code, table

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_ORDER = ("train", "tune", "compare", "serve", "predict", "inspect", "fold", "verify")


def page() -> str:
    """A section for each command, with its flags."""
    commands = _commands()
    unknown = set(commands) - set(_ORDER)
    parts = [_command(name, commands[name]) for name in (*_ORDER, *sorted(unknown)) if name in commands]
    head = "`foldserve COMMAND --help` prints the same. `foldserve --version` prints the version.\n\n"
    return markdown.page("Commands", "the command line", head + "\n".join(parts))


def _commands() -> dict[str, Any]:
    """Every command by its name; those of `training` from pyproject.toml, whatever is installed."""
    from service.commands import app

    whole = typer.Typer()
    whole.registered_commands.extend(app.registered_commands)
    entries = tomllib.loads(_PROJECT.read_text())["project"]["entry-points"]["foldserve.commands"]
    for name, place in entries.items():
        module, function = place.split(":")
        whole.command(name)(getattr(import_module(module), function))
    group: Any = typer.main.get_command(whole)
    return dict(group.commands)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if _is_argument(p)]
    options = [p for p in command.params if not _is_argument(p)]
    usage = " ".join(
        ["foldserve", name, *(_metavar(p) for p in arguments), *(["[FLAGS]"] if options else [])]
    )
    text = f"## {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n"
    if arguments:
        text += table(("argument", ""), [(code(_metavar(p)), cell(p.help)) for p in arguments]) + "\n"
    panels = dict.fromkeys(getattr(p, "rich_help_panel", None) or "" for p in options)
    for panel in panels:
        chosen = [p for p in options if (getattr(p, "rich_help_panel", None) or "") == panel]
        text += f"### {panel} of {name}\n\n" if panel else ""
        text += table(("flag", "", "default"), [_option(p) for p in chosen]) + "\n"
    return text


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(parameter: Any) -> tuple[str, str, str]:
    names = ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    return names, cell(parameter.help), _default(parameter)


def _default(parameter: Any) -> str:
    """The default that is a value; what the help says in brackets is chosen elsewhere."""
    value = parameter.default
    if value is None or value == [] or callable(value):
        return ""
    if isinstance(value, bool):
        return ("on" if value else "") if parameter.is_flag else str(value)
    return code(str(value))
