"""What a served version has done since the server started, counted where requests and runs end.

Everything is an integer in one block of the ledger, so that counting is an addition in place and the workers
of a server add up. A block belongs to one event loop: only its thread counts.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from service.watch import Watch

Failure = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
"""Why a request failed, in Triton's words: no time or room, its client gone, the run, its own fault."""

FAILURES: tuple[Failure, ...] = ("REJECTED", "CANCELED", "BACKEND", "OTHER")
PHASES = ("request", "queue", "decode", "run", "encode")
"""What is timed of a request: the whole, and its parts."""

LOAD_FAILURES = ("unreadable", "unsafe", "device", "trial", "golden")
"""Why a version did not go live."""

SECONDS = tuple(
    n * scale for scale in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0) for n in (1, 2.5, 5) if n * scale >= 2e-5
)
"""The upper edges of the histograms of times: 25 µs to 5 s."""

BATCH_ROWS = tuple(2**n for n in range(15))
"""The upper edges of the histogram of rows per run: 1 to 16,384."""

_NS = [round(edge * 1e9) for edge in SECONDS]
_ROW_EDGES = list(BATCH_ROWS)


def _layout() -> dict[str, int]:
    sizes = {
        "live": 1,
        "last": 1,
        "waiting_requests": 1,
        "waiting_rows": 1,
        "rows": 1,
        "executions": 1,
        "loads": 1,
        "load_failures": len(LOAD_FAILURES),
        "failures": len(FAILURES),
        "failed_ns": 1,
        "successes": 1,
    }
    sizes |= {f"{phase}_ns": 1 for phase in PHASES}
    sizes |= {f"{phase}_histogram": len(SECONDS) + 1 for phase in PHASES}
    sizes["rows_histogram"] = len(BATCH_ROWS) + 1
    starts = [0, *accumulate(sizes.values())]
    return dict(zip([*sizes, "end"], starts, strict=True))


_AT = _layout()
SLOTS = _AT["end"]
"""How many integers a block has."""

# Looked up once: counting is part of every request.
_LIVE, _LAST, _ROWS, _EXECUTIONS = _AT["live"], _AT["last"], _AT["rows"], _AT["executions"]
_WAITING_REQUESTS, _WAITING_ROWS = _AT["waiting_requests"], _AT["waiting_rows"]
_SUCCESSES, _FAILED_NS = _AT["successes"], _AT["failed_ns"]
_SUMS = [_AT[f"{phase}_ns"] for phase in PHASES]
_HISTOGRAMS = [_AT[f"{phase}_histogram"] for phase in PHASES]
_PLACES = list(zip(_SUMS, _HISTOGRAMS, strict=True))
_REQUEST_NS, _QUEUE_NS, _DECODE_NS, _RUN_NS, _ENCODE_NS = _SUMS
_REQUESTS, _QUEUES, _DECODES, _RUNS, _ENCODES = _HISTOGRAMS


@dataclass(frozen=True)
class Histogram:
    """How many fell at or below each edge, not counting those below the edge before; the last has no edge."""

    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)


@dataclass(frozen=True)
class Totals:
    """The counts of one moment, of one worker or of all.

    Attributes:
        live: in how many workers the version is loaded.
        last_ms: when the last request was answered, in milliseconds since 1970; 0 before the first.
        rows: rows that runs computed.
        executions: runs.
        failed_ns: the time of failed requests, together.
        phases: the times of requests that were answered, in seconds.
        run_rows: rows per run.
    """

    live: int
    last_ms: int
    waiting_requests: int
    waiting_rows: int
    rows: int
    executions: int
    loads: int
    load_failures: dict[str, int]
    failures: dict[str, int]
    failed_ns: int
    successes: int
    phases: dict[str, Histogram]
    run_rows: Histogram

    @classmethod
    def of(cls, blocks: Iterable[Sequence[int]]) -> Totals:
        """The sum over blocks of the same version."""
        copies = [list(block) for block in blocks] or [[0] * SLOTS]
        total = [sum(numbers) for numbers in zip(*copies, strict=True)]
        histograms = {phase: _histogram(total, phase, len(SECONDS)) for phase in PHASES}
        return cls(
            last_ms=max(copy[_LAST] for copy in copies) // 1_000_000,
            load_failures=_named(total, "load_failures", LOAD_FAILURES),
            failures=_named(total, "failures", FAILURES),
            phases={phase: Histogram(found.counts, found.total / 1e9) for phase, found in histograms.items()},
            run_rows=Histogram(
                tuple(total[_AT["rows_histogram"] : _AT["rows_histogram"] + len(BATCH_ROWS) + 1]),
                total[_ROWS],
            ),
            **{
                name: total[_AT[name]]
                for name in ("live", "waiting_requests", "waiting_rows", "rows", "executions", "loads")
            },
            failed_ns=total[_FAILED_NS],
            successes=total[_SUCCESSES],
        )


def _histogram(total: Sequence[int], phase: str, edges: int) -> Histogram:
    start = _AT[f"{phase}_histogram"]
    return Histogram(tuple(total[start : start + edges + 1]), total[_AT[f"{phase}_ns"]])


def _named(total: Sequence[int], what: str, names: Sequence[str]) -> dict[str, int]:
    return dict(zip(names, total[_AT[what] : _AT[what] + len(names)], strict=True))


class Spent(Protocol):
    """Times of one of several requests that shared a run, in nanoseconds."""

    total: int
    queue: int
    decode: int


class Counters:
    """Counts into one block; without one, into integers of its own."""

    def __init__(self, block: memoryview | None = None) -> None:
        self._block = memoryview(bytearray(SLOTS * 8)).cast("q") if block is None else block
        # A worker that died left these behind.
        self._block[_LIVE] = self._block[_WAITING_REQUESTS] = self._block[_WAITING_ROWS] = 0

    def totals(self) -> Totals:
        """The counts of this worker."""
        return Totals.of([self._block])

    def answered(self, watch: Watch) -> None:
        """Count a request that was answered."""
        block = self._block
        block[_SUCCESSES] += 1
        block[_LAST] = time.time_ns()
        spent = (watch.total, watch.queue, watch.decode, watch.run, watch.encode)
        for (total, histogram), ns in zip(_PLACES, spent, strict=True):
            block[total] += ns
            block[histogram + bisect_left(_NS, ns)] += 1

    def answered_together(self, spent: Sequence[Spent], run: int, encode: int) -> None:
        """Count requests that shared a run and were then written, which took so many nanoseconds."""
        block, count = self._block, len(spent)
        block[_SUCCESSES] += count
        block[_LAST] = time.time_ns()
        for one in spent:
            block[_REQUEST_NS] += one.total
            block[_REQUESTS + bisect_left(_NS, one.total)] += 1
            block[_QUEUE_NS] += one.queue
            block[_QUEUES + bisect_left(_NS, one.queue)] += 1
            block[_DECODE_NS] += one.decode
            block[_DECODES + bisect_left(_NS, one.decode)] += 1
        block[_RUN_NS] += run * count
        block[_RUNS + bisect_left(_NS, run)] += count
        block[_ENCODE_NS] += encode * count
        block[_ENCODES + bisect_left(_NS, encode)] += count

    def failed(self, watch: Watch, why: Failure) -> None:
        """Count a request that was not."""
        self._block[_AT["failures"] + FAILURES.index(why)] += 1
        self._block[_FAILED_NS] += watch.total

    def ran(self, rows: int) -> None:
        """Count a run."""
        self._block[_ROWS] += rows
        self._block[_EXECUTIONS] += 1
        self._block[_AT["rows_histogram"] + bisect_left(_ROW_EDGES, rows)] += 1

    def waits(self, requests: int, rows: int) -> None:
        """What waits for a run has grown, or shrunk by negative numbers."""
        self._block[_WAITING_REQUESTS] += requests
        self._block[_WAITING_ROWS] += rows

    def loaded(self) -> None:
        """The version went live."""
        self._block[_LIVE] = 1
        self._block[_AT["loads"]] += 1

    def unloaded(self) -> None:
        """It no longer answers."""
        self._block[_LIVE] = 0

    def refused(self, why: str) -> None:
        """The version did not go live; `why` is one of LOAD_FAILURES."""
        self._block[_AT["load_failures"] + LOAD_FAILURES.index(why)] += 1
