"""What each process has answered, by HTTP status, in a block of the ledger beside those of the models.

The block begins with the number of the process, so that whoever reads the ledger can ask the system about
every worker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

KEY = "/http"
"""The block's key; those of models begin with a name."""

UNANSWERED = 0
"""The status of a request that ended without an answer: its client was gone."""

STATUSES = (
    *(UNANSWERED, 200, 304, 307),
    *(400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 429, 431, 499),
    *(500, 501, 503, 504),
)

_PROCESS = 0
_FIRST = 1
_AT = {status: index for index, status in enumerate(STATUSES, _FIRST)}
_OTHER = _FIRST + len(STATUSES)


class Tally:
    """Counts the answers of this process into one block."""

    def __init__(self, block: memoryview) -> None:
        self._block = block
        block[_PROCESS] = os.getpid()

    def answered(self, status: int, count: int = 1) -> None:
        """Count one answer, or several."""
        self._block[_AT.get(status, _OTHER)] += count


def answers(blocks: Iterable[Sequence[int]]) -> dict[str, int]:
    """How many answers of each status all processes gave; only of those that there were."""
    copies = [list(block) for block in blocks]
    names = {index: str(status or "none") for status, index in _AT.items()} | {_OTHER: "other"}
    counts = {name: sum(copy[index] for copy in copies) for index, name in names.items()}
    return {name: count for name, count in counts.items() if count}


def processes(blocks: Iterable[Sequence[int]]) -> list[int]:
    """The numbers of the processes."""
    return [block[_PROCESS] for block in blocks]
