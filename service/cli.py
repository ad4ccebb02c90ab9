"""The command `foldserve`, and errors as one line.

`serve` with nothing but plain flags does without Typer, which would stay in the server's memory for good
(2 MB). Whatever else the words are, `commands` reads them: help, other commands, and every mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from service.errors import FoldserveError
from service.settings import Settings


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and its exit code."""
    try:
        _run(sys.argv[1:])
    except FoldserveError as error:
        _end(str(error), error.exit_code)
    except ValidationError as error:
        first = error.errors()[0]
        fault = first["msg"].removeprefix("Value error, ")
        _end(f"setting {'.'.join(map(str, first['loc']))} is {first['input']!r}: {fault}", 2)
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        _end("interrupted", 130)


def plain_flags(words: Sequence[str]) -> dict[str, Any] | None:
    """The flags of `serve`, where they are plain; None for what Typer must read."""
    switches, texts = _flags()
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if word in switches:
            name, is_on = switches[word]
            given[name] = is_on
        elif flag in texts:
            value = value if equals else next(rest, "-")
            if not equals and value.startswith("-"):
                return None
            given[texts[flag]] = value
        else:
            return None
    return given


def _run(words: Sequence[str]) -> None:
    flags = plain_flags(words[1:]) if words[:1] == ["serve"] else None
    if flags is None:
        from service import commands

        commands.run()
        return
    from service.server import start

    check, quiet = flags.pop("check", False), flags.pop("quiet", False)
    start.run(Settings(**flags), check_only=check, quiet=quiet)


def _flags() -> tuple[dict[str, tuple[str, bool]], dict[str, str]]:
    """What switches a setting on or off, and what is followed by its value."""
    switches = {"--check": ("check", True), "--quiet": ("quiet", True)}
    texts = {}
    for name, field in Settings.model_fields.items():
        flag = name.replace("_", "-")
        if field.annotation is not bool:
            texts[f"--{flag}"] = name
            continue
        switches[f"--{flag}"] = (name, True)
        if field.default:
            switches[f"--no-{flag}"] = (name, False)
    return switches, texts


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"foldserve: {' '.join(message.split())}\n")
    sys.exit(code)
