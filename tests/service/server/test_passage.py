"""Requests that wait for a heavy model, in the lane as in the application: whatever happens meanwhile."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service import tally
from service.cost import Cost
from service.errors import RunFailed
from service.model import INLINE_SECONDS, ServedModel
from service.server import lifetime
from tests import graphs
from tests.servers import Running, running
from tests.service.repository.files import constant, publish
from tests.service.server.test_connection import LIVE, Client

ONE = (1, 1)
FAULT = -1.0
"""A row that begins with this number fails its run."""

READ_TIMEOUT = 0.4


class Held:
    """A heavy model whose runs wait while the gate is closed."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.model: ServedModel = server.app.state.repository.find("m")
        self.cost(Cost(2 * INLINE_SECONDS, 0.0))
        self.gate = threading.Event()
        self.runs: list[list[float]] = []
        self._run = self.model.session.run
        self.model.session.run = self.run  # type: ignore[method-assign]

    def cost(self, cost: Cost) -> None:
        """What a run of the model is thought to take."""
        self.model.cost = cost
        self.model._batcher = self.model._new_batcher()

    def run(self, feeds: Any, outputs: Sequence[str] | None = None) -> list[Any]:
        self.runs.append(feeds["x"][:, 0].tolist())
        assert self.gate.wait(10)
        if (feeds["x"][:, 0] == FAULT).any():
            raise RunFailed("the graph cannot")
        return self._run(feeds, outputs)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many requests and rows wait, as the gauges say."""
        totals = self.model.counters.totals()
        return totals.waiting_requests, totals.waiting_rows

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def started(self, runs: int) -> None:
        self.until(lambda: len(self.runs) == runs)

    def tasks(self) -> int:
        return len(self.server.server.server_state.tasks)


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "application"])
def lane(request: pytest.FixtureRequest) -> bool:
    """Whether the lane is on: what follows holds with it and without."""
    return bool(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, lane: bool) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("models")
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), folder, "m")
    with serving(folder, lane, read_timeout=READ_TIMEOUT, keep_alive=1) as server:
        yield server


def serving(folder: Path, lane: bool, **settings: Any) -> AbstractContextManager[Running]:
    return running(folder, device="cpu", fast_lane=lane, watch_interval=0, **settings)


@pytest.fixture
def held(server: Running) -> Iterator[Held]:
    held = Held(server)
    yield held
    held.gate.set()
    held.until(lambda: not held.tasks() and held.waiting == (0, 0))
    del held.model.session.run


def request(*numbers: float, headers: bytes = b"") -> bytes:
    body = json.dumps({"inputs": [[number, 1.0] for number in numbers]}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + headers
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def answered(client: Client) -> tuple[int, dict[str, str], Any]:
    status, headers, body = client.answer()
    return status, headers, json.loads(body)


def prediction(client: Client) -> float:
    """The first number of the answer's first row, which is that of the request."""
    status, _, document = answered(client)
    assert status == 200, document
    number: float = document["predictions"][0][0]
    return number


@pytest.fixture
def clients(server: Running) -> Iterator[list[Client]]:
    found = [Client(server) for _ in range(4)]
    yield found
    for client in found:
        client.close()


def test_what_waits_has_a_task_in_the_application_only(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(0))
    held.started(1)
    for number, client in enumerate(clients[1:], 1):
        client.send(request(number, number))
        held.until(lambda number=number: held.waiting == (number, 2 * number))
    assert held.tasks() == (0 if held.server.server.server_state.lane else 4)
    held.gate.set()
    assert [prediction(client) for client in clients] == [0, 1, 2, 3]
    assert held.runs == [[0], [1, 1, 2, 2, 3, 3]]
    assert held.waiting == (0, 0)


def test_requests_of_one_connection_are_answered_in_their_order(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(0) + request(1) + LIVE + request(2))
    held.started(1)
    clients[0].send(request(3))
    held.gate.set()
    assert [prediction(clients[0]) for _ in range(2)] == [0, 1]
    assert answered(clients[0])[2] == {"status": "live"}
    assert [prediction(clients[0]) for _ in range(2)] == [2, 3]


def test_the_beginning_of_another_request_does_not_hold_up_the_answer(
    held: Held, clients: list[Client]
) -> None:
    clients[0].send(request(5))
    held.started(1)
    second = request(6)
    clients[0].send(second[:10])
    held.gate.set()
    assert prediction(clients[0]) == 5
    clients[0].send(second[10:])
    assert prediction(clients[0]) == 6


def test_what_is_no_request_is_refused_after_the_answer(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(5))
    held.started(1)
    clients[0].send(b"\x16\x03\x01\x02\x00")
    held.gate.set()
    assert prediction(clients[0]) == 5
    assert clients[0].is_closed()


def test_a_blank_line_after_a_request_that_fails_changes_nothing(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(FAULT) + b"\r\n")
    held.started(1)
    held.gate.set()
    status, headers, _ = answered(clients[0])
    assert (status, headers.get("connection")) == (400, None)
    clients[0].send(request(6))
    assert prediction(clients[0]) == 6


def test_waiting_is_not_being_idle(held: Held, clients: list[Client]) -> None:
    """Neither the idle time nor that for reading goes on while a request waits."""
    clients[0].send(request(5))
    clients[0].socket.settimeout(1.2)
    with pytest.raises(TimeoutError):
        clients[0].socket.recv(1)
    held.gate.set()
    clients[0].socket.settimeout(5)
    clients[0].file = clients[0].socket.makefile("rb")
    assert prediction(clients[0]) == 5
    assert clients[0].is_closed(), "idle from then on"


def test_a_client_that_hangs_up_takes_its_rows_along_and_nobody_elses(
    held: Held, clients: list[Client]
) -> None:
    before = counts(held)
    clients[0].send(request(0))
    held.started(1)
    for number, client in enumerate(clients[1:], 1):
        client.send(request(number))
        held.until(lambda number=number: held.waiting == (number, number))
    clients[2].close()
    held.until(lambda: counts(held)[2] == before[2] + 1)
    held.gate.set()
    assert [prediction(clients[n]) for n in (0, 1, 3)] == [0, 1, 3]
    assert held.runs == [[0], [1, 3]]
    assert [now - then for now, then in zip(counts(held), before, strict=True)] == [3, 3, 1, 3, 1]


def test_a_client_that_hangs_up_during_its_run_harms_nobody(held: Held, clients: list[Client]) -> None:
    before = counts(held)
    clients[0].send(request(0))
    held.started(1)
    clients[0].close()
    clients[1].send(request(1))
    held.until(lambda: counts(held)[2] == before[2] + 1)
    held.gate.set()
    assert prediction(clients[1]) == 1
    assert held.runs == [[0], [1]]
    assert [now - then for now, then in zip(counts(held), before, strict=True)] == [1, 2, 1, 1, 1]


def counts(held: Held) -> list[int]:
    """Successes, rows computed, requests whose client was gone; answers with 200 and with 499."""
    totals = held.model.counters.totals()
    answers = tally.answers(held.server.app.state.ledger.read()[tally.KEY])
    both = [answers.get(status, 0) for status in ("200", "499")]
    return [totals.successes, totals.rows, totals.failures["CANCELED"], *both]


def test_a_row_that_fails_its_run_fails_alone(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(0))
    held.started(1)
    for number, client in zip((1, FAULT, 3), clients[1:], strict=True):
        client.send(request(number))
    held.until(lambda: held.waiting == (3, 3))
    held.gate.set()
    assert [prediction(clients[n]) for n in (0, 1, 3)] == [0, 1, 3]
    status, _, document = answered(clients[2])
    assert (status, document["error"]) == (400, "the model cannot compute these inputs: the graph cannot")
    assert held.model.counters.totals().failures["BACKEND"] >= 1


def test_a_row_that_the_graph_cannot_hold_fails_alone(held: Held, clients: list[Client]) -> None:
    clients[0].send(request(0))
    held.started(1)
    clients[1].send(request(1e300))
    assert answered(clients[1])[0] == 422, "before its turn"
    held.gate.set()
    assert prediction(clients[0]) == 0


def test_more_than_can_be_computed_in_time_is_refused_at_once(held: Held, clients: list[Client]) -> None:
    held.cost(Cost(0.0, 0.1))
    clients[0].send(request(0))
    held.started(1)
    clients[1].send(request(*range(10)))
    held.until(lambda: held.waiting == (1, 10))
    clients[2].send(request(*range(8)))
    status, headers, document = answered(clients[2])
    assert (status, headers["retry-after"]) == (503, "2")
    assert document["error"].startswith("the server is busy: 10 rows wait, the limit is 16;")
    clients[2].send(request(6))
    held.until(lambda: held.waiting == (2, 11))
    held.gate.set()
    assert [prediction(client) for client in clients[:3]] == [0, 0, 6]


def test_an_answer_that_would_come_too_late_is_refused_before_it_waits(
    held: Held, clients: list[Client]
) -> None:
    held.cost(Cost(5.0, 0.0))
    clients[0].send(request(0, headers=b"X-Request-Timeout-Ms: 1000\r\n"))
    assert answered(clients[0])[0] == 504
    assert held.runs == []


def test_a_model_that_is_replaced_answers_those_who_wait_for_it(tmp_path: Path, lane: bool) -> None:
    publish(constant(1), tmp_path)
    with serving(tmp_path, lane) as server:
        held = Held(server)
        with closing(Client(server)) as first, closing(Client(server)) as second:
            first.send(request(0))
            held.started(1)
            second.send(request(0))
            held.until(lambda: held.waiting == ONE)
            publish(constant(2), tmp_path, version=2)
            shutil.rmtree(tmp_path / "m" / "1")
            for _ in range(2):
                server.app.state.repository.step(settled=True)
            assert list(server.app.state.repository.models["m"]) == [2]
            with closing(Client(server)) as third:
                third.send(request(0))
                assert prediction(third) == 2
            gone = weakref.ref(held.model)
            held.gate.set()
            assert [prediction(client) for client in (first, second)] == [1, 1]
        del held.model.session.run, held.model, held._run
        gc.collect()
        assert gone() is None


def test_what_waits_is_answered_before_the_server_ends(tmp_path: Path, lane: bool) -> None:
    publish(constant(1), tmp_path)
    with serving(tmp_path, lane) as server:
        held = Held(server)
        with closing(Client(server)) as first, closing(Client(server)) as second:
            first.send(request(0))
            held.started(1)
            second.send(request(0))
            held.until(lambda: held.waiting == ONE)
            server.stop()
            held.until(lambda: server.server.server_state.draining)
            assert server.thread.is_alive()
            held.gate.set()
            for client in (first, second):
                status, headers, _ = client.answer()
                assert (status, headers["connection"]) == (200, "close")
                assert client.is_closed()
        server.thread.join(10)
        assert not server.thread.is_alive()
        assert held.runs == [[0], [0]]


def test_what_still_waits_when_the_time_to_end_is_over_is_told_so(
    tmp_path: Path, lane: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "_LAST_WORDS", 3600.0)  # after which the process would be ended
    publish(constant(1), tmp_path)
    with serving(tmp_path, lane) as server:
        server.server._settings = server.server._settings.model_copy(update={"shutdown_timeout": 0.5})
        held = Held(server)
        with closing(Client(server)) as first, closing(Client(server)) as second:
            first.send(request(0))
            held.started(1)
            second.send(request(0))
            held.until(lambda: held.waiting == ONE)
            server.stop()
            for client in (first, second):
                status, headers, document = answered(client)
                assert (status, headers["connection"]) == (503, "close")
                assert "the server is shutting down" in document["error"]
        assert "2 requests are cut off" in caplog.text
        held.gate.set()
