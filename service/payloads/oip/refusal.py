"""How a bad request is told what is wrong: one line, safe to print, with what came and what was wanted."""

from __future__ import annotations

from typing import Any

from service.errors import InvalidTensors
from service.payloads.values import show


def refuse(fault: str, *, got: Any, wanted: str, where: str) -> InvalidTensors:
    """The error for a fault at a place such as `input "x"`."""
    return InvalidTensors(f"{where}: {fault}", got=show(got), wanted=wanted, where=where)


def shown_shape(shape: Any) -> str:
    """A shape in brackets, cut where it is long."""
    text = ", ".join(str(size) if isinstance(size, int) else show(size) for size in shape[:8])
    return f"[{text[:120]}{', …' if len(shape) > 8 or len(text) > 120 else ''}]"
