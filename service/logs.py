"""The log: one line per event on stderr, JSON for machines and plain words for a terminal.

Everything goes through the standard `logging`. Ours is the logger "foldserve" and those below it; what other
libraries say from "warning" on takes the same form. An event's facts travel in `extra={"facts": {...}}`.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Form = Literal["auto", "text", "json"]


class JsonForm(logging.Formatter):
    """A line is one JSON object in ASCII: no character of an event can end the line or move a cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **facts(record),
            "logger": record.name,
            "process": record.process,
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _name(record.exc_info[1])
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextForm(logging.Formatter):
    """A line for a person: time, level, message, facts; a traceback stands below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        told = " ".join(f"{name}={_word(value)}" for name, value in facts(record).items())
        line = f"{_time(record)} {record.levelname:<7} {_printable(record.getMessage())} {told}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str, form: Form = "auto") -> None:
    """Send every log of this process to stderr; of other libraries only what is at least a warning."""
    json_wanted = form == "json" or (form == "auto" and not sys.stderr.isatty())
    others = max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING)
    logging.captureWarnings(True)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": JsonForm if json_wanted else TextForm}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "line",
                }
            },
            "root": {"level": others, "handlers": ["stderr"]},
            "loggers": {"foldserve": {"level": level.upper()}},
        }
    )


def facts(record: logging.LogRecord) -> Mapping[str, Any]:
    """What an event tells beside its message."""
    found: Mapping[str, Any] = getattr(record, "facts", {})
    return found


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _word(value: object) -> str:
    """A value as one word: quoted where it would not be one."""
    text = str(value)
    return text if text.isprintable() and text and " " not in text else json.dumps(text)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
