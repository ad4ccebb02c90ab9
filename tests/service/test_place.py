"""A request of the fast lane waits for a heavy run without a task, and gets the answer of a light one."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.datastructures import State

from service.app import create_app
from service.cost import Cost
from service.fastlane import FastLane, Target
from service.model import INLINE_SECONDS, ServedModel
from service.settings import Settings
from service.ways import Rows
from tests import graphs

HEADERS = [(b"content-type", b"application/json")]
PREDICT = Target(tensors=False, name=None, version=None)
INFER = Target(tensors=True, name="m", version=None)
ROWS = np.random.default_rng(1).normal(size=(3, 4))
_OWN = re.compile(rb"dur=[\d.]+|x-request-id: \w+")
Told = list[bytes | None]


@pytest.fixture
def state(tmp_path: Path) -> State:
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype("f4")
    graphs.put(graphs.linear(weight, np.zeros(3, "f4")), tmp_path, "m")
    return create_app(Settings(models_dir=tmp_path, device="cpu")).state


def heavy(state: State, cost: Cost = Cost(2 * INLINE_SECONDS, 0.0)) -> ServedModel:  # noqa: B008 - a tuple
    """The model, thought to cost so much."""
    model: ServedModel = state.repository.find("m")
    model.cost = cost
    model._batcher = model._new_batcher()
    return model


def body(target: Target, rows: int = 3) -> bytes:
    if not target.tensors:
        return orjson.dumps({"inputs": ROWS[:rows].tolist()})
    data = ROWS[:rows].ravel().tolist()
    return orjson.dumps({"inputs": [{"name": "x", "shape": [rows, 4], "datatype": "FP32", "data": data}]})


def ask(state: State, *targets: Target) -> Told:
    """What is told to each, without times and names."""
    told: list[Told] = [[] for _ in targets]

    async def main() -> None:
        lane = FastLane(state)
        for target, answers in zip(targets, told, strict=True):
            assert lane.take(target, HEADERS, body(target), answers.append)
        async with asyncio.timeout(10):
            while not all(told):
                await asyncio.sleep(0.001)

    asyncio.run(main())
    return [answer and _OWN.sub(b"-", answer) for [answer] in told]


@pytest.mark.parametrize("target", [PREDICT, INFER], ids=["predict", "infer"])
def test_the_answer_is_that_of_a_light_model(state: State, target: Target) -> None:
    light = ask(state, target)
    model = heavy(state)
    assert ask(state, target, target) == light * 2
    totals = model.counters.totals()
    assert (totals.successes, totals.rows, totals.executions) == (3, 9, 2)
    assert totals.phases["queue"].count == totals.phases["run"].count == 3


def test_requests_of_both_doors_share_a_run(state: State) -> None:
    model = heavy(state)
    assert all(ask(state, PREDICT, INFER))
    assert model.counters.totals().executions == 1


def test_an_answer_that_cannot_be_written_is_left_to_the_ordinary_path(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = heavy(state)

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Rows, "write", fail)
    answers = ask(state, PREDICT, INFER)
    assert answers[0] is None
    assert answers[1]
    assert model.counters.totals().successes == 1


def test_a_client_whose_answer_cannot_be_written_takes_no_other_answer_along(state: State) -> None:
    heavy(state)
    told: Told = []

    def fail(_: bytes | None) -> None:
        raise ConnectionResetError

    async def main() -> None:
        lane = FastLane(state)
        assert lane.take(PREDICT, HEADERS, body(PREDICT), fail)
        assert lane.take(PREDICT, HEADERS, body(PREDICT), told.append)
        async with asyncio.timeout(10):
            while not told:
                await asyncio.sleep(0.001)

    asyncio.run(main())
    assert told[0]


def test_what_there_is_no_room_for_is_left_to_the_ordinary_path(state: State) -> None:
    model = heavy(state, Cost(0.0, 1.0))

    async def main() -> None:
        lane = FastLane(state)
        taken = [lane.take(PREDICT, HEADERS, body(PREDICT), lambda _: None) for _ in range(6)]
        assert [item is not None for item in taken] == [True] * 5 + [False]
        assert model.waiting == 15

    asyncio.run(main())


@pytest.mark.parametrize(("fixed", "per_row", "runs"), [(0.3, 0.05, 1), (0.05, 0.25, 3)])
def test_a_turn_too_heavy_for_the_loop_is_run_beside_it_where_a_run_is_dear_beside_its_rows(
    state: State, fixed: float, per_row: float, runs: int
) -> None:
    model = heavy(state, Cost(fixed * INLINE_SECONDS, per_row * INLINE_SECONDS))
    light = ask(state, PREDICT)
    assert ask(state, *[PREDICT] * 3) == light * 3
    assert model.counters.totals().executions == 1 + runs


@pytest.mark.parametrize(("fixed", "per_row", "joins"), [(0.3, 0.05, True), (0.05, 0.25, False)])
def test_light_requests_join_those_who_wait_where_a_run_is_dear_beside_its_rows(
    state: State, monkeypatch: pytest.MonkeyPatch, fixed: float, per_row: float, joins: bool
) -> None:
    model = heavy(state, Cost(fixed * INLINE_SECONDS, per_row * INLINE_SECONDS))
    gate, run, told = threading.Event(), model.session.run, list[bytes | None]()

    def held(*given: Any) -> Any:
        assert threading.current_thread() is threading.main_thread() or gate.wait(10)
        return run(*given)

    monkeypatch.setattr(model.session, "run", held)

    async def main() -> None:
        lane = FastLane(state)
        other = asyncio.ensure_future(model._batcher.submit({"x": ROWS.astype("f4")}, ["y"], 3))
        await asyncio.sleep(0)
        assert lane.take(PREDICT, HEADERS, body(PREDICT), told.append)
        lane.flush()
        assert len(told) == (0 if joins else 1)
        gate.set()
        await other
        async with asyncio.timeout(10):
            while not told:
                await asyncio.sleep(0.001)

    asyncio.run(main())
    assert told[0]
