"""A command as a person calls it, in this process."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from service.commands import Command
from service.errors import FoldserveError


def call(command: object, *words: str | Path) -> tuple[int, str]:
    """The exit code and what the command prints; of an error its line, as `service.cli` shows it."""
    app = typer.Typer()
    app.command(cls=Command)(command)  # type: ignore[arg-type,type-var]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, FoldserveError):
        return result.exception.exit_code, result.output + str(result.exception)
    return result.exit_code, result.output
