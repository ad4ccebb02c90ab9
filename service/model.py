"""A served model: one version of one file, proved and warmed, with what its doors need to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.batching import Batcher
from service.counters import Counters
from service.errors import RunFailed, UnreadableModel, UnsupportedSignature
from service.metadata import ModelMetadata, read_metadata, row_errors
from service.payloads import oip
from service.payloads.predict_json import Decoder, Encoder
from service.session import ActualDevice, Session, input_fault
from service.signature import Rows, Signature, read_signature

INLINE_SECONDS = 0.5e-3
"""A run expected to take less stays on the event loop: handing it to a thread and back costs a tenth of
this, and other requests wait no longer than they would for any other callback."""


Result = TypeVar("Result")


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
        batch_rows: the most rows of one run.
        wait_seconds: how long the rows in the queue may take together, by the measured cost of a row.
    """

    batch_rows: int = 256
    wait_seconds: float = 1.0


class Door(NamedTuple):
    """What /predict needs of a model that takes one table of numbers."""

    signature: Signature
    decode: Decoder
    encode: Encoder


class TensorDoor(NamedTuple):
    """What the Open Inference Protocol needs of any model."""

    decode: oip.Decoder
    encode: oip.Encoder


class ServedModel:
    """One version of a model, able to answer.

    Raises:
        UnreadableModel: the file, its metadata or its golden rows are not in order.
    """

    def __init__(
        self, name: str, version: int, path: Path, device: ActualDevice, limits: Limits | None = None
    ) -> None:
        self.name = name
        self.version = version
        self.loaded = datetime.now(UTC)
        self.session = Session(path, device)
        self.metadata = _metadata(self.session)
        self._door: Door | UnsupportedSignature = _open_door(self.session, self.metadata, name, version)
        self._prove_golden_rows()
        self.cost = self._measure()
        self.tensors = TensorDoor(
            # The rule of the tables: a model that says what it was trained on takes no missing values.
            oip.Decoder(self.session.inputs, self.session.outputs, finite=self.metadata is not None),
            oip.Encoder(name, version, self.session.outputs),
        )
        self.counters = Counters()
        self._limits = limits or Limits()
        self._batcher: Batcher | None = None

    @property
    def door(self) -> Door:
        """What /predict needs.

        Raises:
            UnsupportedSignature: the model does not take one table of numbers.
        """
        if isinstance(self._door, UnsupportedSignature):
            raise self._door
        return self._door

    def predict(self, rows: Rows) -> NDArray[Any]:
        """The predictions for a validated batch, (rows, outputs)."""
        signature = self.door.signature
        output: NDArray[Any] = self.session.run({signature.input: rows}, [signature.output])[0]
        return output

    async def predict_async(self, rows: Rows, threads: ThreadPoolExecutor) -> NDArray[Any]:
        """The same without holding up the event loop; long runs gather the rows of several requests.

        Raises:
            Overloaded: the rows that wait already would take longer than the limit.
        """
        if self.cost.of(len(rows)) <= INLINE_SECONDS:
            return self.predict(rows)
        if self.door.signature.rows is not None:
            return await asyncio.get_running_loop().run_in_executor(threads, self.predict, rows)
        if self._batcher is None:
            self._batcher = Batcher(self.predict, threads, self._limits.batch_rows, self._most_waiting())
        return await self._batcher.submit(rows)

    def _most_waiting(self) -> int:
        per_row = self.cost.per_row or self.cost.fixed
        return max(self._limits.batch_rows, int(self._limits.wait_seconds / per_row))

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> tuple[list[NDArray[Any]], int]:
        """The outputs named, in that order, and the nanoseconds that the run took.

        Raises:
            RunFailed: the graph has no result for these inputs.
        """
        start = time.perf_counter_ns()
        try:
            results = self.session.run(feeds, outputs)
        except Exception as error:
            reason = input_fault(error)
            if reason is None:
                raise
            raise RunFailed(reason) from error
        return results, time.perf_counter_ns() - start

    async def run_async(
        self,
        feeds: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        rows: int,
        threads: ThreadPoolExecutor,
    ) -> tuple[list[NDArray[Any]], int]:
        """The same without holding up the event loop when the run is expected to be long."""
        return await self._without_blocking(lambda: self.run(feeds, outputs), rows, threads)

    async def _without_blocking(
        self, run: Callable[[], Result], rows: int, threads: ThreadPoolExecutor
    ) -> Result:
        if self.cost.of(rows) <= INLINE_SECONDS:
            return run()
        return await asyncio.get_running_loop().run_in_executor(threads, run)

    def _prove_golden_rows(self) -> None:
        golden = self.metadata.golden if self.metadata else None
        if golden is None or not golden.inputs:
            return
        outputs = self.predict(np.array(golden.inputs, dtype=self.door.signature.dtype))
        expected = np.array(golden.outputs, dtype=np.float64)
        if outputs.shape != expected.shape:
            reason = f"its golden rows give shape {outputs.shape}, recorded was {expected.shape}"
            raise UnreadableModel(self.session.path, reason)
        error = float(row_errors(outputs, expected).max())
        if not error <= golden.tolerance:
            reason = f"its golden rows are off by {error:.2g}, allowed is {golden.tolerance:.2g}"
            raise UnreadableModel(self.session.path, reason)

    def _measure(self) -> Cost:
        """Warm up at two batch sizes and fit a line; a model that cannot be tried counts as long."""
        if isinstance(self._door, UnsupportedSignature) or self._door.signature.width is None:
            return Cost(1.0, 0.0)
        rows = self._door.signature.rows
        sizes = (rows, rows) if rows else (1, 64)
        try:
            one, many = (self._fastest_run(size) for size in sizes)
        except Exception as error:
            reason = f"a trial run failed: {str(error).splitlines()[0]}"
            raise UnreadableModel(self.session.path, reason) from error
        per_row = max(many - one, 0.0) / max(sizes[1] - sizes[0], 1)
        return Cost(max(one - sizes[0] * per_row, 0.0), per_row)

    def _fastest_run(self, rows: int, runs: int = 5) -> float:
        signature = self.door.signature
        batch = np.zeros((rows, len(signature.features)), dtype=signature.dtype)
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            self.predict(batch)
            times.append(time.perf_counter() - start)
        return min(times)


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
