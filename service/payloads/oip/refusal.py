"""How a bad request is told what is wrong: one line, safe to print, with what came and what was wanted."""

from __future__ import annotations

import json
from typing import Any

from service.errors import InvalidTensors

_LONGEST_SHOWN = 60


def refuse(fault: str, *, got: Any, wanted: str, where: str) -> InvalidTensors:
    """The error for a fault at a place such as `input "x"`."""
    return InvalidTensors(f"{where}: {fault}", got=show(got), wanted=wanted, where=where)


def show(value: Any) -> str:
    """A value as JSON in ASCII, short enough for one line."""
    text = json.dumps(value) if isinstance(value, str | int | float | bool | None) else kind(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {show(value)}"
    if isinstance(value, int | float):
        return f"the number {show(value)}"
    if isinstance(value, str):
        return f"the string {show(value)}"
    return "an object" if isinstance(value, dict) else "a list"


def shown_shape(shape: Any) -> str:
    """A shape in brackets, cut where it is long."""
    text = ", ".join(str(size) if isinstance(size, int) else show(size) for size in shape[:8])
    return f"[{text[:120]}{', …' if len(shape) > 8 or len(text) > 120 else ''}]"
