"""The story of one request in numbers: who asked, when, until when, and where the time went."""

from __future__ import annotations

import time

from service.errors import DeadlineExceeded


class Watch:
    """Made where a request arrives, filled in as it proceeds. Times are nanoseconds.

    Attributes:
        request_id: the caller's name for the request, or ours.
        arrived: when its head was read, by `time.perf_counter_ns`.
        deadline: when the answer is of no more use, by the same clock; None for no limit.
        decode: bytes → arrays.
        queue: waiting for a run.
        run: the runs it took part in.
        encode: arrays → bytes.
        rows: how many rows it has.
        model: who answers; None until that is known.
        error: why it was refused, for the log: nothing from its body.
        fault: what went wrong on our side.
        status: of the answer, once its head is sent; 0 before.
    """

    __slots__ = (
        "_begun",
        "_lap",
        "arrived",
        "deadline",
        "decode",
        "encode",
        "error",
        "fault",
        "model",
        "queue",
        "request_id",
        "rows",
        "run",
        "status",
        "total",
        "version",
    )

    def __init__(self, request_id: str = "") -> None:
        self.request_id = request_id
        self.arrived = self._begun = self._lap = time.perf_counter_ns()
        self.deadline: int | None = None
        self.decode = self.queue = self.run = self.encode = self.rows = self.total = self.status = 0
        self.model: str | None = None
        self.version: int | None = None
        self.error: str | None = None
        self.fault: Exception | None = None

    def begin(self) -> None:
        """The body is here: what is timed begins now, for its sender's speed is not ours."""
        self._begun = self._lap = time.perf_counter_ns()

    def lap(self) -> int:
        """The nanoseconds since the last lap."""
        now = time.perf_counter_ns()
        spent, self._lap = now - self._lap, now
        return spent

    def end(self) -> None:
        """The answer is there, or will never be."""
        self.total = time.perf_counter_ns() - self._begun

    def phases(self) -> dict[str, int]:
        """The nanoseconds of each part."""
        return {"decode": self.decode, "queue": self.queue, "run": self.run, "encode": self.encode}

    def since_arrival(self) -> int:
        """The nanoseconds since the head was read; a slow sender's time is among them."""
        return time.perf_counter_ns() - self.arrived

    def limit(self, seconds: float) -> None:
        """Nobody wants the answer later than this after the request arrived; the shortest limit holds."""
        deadline = self.arrived + round(seconds * 1e9)
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    @property
    def seconds_left(self) -> float | None:
        """The time until the deadline, negative when it has passed; None when there is none."""
        return None if self.deadline is None else (self.deadline - time.perf_counter_ns()) / 1e9

    def check(self, expected: float) -> None:
        """Refuse work that would take this many seconds when its answer would come too late.

        Raises:
            DeadlineExceeded: it would.
        """
        left = self.seconds_left
        if left is not None and expected > left:
            raise DeadlineExceeded
