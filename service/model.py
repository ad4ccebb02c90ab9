"""A served model: one version of one file, proved and warmed, with what its doors need to answer."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from service import trial
from service.batching import Batcher, Cost, Feeds, Limits
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
from service.payloads import oip
from service.payloads.predict_json import Decoder, Encoder
from service.session import ActualDevice, Session, Tuning, input_fault
from service.signature import Rows, Signature, read_signature
from service.watch import Watch

INLINE_SECONDS = 0.5e-3
"""A run expected to take less stays on the event loop: handing it to a thread and back costs a tenth of
this, and other requests wait no longer than they would for any other callback."""

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
    """What /predict needs of a model that takes one table of numbers."""

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

    Raises:
        UnreadableModel: the file, its metadata or its golden rows are not in order.
    """

    def __init__(self, name: str, version: int, path: Path, host: Host | None = None) -> None:
        self.name = name
        self.version = version
        self.loaded = datetime.now(UTC)
        self.host = host = host or Host()
        self.session = Session(path, host.device, Tuning(tf32=host.tf32))
        self.metadata = _metadata(self.session)
        self._door: Door | UnsupportedSignature = _open_door(self.session, self.metadata, name, version)
        self.cost = self._measure()
        self._prove()
        self.tensors = TensorDoor(
            # The rule of the tables: a model that says what it was trained on takes no missing values.
            oip.Decoder(self.session.inputs, self.session.outputs, finite=self.metadata is not None),
            oip.Encoder(
                name, version, self.session.outputs, self.metadata.classes if self.metadata else None
            ),
        )
        self.counters = Counters(host.ledger.block(f"{name}/{version}"))
        self._batcher = self._new_batcher()

    @property
    def door(self) -> Door:
        """What /predict needs.

        Raises:
            UnsupportedSignature: the model does not take one table of numbers.
        """
        if isinstance(self._door, UnsupportedSignature):
            raise self._door
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
        """Whether a run of so many rows happens at once."""
        return self.cost.of(rows) <= INLINE_SECONDS

    def serving(self, watch: Watch) -> Serving:
        """A context for one request: it ends in a success, or by an exception in a failure."""
        watch.model, watch.version = self.name, self.version
        return Serving(self.counters, watch)

    def predict(self, rows: Rows) -> Array:
        """The predictions for a validated batch, (rows, outputs)."""
        signature = self.door.signature
        return self.run({signature.input: rows}, [signature.output])[0]

    async def predict_async(self, rows: Rows, watch: Watch) -> Array:
        """The same without holding up the event loop; raises what `infer` raises."""
        signature = self.door.signature
        [output] = await self.infer({signature.input: rows}, [signature.output], len(rows), watch)
        return output

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> list[Array]:
        """The outputs named, in that order. Safe to call from several threads at once.

        Raises:
            RunFailed: the graph has no result for these inputs.
        """
        try:
            return self.session.run(feeds, outputs)
        except Exception as error:
            reason = input_fault(error)
            if reason is None:
                raise
            raise RunFailed(reason) from error

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
            start = time.perf_counter_ns()
            arrays = self.run(feeds, outputs)
            watch.run = time.perf_counter_ns() - start
            self.counters.ran(rows)
            return arrays
        # Inputs of different lengths are the graph's own affair.
        alone = any(len(array) != rows if array.ndim else True for array in feeds.values())
        outcome = await self._batcher.submit(feeds, outputs, rows, watch.seconds_left, alone=alone)
        watch.queue, watch.run = outcome.queue, outcome.run
        return outcome.arrays

    def _new_batcher(self) -> Batcher:
        heavy = not self.is_light(256)
        return Batcher(
            self.run,
            self.host.executor,
            self.host.limits.rows_of_a_run(self.cost),
            max_wait=self.host.limits.wait_seconds,
            together=heavy and trial.is_row_wise(self.session),
            cost=self.cost,
            waits=self.counters.waits,
            ran=self.counters.ran,
        )

    def _prove(self) -> None:
        golden = self.metadata.golden if self.metadata else None
        if golden is not None and not isinstance(self._door, UnsupportedSignature):
            trial.prove_golden_rows(golden, self.predict, self._door.signature.dtype, self.session)

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
            # Rows of a table can always be made up; for other graphs a failure may be the trial's own.
            if isinstance(self._door, UnsupportedSignature) or self._door.signature.width is None:
                return trial.UNTRIED
            reason = f"a trial run failed: {str(error).splitlines()[0]}"
            raise UnreadableModel(self.session.path, reason, stage="trial") from error
        return cost


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
        return refusal
    except ValueError as error:
        raise UnreadableModel(session.path, str(error)) from error
    return Door(signature, Decoder(signature), Encoder(name, version, metadata))
