"""The batcher with a function that can be held still: what waits, what runs together, what fails alone."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batch import Array, Feeds, Outcome
from service.batching import Batcher
from service.cost import Cost, Limits
from service.errors import DeadlineExceeded, Overloaded

pytestmark = pytest.mark.anyio


class Gate:
    """A run that doubles its rows, remembers its batches, and waits while it is closed."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.batches: list[list[int]] = []

    def __call__(self, feeds: Feeds, outputs: Sequence[str]) -> list[Array]:
        rows = feeds["x"]
        self.batches.append(rows[:, 0].tolist())
        assert self.open.wait(10)
        if (rows < 0).any():
            raise ZeroDivisionError
        return [rows * {"double": 2, "triple": 3}[name] for name in outputs]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def rows(*values: int) -> Array:
    return np.array(values, np.float32)[:, None]


async def submit(batcher: Batcher, rows: Array, timeout: float | None = None) -> Array:
    return (await batcher.submit({"x": rows}, ["double"], len(rows), timeout)).arrays[0]


async def started(gate: Gate, count: int) -> None:
    """Until that many runs have begun."""
    async with asyncio.timeout(10):
        while len(gate.batches) < count:
            await asyncio.sleep(0.001)


async def test_a_lone_item_runs_at_once(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    assert (await submit(batcher, rows(1, 2))).tolist() == [[2], [4]]
    assert (await submit(batcher, rows(3))).tolist() == [[6]]
    assert gate.batches == [[1, 2], [3]]


async def test_what_arrives_during_a_run_is_the_next_batch(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    others = [asyncio.create_task(submit(batcher, rows(n, n))) for n in (1, 2, 3)]
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
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    gone, stays = (asyncio.create_task(submit(batcher, rows(n))) for n in (1, 2))
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
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    first.cancel()
    second = asyncio.create_task(submit(batcher, rows(1)))
    gate.open.set()
    assert (await second).tolist() == [[2]]


async def test_an_expired_item_is_refused_before_it_runs(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    late = asyncio.create_task(submit(batcher, rows(1), timeout=0.0))
    await asyncio.sleep(0.01)
    gate.open.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await first
    assert gate.batches == [[0]]


async def test_of_a_failed_batch_only_the_item_at_fault_fails(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=3, max_waiting=100)
    gate.open.clear()
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    tasks = [asyncio.create_task(submit(batcher, rows(n))) for n in (-1, 1, 2, 3)]
    await asyncio.sleep(0)
    gate.open.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert type(results[1]) is ZeroDivisionError
    assert [result.tolist() for result in results[2:]] == [[[2]], [[4]], [[6]]]  # type: ignore[union-attr]
    assert gate.batches == [[0], [-1, 1, 2], [-1], [1], [2], [3]]


async def test_items_that_want_different_outputs_share_a_run(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=8)
    gate.open.clear()
    first = asyncio.create_task(submit(batcher, rows(0)))
    await started(gate, 1)
    tasks = [
        asyncio.create_task(batcher.submit({"x": rows(n)}, wanted, 1))
        for n, wanted in ((1, ["double"]), (2, ["triple", "double"]), (3, ["triple"]))
    ]
    await asyncio.sleep(0)
    gate.open.set()
    outcomes = await asyncio.gather(*tasks)
    await first
    assert [[a.item() for a in outcome.arrays] for outcome in outcomes] == [[2], [6, 4], [9]]
    assert gate.batches == [[0], [1, 2, 3]]
    assert all(outcome.run > 0 for outcome in outcomes)


@pytest.mark.parametrize("together", [True, False])
async def test_rows_that_depend_on_their_neighbours_run_alone_and_whole(
    gate: Gate, executor: ThreadPoolExecutor, together: bool
) -> None:
    batcher = Batcher(gate, executor, max_rows=4, together=together)
    gate.open.clear()
    tasks = [asyncio.create_task(submit(batcher, rows(0)))]
    await started(gate, 1)
    for item in (rows(1), rows(*range(10, 16)), rows(2), rows(3)):
        alone = together and len(item) == 6
        tasks.append(asyncio.create_task(submit_alone(batcher, item) if alone else submit(batcher, item)))
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*tasks)
    tail = [[2, 3]] if together else [[2], [3]]
    assert gate.batches == [[0], [1], [10, 11, 12, 13, 14, 15], *tail]


async def submit_alone(batcher: Batcher, item: Array) -> Array:
    return (await batcher.submit({"x": item}, ["double"], len(item), alone=True)).arrays[0]


async def test_what_cannot_be_done_in_time_is_refused_before_it_waits(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=8, cost=Cost(0.0, 1.0))
    with pytest.raises(DeadlineExceeded):
        await submit(batcher, rows(1, 2, 3), timeout=2.0)
    assert gate.batches == []
    assert (await submit(batcher, rows(1), timeout=2.0)).tolist() == [[2]]


async def test_the_queue_is_bounded_by_the_time_that_its_rows_take(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_wait=5.0, cost=Cost(0.0, 1.0))
    gate.open.clear()
    tasks = [asyncio.create_task(submit(batcher, rows(0)))]
    await started(gate, 1)
    tasks += [asyncio.create_task(submit(batcher, rows(n))) for n in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="5 rows wait, the limit is 5") as refusal:
        await submit(batcher, rows(9))
    assert refusal.value.seconds == 6.0
    gate.open.set()
    await asyncio.gather(*tasks)


async def test_what_waits_and_what_ran_is_told(gate: Gate, executor: ThreadPoolExecutor) -> None:
    waiting, runs = [0, 0], []

    def waits(requests: int, count: int) -> None:
        waiting[0] += requests
        waiting[1] += count

    batcher = Batcher(gate, executor, max_rows=4, waits=waits, ran=runs.append)
    gate.open.clear()
    tasks = [asyncio.create_task(submit(batcher, rows(0)))]
    await started(gate, 1)
    tasks += [asyncio.create_task(submit(batcher, rows(*range(5)))) for _ in range(2)]
    await asyncio.sleep(0)
    assert waiting == [2, 10]
    tasks[-1].cancel()
    gate.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert waiting == [0, 0]
    assert runs == [1, 4, 1]


def test_a_run_takes_about_as_many_rows_as_fit_in_its_time() -> None:
    assert Limits().rows_of_a_run(Cost(1e-3, 2e-4)) == 100
    assert Limits().rows_of_a_run(Cost(1.0, 0.0)) == 16384
    assert Limits().rows_of_a_run(Cost(0.0, 1.0)) == 16
    assert Limits(batch_rows=7).rows_of_a_run(Cost(0.0, 1.0)) == 7


async def test_a_full_queue_refuses_by_rows_and_at_once(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8, max_waiting=3)
    gate.open.clear()
    tasks = [asyncio.create_task(submit(batcher, rows(0)))]
    await started(gate, 1)
    tasks += [asyncio.create_task(submit(batcher, rows(1, 1)))]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 rows wait, the limit is 3"):
        await submit(batcher, rows(2, 2))
    tasks += [asyncio.create_task(submit(batcher, rows(3)))]
    gate.open.set()
    await asyncio.gather(*tasks)


async def test_an_item_larger_than_the_queue_is_taken_when_nothing_waits(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_waiting=3)
    assert (await submit(batcher, rows(*range(7)))).ravel().tolist() == [2 * n for n in range(7)]
    assert [len(batch) for batch in gate.batches] == [2, 2, 2, 1]


async def test_small_items_pass_between_the_runs_of_a_large_one(
    gate: Gate, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(gate, executor, max_rows=2, max_waiting=100)
    gate.open.clear()
    large = asyncio.create_task(submit(batcher, rows(0, 1, 2, 3, 4, 5)))
    await started(gate, 1)
    small = asyncio.create_task(submit(batcher, rows(9)))
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
            results = await asyncio.gather(*(submit(batcher, item) for item in items))
            assert all((result == item * 2).all() for result, item in zip(results, items, strict=True))
            assert batcher.waiting == 0

    asyncio.run(main())


async def test_a_large_item_keeps_no_small_ones_out(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, 4, 12, cost=Cost(0.0, 0.001))
    gate.open.clear()
    large = asyncio.create_task(submit(batcher, rows(*range(100))))
    await started(gate, 1)
    small = [asyncio.create_task(submit(batcher, rows(1000 + n), 0.1)) for n in range(4)]
    other = asyncio.create_task(submit(batcher, rows(*range(100, 200))))
    with pytest.raises(Overloaded):
        await other
    gate.open.set()
    assert [(await item).ravel().tolist() for item in small] == [[2000.0 + 2 * n] for n in range(4)]
    assert not large.done()
    assert len(await large) == 100
    assert batcher.waiting == batcher._ahead == 0


class Kept:
    """A promise that remembers what it was told, and may be given up."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.told: list[Array | BaseException] = []
        self.given_up = False
        self.then = then

    def done(self) -> bool:
        return self.given_up or bool(self.told)

    def set_result(self, outcome: Outcome, /) -> None:
        self.told.append(outcome.arrays[0])
        self.then()

    def set_exception(self, error: BaseException, /) -> None:
        self.told.append(error)


def promise(batcher: Batcher, rows: Array, kept: Kept | None = None) -> Kept:
    kept = kept or Kept()
    batcher.submit_nowait({"x": rows}, ["double"], len(rows), kept)
    return kept


async def until_told(*all_kept: Kept) -> None:
    async with asyncio.timeout(10):
        while not all(kept.told for kept in all_kept):
            await asyncio.sleep(0.001)


async def test_a_promise_is_kept_without_a_task(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8)
    before = asyncio.all_tasks()
    kept = [promise(batcher, rows(n, n)) for n in (1, 2)]
    assert asyncio.all_tasks() == before
    await until_told(*kept)
    assert [[array.tolist() for array in one.told] for one in kept] == [[[[2], [2]]], [[[4], [4]]]]  # type: ignore[union-attr]
    assert gate.batches == [[1, 1, 2, 2]]


async def test_a_promise_given_up_is_not_run_and_not_told(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=8)
    gate.open.clear()
    first = promise(batcher, rows(0))
    await started(gate, 1)
    gone, stays = promise(batcher, rows(1)), promise(batcher, rows(2))
    gone.given_up = first.given_up = True
    gate.open.set()
    await until_told(stays)
    assert gate.batches == [[0], [2]]
    assert gone.told == first.told == []
    assert batcher.waiting == 0


@pytest.mark.parametrize(("fixed", "first"), [(10.0, [1, 2, 3, 4]), (0.0, [1, 2])])
async def test_a_run_is_put_off_while_turns_of_the_loop_bring_more_and_that_is_worth_it(
    gate: Gate, executor: ThreadPoolExecutor, fixed: float, first: list[int]
) -> None:
    batcher = Batcher(gate, executor, max_rows=8, cost=Cost(fixed, 0.0))
    kept = [promise(batcher, rows(1)), promise(batcher, rows(2))]
    for number in (3, 4):
        await asyncio.sleep(0)
        kept.append(promise(batcher, rows(number)))
    await until_told(*kept)
    assert gate.batches[0] == first


async def test_a_full_run_is_not_put_off(gate: Gate, executor: ThreadPoolExecutor) -> None:
    batcher = Batcher(gate, executor, max_rows=2, cost=Cost(10.0, 0.0))
    kept = [promise(batcher, rows(1)), promise(batcher, rows(2))]
    await asyncio.sleep(0)
    kept.append(promise(batcher, rows(3)))
    await until_told(*kept)
    assert gate.batches == [[1, 2], [3]]


@pytest.mark.parametrize(("beside", "runs"), [(True, [[0], [1], [2]]), (False, [[0], [1, 2]])])
async def test_without_a_core_for_itself_a_run_begins_when_the_answers_are_out(
    gate: Gate, executor: ThreadPoolExecutor, beside: bool, runs: list[list[int]]
) -> None:
    batcher = Batcher(gate, executor, max_rows=8, beside=beside)
    gate.open.clear()
    late = Kept()
    first = promise(batcher, rows(0), Kept(lambda: promise(batcher, rows(2), late) and None))
    await started(gate, 1)
    waits = promise(batcher, rows(1))
    gate.open.set()
    await until_told(first, waits, late)
    assert gate.batches == runs


async def test_an_executor_that_takes_no_more_work_fails_the_item_and_not_the_batcher(gate: Gate) -> None:
    executor = ThreadPoolExecutor(1)
    batcher = Batcher(gate, executor, max_rows=8)
    executor.shutdown()
    kept = [promise(batcher, rows(1)), promise(batcher, rows(2))]
    await until_told(*kept)
    assert [type(one.told[0]) for one in kept] == [RuntimeError, RuntimeError]
    assert batcher.waiting == 0


async def test_outputs_without_a_part_for_each_item_are_a_failure_that_is_told(
    executor: ThreadPoolExecutor,
) -> None:
    batcher = Batcher(lambda _feeds, _outputs: [np.array(1.0)], executor, max_rows=8)
    kept = [promise(batcher, rows(1)), promise(batcher, rows(2))]
    await until_told(*kept)
    assert [isinstance(one.told[0], IndexError) for one in kept] == [True, True]
