"""One process of a server: which of them it is, and where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Worker:
    """One of the processes that answer on the same port.

    Attributes:
        number: from 0; a process that replaces a dead one takes its number.
        count: how many there are.
        folder: a private folder that all of them see for as long as the server runs; None for a lone process.
    """

    number: int = 0
    count: int = 1
    folder: Path | None = None
