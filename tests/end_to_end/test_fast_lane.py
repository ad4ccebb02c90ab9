"""Every request is answered the same with the fast lane and without: status, headers, body and counts."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.fastlane import FastLane
from service.routes.hot import INLINE_BYTES
from tests import graphs
from tests.end_to_end import test_mutated_bodies as bodies
from tests.end_to_end.test_every_door import MODELS
from tests.servers import Running, running

JSON = {"content-type": "application/json"}
_OWN = re.compile(rb"dur=[\d.]+|x-request-id: \w+|foldserve_\S+")
TABLE = next(body for path, body, form in bodies.REQUESTS if path == "/models/table/predict" and form == JSON)
KEY = "a-key-that-is-long-enough"


class Pair:
    """Two servers of the same models, one with the fast lane and one without."""

    def __init__(self, fast: Running, plain: Running) -> None:
        self.servers = (fast, plain)
        self._sockets: list[socket.socket] = []

    def ask(self, path: str, body: bytes, headers: Mapping[str, str | bytes], method: str = "POST") -> bytes:
        """The whole answer of both, when it is the same but for times and names."""
        head = [f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n".encode()]
        for name, value in headers.items():
            head.append(
                name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
            )
        answers = [exchange(server, b"".join([*head, b"\r\n", body])) for server in self.servers]
        assert answers[0] == answers[1], body
        return answers[0]


def exchange(server: Running, request: bytes) -> bytes:
    """What comes back for the bytes of one request, without what differs each time."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(_Copy(connection))  # type: ignore[arg-type]
        answer.begin()
        whole = answer.read()
        status = f"{answer.status} {answer.getheaders()}".encode()
    return _OWN.sub(b"-", re.sub(rb"'x-request-id', '\w+'", b"-", status)) + whole


class _Copy:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def makefile(self, *_: Any) -> Any:
        return self._connection.makefile("rb")


@pytest.fixture(scope="module", params=["light", "heavy"])
def pair(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Both, with models whose runs happen on the loop, and with the same models taken for heavy ones."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "heavy":
            patched.setattr("service.model.INLINE_SECONDS", -1.0)
        yield from _pair(tmp_path_factory)


def _pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("models")
    for name, (make, _) in MODELS.items():
        make(folder / "made").parents[1].rename(folder / name)
    (folder / "made").rmdir()
    graphs.put(graphs.of_all_datatypes(), folder, "tensors")
    options = {"default_model": "people", "device": "cpu", "max_rows": 1000}
    with (
        running(folder, fast_lane=True, **options) as fast,
        running(folder, fast_lane=False, **options) as plain,
    ):
        assert fast.server.server_state.lane
        assert plain.server.server_state.lane is None
        yield Pair(fast, plain)


def test_the_requests_of_every_door(pair: Pair) -> None:
    for path, body, headers in bodies.REQUESTS:
        answer = pair.ask(path, body, headers)
        assert answer.startswith(b"200 ") or b"NaN" in body or "tensors" in path
    counted = [
        httpx.get(f"{server.address}/v2/models/stats").json()["model_stats"] for server in pair.servers
    ]
    assert [counts(stats) for stats in counted[0]] == [counts(stats) for stats in counted[1]]


def counts(stats: Mapping[str, Any]) -> tuple[Any, ...]:
    inner = stats["inference_stats"]
    return (stats["name"], stats["inference_count"], inner["success"]["count"], inner["fail"]["count"])


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_odd_bodies(pair: Pair, data: st.DataObject) -> None:
    path, body, headers = data.draw(st.sampled_from(bodies.REQUESTS))
    pair.ask(path, data.draw(bodies.mutations(body)), headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-8"},
        {**JSON, "accept": "text/csv"},
        {**JSON, "accept": "image/png"},
        {**JSON, "accept": "*/*", "Accept": "text/csv"},
        {**JSON, "x-request-timeout-ms": "1000"},
        {**JSON, "x-request-timeout-ms": "0"},
        {**JSON, "content-encoding": "gzip"},
        {**JSON, "expect": "100-continue"},
        {**JSON, "connection": "close"},
        {**JSON, "accept-encoding": "gzip, deflate, br"},
        {**JSON, "upgrade": "h2c", "connection": "upgrade"},
        {**JSON, "x-api-key": "wrong", "authorization": "Bearer wrong"},
    ],
)
def test_odd_headers(pair: Pair, headers: dict[str, str]) -> None:
    for path in (
        "/models/table/predict",
        "/models/table/versions/1/predict",
        "/models/nobody/predict",
        "/predict",
    ):
        pair.ask(path, TABLE, headers)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_and_addresses(pair: Pair, method: str) -> None:
    for path in (
        "/predict",
        "/predict?a=1",
        "/predict/",
        "/models/table/versions/0/predict",
        "/models/t%61ble/predict",
    ):
        pair.ask(path, b"{}", JSON, method)
        pair.ask(path, TABLE, JSON)


def test_requests_in_one_packet_are_answered_in_order(pair: Pair) -> None:
    head = b"POST /models/table/predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    one = head + b"content-length: %d\r\n\r\n%s" % (len(TABLE), TABLE)
    other = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answers = []
    for server in pair.servers:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(one + one + other + one + last)
            whole = b"".join(iter(lambda: connection.recv(65536), b""))
        answers.append(_OWN.sub(b"-", whole))
    assert answers[0] == answers[1]
    assert answers[0].count(b"HTTP/1.1 200 OK") == 5


def test_the_lane_is_taken(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    take = FastLane.take

    def watched(self: FastLane, *given: Any) -> Any:
        item = take(self, *given)
        taken.append(item is not None)
        return item

    monkeypatch.setattr(FastLane, "take", watched)
    pair.ask("/models/table/predict", TABLE, JSON)
    assert taken == [True]
    pair.ask("/models/table/predict", TABLE[:-1], JSON)
    assert taken == [True, False]


def test_a_body_that_is_decoded_beside_the_loop_is_not_for_the_lane(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FastLane, "take")
    assert pair.ask("/models/table/predict", TABLE.ljust(INLINE_BYTES + 1), JSON).startswith(b"200 ")


def test_keys_hold_there_too(tmp_path: Path) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path / "models", "m")
    (tmp_path / "keys").write_text(KEY)
    body, options = b'{"inputs": [[1, 2]]}', {"api_key_file": tmp_path / "keys"}
    with (
        running(tmp_path / "models", fast_lane=True, **options) as fast,
        running(tmp_path / "models", fast_lane=False, **options) as plain,
    ):
        both = Pair(fast, plain)
        assert both.ask("/predict", body, JSON).startswith(b"401 ")
        assert both.ask("/predict", body, {**JSON, "x-api-key": KEY + "x"}).startswith(b"401 ")
        assert both.ask("/predict", body, {**JSON, "x-api-key": KEY}).startswith(b"200 ")
