"""What a served model has done since it was loaded, counted where requests end.

A request is one success or one failure, never both; a run that fails counts no rows and no execution. All
numbers of one request are added under one lock, so that a snapshot never shows half of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from types import TracebackType


@dataclass(frozen=True)
class Duration:
    """How often, and for how many nanoseconds together."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True)
class Totals:
    """The counts of one moment.

    Attributes:
        success: whole requests that were answered, from the body's last byte to the answer's bytes.
        fail: whole requests that were refused, or whose run failed.
        queue: waiting for a thread.
        compute_input: bytes → arrays.
        compute_infer: the run.
        compute_output: arrays → bytes.
        executions: runs.
        rows: rows that these runs computed.
        last_ms: when the last request was answered, in milliseconds since 1970; 0 before the first.
    """

    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()
    executions: int = 0
    rows: int = 0
    last_ms: int = 0


class Counters:
    """The totals of one model version; safe in several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        # Plain integers: this is part of every request.
        self._successes = self._failures = self._rows = self._last_ns = 0
        self._success = self._fail = 0
        self._queue = self._input = self._infer = self._output = 0

    def snapshot(self) -> Totals:
        """The counts of this moment."""
        with self._lock:
            runs = self._successes
            return Totals(
                success=Duration(runs, self._success),
                fail=Duration(self._failures, self._fail),
                queue=Duration(runs, self._queue),
                compute_input=Duration(runs, self._input),
                compute_infer=Duration(runs, self._infer),
                compute_output=Duration(runs, self._output),
                executions=runs,
                rows=self._rows,
                last_ms=self._last_ns // 1_000_000,
            )

    def request(self) -> Stopwatch:
        """Measure one request: a context that ends in a success, or by an exception in a failure."""
        return Stopwatch(self)

    def add(self, watch: Stopwatch, *, failed: bool) -> None:
        """Count a request that has ended."""
        spent = time.perf_counter_ns() - watch.started
        with self._lock:
            if failed:
                self._failures += 1
                self._fail += spent
                return
            self._successes += 1
            self._success += spent
            self._queue += watch.queue
            self._input += watch.compute_input
            self._infer += watch.compute_infer
            self._output += watch.compute_output
            self._rows += watch.rows
            self._last_ns = time.time_ns()


class Stopwatch:
    """The times of one request, in nanoseconds, and its rows; filled in as it proceeds."""

    __slots__ = (
        "_counters",
        "_lap",
        "compute_infer",
        "compute_input",
        "compute_output",
        "queue",
        "rows",
        "started",
    )

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.rows = self.queue = self.compute_input = self.compute_infer = self.compute_output = 0
        self.started = self._lap = time.perf_counter_ns()

    def lap(self) -> int:
        """The nanoseconds since the last lap."""
        now = time.perf_counter_ns()
        spent, self._lap = now - self._lap, now
        return spent

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._counters.add(self, failed=kind is not None)
