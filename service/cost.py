"""What runs cost, and what bounds the rows of a run and of a queue for it."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """What a run costs, in seconds: cost = fixed + rows · per_row."""

    fixed: float
    per_row: float

    def of(self, rows: int) -> float:
        """The expected time of a run."""
        return self.fixed + rows * self.per_row


class Limits(NamedTuple):
    """What bounds a model's batches and its queue.

    Attributes:
        batch_rows: the most rows of one run; None for as many as take `run_seconds`.
        wait_seconds: how long the rows in the queue may take together, by the measured cost of a row.
        run_seconds: how long a run may hold up those that come after it.
    """

    batch_rows: int | None = None
    wait_seconds: float = 1.0
    run_seconds: float = 0.02

    def rows_of_a_run(self, cost: Cost) -> int:
        """The most rows of one run."""
        if self.batch_rows is not None:
            return self.batch_rows
        return max(16, min(16384, int(self.run_seconds / max(cost.per_row, 1e-9))))
