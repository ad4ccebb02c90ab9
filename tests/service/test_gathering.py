"""Requests of one turn of the event loop share a run; each gets its own answer, the same as alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from fastapi import FastAPI
from starlette.datastructures import State

from service.app import create_app
from service.cost import Cost
from service.fastlane import FastLane, target
from service.model import INLINE_SECONDS, ServedModel
from service.settings import Settings
from tests import graphs

PREDICT, INFER = (target(url) for url in (b"/predict", b"/v2/models/m/infer"))
HEADERS = [(b"content-type", b"application/json")]
WEIGHTS = np.random.default_rng(1).normal(size=(4, 3)).astype("f4")
_OWN = re.compile(rb"dur=[\d.]+|x-request-id: \w+")


@pytest.fixture
def state(tmp_path: Path) -> State:
    graphs.put(graphs.linear(WEIGHTS, np.zeros(3, "f4")), tmp_path, "m")
    return _made(tmp_path).state


def _made(folder: Path) -> FastAPI:
    return create_app(Settings(models_dir=folder, device="cpu"))


def rows(count: int, seed: int) -> bytes:
    return orjson.dumps({"inputs": np.random.default_rng(seed).normal(size=(count, 4)).tolist()})


def tensors(count: int, seed: int) -> bytes:
    data = np.random.default_rng(seed).normal(size=count * 4).tolist()
    entry = {"name": "x", "shape": [count, 4], "datatype": "FP32", "data": data}
    return orjson.dumps({"id": str(seed), "inputs": [entry]})


def ask(state: State, bodies: list[bytes], door: object = PREDICT) -> list[bytes | None]:
    """The answers to what comes in one turn of the loop."""
    lane = FastLane(state)
    answers: dict[int, bytes | None] = {}

    def keep(place: int) -> Callable[[bytes | None], None]:
        return lambda answer: answers.update({place: answer and _OWN.sub(b"-", answer)})

    async def turn() -> None:
        for place, body in enumerate(bodies):
            assert lane.take(door, HEADERS, body, keep(place))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    asyncio.run(turn())
    return [answers[place] for place in range(len(bodies))]


def runs(state: State) -> list[int]:
    """How many runs there were, of how many rows."""
    totals = model_of(state).counters.totals()
    return [totals.executions, totals.rows]


def model_of(state: State) -> ServedModel:
    model: ServedModel = state.repository.find("m", None)
    return model


@pytest.mark.parametrize(("door", "body"), [(PREDICT, rows), (INFER, tensors)], ids=["predict", "infer"])
def test_requests_of_one_turn_share_a_run_and_get_the_answers_of_each_alone(
    state: State, door: object, body: Callable[[int, int], bytes]
) -> None:
    bodies = [body(count, seed) for seed, count in enumerate((1, 3, 1, 2, 7))]
    together = ask(state, bodies, door)
    assert runs(state) == [1, 14]
    assert together == [ask(state, [one], door)[0] for one in bodies]
    assert model_of(state).counters.totals().successes == 10


def test_a_turn_of_more_rows_than_are_light_takes_several_runs(state: State) -> None:
    model_of(state).cost = Cost(0.0, INLINE_SECONDS / 4)
    ask(state, [rows(count, count) for count in (1, 2, 2, 3, 1)])
    assert runs(state) == [3, 9]


def test_a_number_that_float32_cannot_hold_spoils_nobody_elses_answer(state: State) -> None:
    bodies = [rows(1, 1), b'{"inputs": [[1e300, 0, 0, 0]]}', rows(2, 2)]
    answers = ask(state, bodies)
    assert answers[1] is None
    assert [answers[0], answers[2]] == [ask(state, [bodies[place]])[0] for place in (0, 2)]


def test_large_numbers_that_float32_can_hold_are_taken(state: State) -> None:
    assert ask(state, [b'{"inputs": [[3e38, 1e38, -3e38, 0]]}'])[0]


def test_rows_that_look_at_their_neighbours_are_run_alone(tmp_path: Path) -> None:
    graph = graphs.linear(WEIGHTS, np.zeros(3, "f4"), softmax=True)
    graph.graph.node[-1].attribute[0].i = 0  # the axis
    graphs.put(graph, tmp_path, "m")
    state = _made(tmp_path).state
    assert not model_of(state).is_row_wise
    bodies = [rows(2, 1), rows(1, 2)]
    assert ask(state, bodies) == [ask(state, [body])[0] for body in bodies]
    assert runs(state) == [4, 6]


def test_a_client_whose_answer_cannot_be_written_takes_no_other_answer_along(state: State) -> None:
    lane, answers = FastLane(state), []

    def fail(_: bytes | None) -> None:
        raise ConnectionResetError

    async def turn() -> None:
        assert lane.take(PREDICT, HEADERS, rows(1, 1), fail)  # type: ignore[arg-type]
        assert lane.take(PREDICT, HEADERS, rows(1, 2), answers.append)  # type: ignore[arg-type]
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert len(answers) == 1
