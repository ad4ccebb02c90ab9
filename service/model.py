"""A served model: one version of one file, proved and warmed, with what its doors need to answer."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from service import trial
from service.batch import Feeds, Promise
from service.batching import Batcher
from service.cost import Cost, Limits
from service.counters import SLOTS, Counters, Failure
from service.errors import (
    ClientGone,
    DeadlineExceeded,
    Overloaded,
    RequestError,
    RunFailed,
    UnreadableModel,
    UnsupportedSignature,
)
from service.ledger import Ledger
from service.metadata import ModelMetadata, read_metadata
from service.payloads import oip, strict_json
from service.payloads.predict_json import Decoder, Encoder
from service.session import ActualDevice, Session, Tuning, input_fault
from service.signature import Signature, read_signature
from service.watch import Watch

INLINE_SECONDS = 0.5e-3
"""A run expected to take less stays on the event loop: handing it to a thread and back costs a tenth of
this, and other requests wait no longer than they would for any other callback. Half of this for a run that
would be much cheaper for each of several requests: they meet in the queue."""

_SHARED = 8
"""A run may take as many times what it costs beside its rows, and still be worth sharing."""

_WORTH_A_POOL = 1.2
"""How many times faster a pool of threads must be, for it keeps the other cores from other models."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Host:
    """The process that models run in, and what they share there.

    Attributes:
        executor: where long runs happen.
        threads: how many threads one run may use.
        tf32: let a GPU multiply in TF32.
    """

    device: ActualDevice = "cpu"
    executor: Executor = field(default_factory=lambda: ThreadPoolExecutor(thread_name_prefix="run"))
    limits: Limits = field(default_factory=Limits)
    ledger: Ledger = field(default_factory=lambda: Ledger(SLOTS))
    threads: int = 1
    tf32: bool = False


class Door(NamedTuple):
    """What /predict needs of a model that takes rows of columns."""

    signature: Signature
    decode: Decoder
    encode: Encoder


class TensorDoor(NamedTuple):
    """What the Open Inference Protocol needs of any model."""

    decode: oip.Decoder
    encode: oip.Encoder


class Serving:
    """Counts one request when it ends."""

    __slots__ = ("_counters", "_watch")

    def __init__(self, counters: Counters, watch: Watch) -> None:
        self._counters = counters
        self._watch = watch

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._watch.end()
        if kind is None:
            self._counters.answered(self._watch)
        else:
            self._counters.failed(self._watch, _failure(error))


class ServedModel:
    """One version of a model, able to answer.

    It is part of no cycle of references, so that its memory is free when its last request is done.

    Args:
        counters: where it counts; by default a block of its own in the host's ledger.
        size: the bytes of its files, where somebody has added them up.

    Raises:
        UnreadableModel: the file, its metadata or its golden rows are not in order.
    """

    def __init__(
        self,
        name: str,
        version: int,
        path: Path,
        host: Host | None = None,
        counters: Counters | None = None,
        size: int | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.size = size
        self.loaded = datetime.now(UTC)
        self.host = host = host or Host()
        self.session = Session(path, host.device, Tuning(tf32=host.tf32))
        self.metadata = _metadata(self.session)
        self._door: Door | UnsupportedSignature = _open_door(self.session, self.metadata, name, version)
        self.cost = self._measure()
        self._prove()
        table = None if isinstance(self._door, UnsupportedSignature) else self._door.signature
        self.tensors = TensorDoor(
            # The rule of the tables: a model that says what it was trained on takes no missing values.
            oip.Decoder(
                self.session.inputs,
                self.session.outputs,
                finite=self.metadata is not None,
                missing=table.missing if table else {},
                coded=table.coded if table else (),
            ),
            oip.Encoder(
                name, version, self.session.outputs, self.metadata.classes if self.metadata else None
            ),
        )
        self.counters = counters or Counters(host.ledger.block(f"{name}/{version}"))
        self.is_row_wise = trial.is_row_wise(self.session)
        """Whether rows of several requests may share a run."""
        self._batcher = self._new_batcher()

    @property
    def door(self) -> Door:
        """What /predict needs.

        Raises:
            UnsupportedSignature: the model does not take rows of columns.
        """
        if isinstance(self._door, UnsupportedSignature):
            # A new one each time: an error that is kept keeps whatever was at work when it was raised.
            raise UnsupportedSignature(self._door.got)
        return self._door

    @property
    def waiting(self) -> int:
        """How many rows wait for a run."""
        return self._batcher.waiting

    @property
    def rows_together(self) -> int:
        """The most rows of several requests that one run computes; 0 when each request gets its own run."""
        return self._batcher.together

    def is_light(self, rows: int) -> bool:
        """Whether a run of so many rows happens at once: short, and not much cheaper shared."""
        seconds = self.cost.of(rows)
        return seconds <= INLINE_SECONDS and (
            seconds <= INLINE_SECONDS / 2 or not self._is_shared_cheaply(rows)
        )

    def is_worth_sharing(self, rows: int) -> bool:
        """Whether requests that have so many rows together had better be run together."""
        return rows <= self.rows_together and self._is_shared_cheaply(rows)

    def joins(self, rows: int) -> bool:
        """Whether rows that are light had better join those that wait or are in a run."""
        others = self._batcher.at_hand
        return others > 0 and self.is_worth_sharing(others + rows)

    def serving(self, watch: Watch) -> Serving:
        """A context for one request: it ends in a success, or by an exception in a failure."""
        watch.model, watch.version = self.name, self.version
        return Serving(self.counters, watch)

    def predict(self, feeds: Feeds) -> list[Array]:
        """The predictions for a validated batch, (rows, outputs), and what stands beside them."""
        return self.run(feeds, self.door.signature.outputs)

    async def predict_async(self, feeds: Feeds, watch: Watch) -> list[Array]:
        """The same without holding up the event loop; raises what `infer` raises."""
        signature = self.door.signature
        return await self.infer(feeds, signature.outputs, signature.count(feeds), watch)

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> list[Array]:
        """The outputs named, in that order. Safe to call from several threads at once.

        Raises:
            RunFailed: the graph has no result for these inputs.
        """
        return _run(self.session, feeds, outputs)

    async def infer(self, feeds: Feeds, outputs: Sequence[str], rows: int, watch: Watch) -> list[Array]:
        """The outputs named, without holding up the event loop; the times go into the watch.

        A short run happens at once. A long one waits its turn, and where a row does not depend on its
        neighbours it is computed together with those of other requests.

        Raises:
            RunFailed: the graph has no result for these inputs.
            Overloaded: the rows that wait already would take longer than the limit.
            DeadlineExceeded: the answer would come too late.
        """
        if self.is_light(rows):
            watch.check(self.cost.of(rows))
            return self.run_at_once(feeds, outputs, rows, watch)
        left, alone = watch.seconds_left, _is_alone(feeds, rows)
        outcome = await self._batcher.submit(feeds, outputs, rows, left, alone=alone)
        watch.queue, watch.run = outcome.queue, outcome.run
        return outcome.arrays

    def enqueue(self, feeds: Feeds, outputs: Sequence[str], rows: int, promise: Promise) -> None:
        """Promise the outputs named, for rows that are not light.

        Raises:
            Overloaded: the rows that wait already would take longer than the limit.
        """
        self._batcher.submit_nowait(feeds, outputs, rows, promise, alone=_is_alone(feeds, rows))

    def run_at_once(self, feeds: Feeds, outputs: Sequence[str], rows: int, watch: Watch) -> list[Array]:
        """The outputs named, here and now; for rows that are light.

        Raises:
            RunFailed: the graph has no result for these inputs.
        """
        start = time.perf_counter_ns()
        arrays = self.run(feeds, outputs)
        watch.run = time.perf_counter_ns() - start
        self.counters.ran(rows)
        return arrays

    def _is_shared_cheaply(self, rows: int) -> bool:
        """Whether much of a run of so many rows is what each run costs beside them."""
        return self.is_row_wise and self.cost.of(rows) <= _SHARED * self.cost.fixed

    def _new_batcher(self) -> Batcher:
        heavy = not self.is_light(256)
        return Batcher(
            partial(_run, self.session),
            self.host.executor,
            self.host.limits.rows_of_a_run(self.cost),
            max_wait=self.host.limits.wait_seconds,
            together=heavy and self.is_row_wise,
            cost=self.cost,
            beside=self.host.threads > 1 or self.host.device != "cpu",
            waits=self.counters.waits,
            ran=self.counters.ran,
        )

    def _prove(self) -> None:
        """Compare what the file answers now with what it answered when it was certified."""
        golden = self.metadata.golden if self.metadata else None
        if golden is None or not golden.inputs or isinstance(self._door, UnsupportedSignature):
            return
        rows = [list(row) for row in golden.inputs]
        try:
            feeds = strict_json.of_lists(rows, self._door.signature, "golden")
        except RequestError as error:
            reason = f"its golden rows do not fit it: {error}"
            raise UnreadableModel(self.session.path, reason, stage="golden") from error
        trial.prove_golden_rows(golden, self.predict(feeds)[0], self.session)

    def _measure(self) -> Cost:
        """What a run costs; a long one gets the host's threads when it is much faster with them."""
        try:
            cost = trial.measure(self.session)
            if self.host.threads > 1 and self.session.device == "cpu" and cost.of(64) > 2 * INLINE_SECONDS:
                pooled = Session(self.session.path, "cpu", Tuning(threads=self.host.threads))
                faster = trial.measure(pooled)
                if cost.of(64) > _WORTH_A_POOL * faster.of(64):
                    self.session, cost = pooled, faster
        except Exception as error:
            # Rows of numbers can always be made up; for other graphs a failure may be the trial's own.
            door = self._door
            if isinstance(door, UnsupportedSignature) or not (door.signature.table and door.signature.width):
                return trial.UNTRIED
            reason = f"a trial run failed: {str(error).splitlines()[0]}"
            raise UnreadableModel(self.session.path, reason, stage="trial") from error
        return cost


def _is_alone(feeds: Feeds, rows: int) -> bool:
    """Whether the inputs have different lengths: then what is a row is the graph's own affair."""
    return any(len(array) != rows if array.ndim else True for array in feeds.values())


def _run(session: Session, feeds: Feeds, outputs: Sequence[str]) -> list[Array]:
    try:
        return session.run(feeds, outputs)
    except Exception as error:
        reason = input_fault(error)
        if reason is None:
            raise
        raise RunFailed(reason) from error


def _failure(error: BaseException | None) -> Failure:
    match error:
        case Overloaded() | DeadlineExceeded():
            return "REJECTED"
        case ClientGone() | CancelledError():
            return "CANCELED"
        case RunFailed():
            return "BACKEND"
        case RequestError():
            return "OTHER"
    return "BACKEND"


def _metadata(session: Session) -> ModelMetadata | None:
    try:
        return read_metadata(session.properties)
    except ValueError as error:
        raise UnreadableModel(session.path, str(error)) from error


def _open_door(
    session: Session, metadata: ModelMetadata | None, name: str, version: int
) -> Door | UnsupportedSignature:
    try:
        signature = read_signature(session.inputs, session.outputs, metadata)
    except UnsupportedSignature as refusal:
        return refusal.with_traceback(None)
    except ValueError as error:
        raise UnreadableModel(session.path, str(error)) from error
    return Door(signature, Decoder(signature), Encoder(name, version, metadata))
