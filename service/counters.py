"""What a served model has done since it was loaded, counted where requests end.

A request is one success or one failure, never both; a run that fails counts no rows and no execution. All
numbers of one request are added under one lock, so that a snapshot never shows half of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from threading import Lock
from types import TracebackType


@dataclass(frozen=True)
class Duration:
    """How often, and for how many nanoseconds together."""

    count: int = 0
    ns: int = 0

    def plus(self, ns: int) -> Duration:
        """One more."""
        return Duration(self.count + 1, self.ns + ns)


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
        self._totals = Totals()

    def snapshot(self) -> Totals:
        """The counts of this moment."""
        return self._totals

    def request(self) -> Stopwatch:
        """Measure one request: a context that ends in a success, or by an exception in a failure."""
        return Stopwatch(self)

    def add(self, watch: Stopwatch, *, failed: bool) -> None:
        """Count a request that has ended."""
        spent = time.perf_counter_ns() - watch.started
        with self._lock:
            old = self._totals
            if failed:
                self._totals = replace(old, fail=old.fail.plus(spent))
                return
            self._totals = Totals(
                success=old.success.plus(spent),
                fail=old.fail,
                queue=old.queue.plus(watch.queue),
                compute_input=old.compute_input.plus(watch.compute_input),
                compute_infer=old.compute_infer.plus(watch.compute_infer),
                compute_output=old.compute_output.plus(watch.compute_output),
                executions=old.executions + 1,
                rows=old.rows + watch.rows,
                last_ms=time.time_ns() // 1_000_000,
            )


@dataclass
class Stopwatch:
    """The times of one request, in nanoseconds; filled in as it proceeds."""

    counters: Counters
    rows: int = 0
    queue: int = 0
    compute_input: int = 0
    compute_infer: int = 0
    compute_output: int = 0
    started: int = field(default_factory=time.perf_counter_ns)

    def __post_init__(self) -> None:
        self._lap = self.started

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
        self.counters.add(self, failed=kind is not None)
