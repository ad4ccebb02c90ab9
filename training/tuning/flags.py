"""as_flags(config): the choices of a run as words for `foldserve train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from training.config import RunConfig

_NAMES = {"learning_rate": "lr", "initialisation": "init"}

_ONE_WAY = ("log_target",)
"""Switches that have no --no-."""


def as_flags(config: RunConfig) -> str:
    """Network and loop; the data are not among them."""
    choices = {**config.model, **config.loop}
    return shlex.join(word for name, value in choices.items() for word in _words(name, value))


def _words(name: str, value: Any) -> Iterator[str]:
    flag = _NAMES.get(name, name).replace("_", "-")
    if isinstance(value, bool):
        if value or name not in _ONE_WAY:
            yield f"--{flag}" if value else f"--no-{flag}"
        return
    yield f"--{flag}"
    yield ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
