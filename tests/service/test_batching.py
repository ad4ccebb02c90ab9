"""The batcher with a function that can be held still: what waits, what runs together, what fails alone."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batching import Array, Batcher
from service.errors import DeadlineExceeded, Overloaded

pytestmark = pytest.mark.anyio


class Gate:
    """A run that doubles its rows, remembers its batches, and waits while it is closed."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.batches: list[list[int]] = []

    def __call__(self, rows: Array) -> Array:
        self.batches.append(rows[:, 0].tolist())
        assert self.open.wait(10)
        if (rows < 0).any():
            raise ZeroDivisionError
        return rows * 2


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def rows(*values: int) -> Array:
    return np.array(values, np.float32)[:, None]


async def started(gate: Gate, count: int) -> None:
    """Until that many runs have begun."""
    async with asyncio.timeout(10):
        while len(gate.batches) < count:
            await asyncio.sleep(0.001)


async def test_a_lone_item_runs_at_once(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    assert (await batcher.submit(rows(1, 2))).tolist() == [[2], [4]]
    assert (await batcher.submit(rows(3))).tolist() == [[6]]
    assert gate.batches == [[1, 2], [3]]


async def test_what_arrives_during_a_run_is_the_next_batch(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit(rows(0)))
    await started(gate, 1)
    others = [asyncio.create_task(batcher.submit(rows(n, n))) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    assert batcher.waiting == 6
    gate.open.set()
    assert [r.tolist() for r in await asyncio.gather(*others)] == [[[2 * n]] * 2 for n in (1, 2, 3)]
    await first
    assert gate.batches == [[0], [1, 1, 2, 2, 3, 3]]
    assert batcher.waiting == 0


async def test_a_cancelled_item_is_not_run_and_its_neighbours_are(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit(rows(0)))
    await started(gate, 1)
    gone, stays = (asyncio.create_task(batcher.submit(rows(n))) for n in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    gate.open.set()
    assert (await stays).tolist() == [[4]]
    await first
    assert gate.batches == [[0], [2]]
    assert gone.cancelled()


async def test_an_item_cancelled_in_its_run_harms_nobody(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit(rows(0)))
    await started(gate, 1)
    first.cancel()
    second = asyncio.create_task(batcher.submit(rows(1)))
    gate.open.set()
    assert (await second).tolist() == [[2]]


async def test_an_expired_item_is_refused_before_it_runs(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit(rows(0)))
    await started(gate, 1)
    late = asyncio.create_task(batcher.submit(rows(1), timeout=0.0))
    await asyncio.sleep(0.01)
    gate.open.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await first
    assert gate.batches == [[0]]


async def test_a_failed_run_fails_only_its_own_batch(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(batcher.submit(rows(0)))
    await started(gate, 1)
    tasks = [asyncio.create_task(batcher.submit(rows(n))) for n in (-1, 1, 2, 3)]
    await asyncio.sleep(0)
    gate.open.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [type(result) for result in results[1:3]] == [ZeroDivisionError] * 2
    assert [result.tolist() for result in results[3:]] == [[[4]], [[6]]]  # type: ignore[union-attr]
    assert (await batcher.submit(rows(5))).tolist() == [[10]]


async def test_a_full_queue_refuses_by_rows_and_at_once(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=3)
    gate.open.clear()
    tasks = [asyncio.create_task(batcher.submit(rows(0)))]
    await started(gate, 1)
    tasks += [asyncio.create_task(batcher.submit(rows(1, 1)))]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 rows wait, the limit is 3"):
        await batcher.submit(rows(2, 2))
    tasks += [asyncio.create_task(batcher.submit(rows(3)))]
    gate.open.set()
    await asyncio.gather(*tasks)


async def test_an_item_larger_than_the_queue_is_taken_when_nothing_waits(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_waiting=3)
    assert (await batcher.submit(rows(*range(7)))).ravel().tolist() == [2 * n for n in range(7)]
    assert [len(batch) for batch in gate.batches] == [2, 2, 2, 1]


async def test_small_items_pass_between_the_runs_of_a_large_one(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_waiting=100)
    gate.open.clear()
    large = asyncio.create_task(batcher.submit(rows(0, 1, 2, 3, 4, 5)))
    await started(gate, 1)
    small = asyncio.create_task(batcher.submit(rows(9)))
    await asyncio.sleep(0)
    gate.open.set()
    assert (await small).tolist() == [[18]]
    assert not large.done()
    assert (await large).ravel().tolist() == [0, 2, 4, 6, 8, 10]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 6))
def test_every_item_gets_its_own_rows_back(sizes: list[int], max_rows: int) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(Gate(), executor, max_rows, max_waiting=1000)
            items = [rows(*range(100 * n, 100 * n + size)) for n, size in enumerate(sizes)]
            results = await asyncio.gather(*(batcher.submit(item) for item in items))
            assert all((result == item * 2).all() for result, item in zip(results, items, strict=True))
            assert batcher.waiting == 0

    asyncio.run(main())
