"""Clients that speak HTTP by hand: slow, long-winded, malformed, too many, not listening."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from tests import graphs
from tests.servers import Running, running

BODY = b'{"inputs": [[1, 2]]}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
LIVE = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n"
READ_TIMEOUT = 0.4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("models")
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), folder, "m")
    big = graphs.linear(np.ones((1, 200_000), "f4"), np.zeros(200_000, "f4"))
    graphs.put(big, folder, "big")
    limits = {"max_header_bytes": 2048, "max_connections": 8, "read_timeout": READ_TIMEOUT, "keep_alive": 1}
    with running(folder, default_model="m", **limits) as server:
        yield server


class Client:
    """A socket, and the bytes that came over it."""

    def __init__(self, server: Running) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        fields = iter(self.file.readline, b"\r\n")
        headers = dict(line.decode().rstrip().split(": ", 1) for line in fields)
        return status, headers, self.file.read(int(headers["content-length"]))

    def is_closed(self) -> bool:
        """Whether the server sends nothing more; waits for that."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with closing(Client(server)) as client:
        yield client


def refused(client: Client) -> tuple[int, dict[str, str]]:
    """The answer that ends the connection."""
    status, headers, body = client.answer()
    assert headers["connection"] == "close"
    assert client.is_closed()
    facts: dict[str, str] = json.loads(body)
    assert "\n" not in facts["error"]
    return status, facts


def test_many_requests_are_answered_on_one_connection(client: Client) -> None:
    for _ in range(3):
        client.send(REQUEST)
        assert client.answer()[0] == 200


def test_requests_sent_at_once_are_answered_in_their_order(client: Client) -> None:
    client.send(REQUEST + LIVE + REQUEST)
    bodies = [client.answer()[2] for _ in range(3)]
    assert bodies[1] == b'{"status":"live"}'
    assert bodies[0] == bodies[2] == b'{"model":"m","version":1,"predictions":[[1.0,2.0]]}'


def test_a_request_in_small_pieces_is_one_request(client: Client) -> None:
    for byte in REQUEST:
        client.send(bytes([byte]))
    assert client.answer()[0] == 200


@pytest.mark.parametrize("whole", [True, False])
def test_a_head_beyond_the_limit_is_refused(client: Client, whole: bool) -> None:
    client.send(HEAD + b"X-Long: " + b"a" * 2048 + (b"\r\n\r\n" if whole else b""))
    status, facts = refused(client)
    assert status == 431
    assert facts["error"] == "the request line and headers are too large: the limit is 2048 bytes"
    assert facts["wanted"] == "at most 2048 bytes"


def test_a_long_body_does_not_count_as_head(client: Client) -> None:
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % 4096 + BODY.ljust(4096))
    assert client.answer()[0] == 200
    client.send(REQUEST)
    assert client.answer()[0] == 200


def test_the_request_before_does_not_count_as_head(client: Client) -> None:
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % 4096 + BODY.ljust(4096) + REQUEST[:10])
    assert client.answer()[0] == 200
    client.send(REQUEST[10:])
    assert client.answer()[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"]
)
def test_what_is_not_http_is_told_so(client: Client, garbage: bytes) -> None:
    client.send(garbage)
    status, facts = refused(client)
    assert status == 400
    assert facts["error"].startswith("this is not HTTP")


def test_a_malformed_body_below_v2_is_refused_in_that_protocols_words(client: Client) -> None:
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"not a length\r\n")
    status, facts = refused(client)
    assert (status, list(facts)) == (400, ["error"])


@pytest.mark.parametrize(
    ("sent", "drip", "where"),
    [(b"GET /health/live HTTP/1.1\r\nX: ", b"a", "headers"), (REQUEST[:-5], b" ", "body")],
)
def test_a_client_that_sends_a_byte_now_and_then_is_not_waited_for(
    client: Client, sent: bytes, drip: bytes, where: str
) -> None:
    start = time.monotonic()
    client.send(sent)
    for _ in range(3):
        time.sleep(READ_TIMEOUT / 8)
        client.send(drip)
    status, facts = refused(client)
    assert (status, facts["where"]) == (408, where)
    assert 0.9 * READ_TIMEOUT <= time.monotonic() - start < 2 * READ_TIMEOUT


def test_a_large_body_gets_the_time_that_its_size_needs(client: Client) -> None:
    body = BODY.ljust(64 * 1024)
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 8192):  # 0.8 s at 80 KiB/s
        client.send(body[start : start + 8192])
        time.sleep(2 * READ_TIMEOUT / 8)
    assert client.answer()[0] == 200


def test_a_connection_that_says_nothing_is_closed_without_words(client: Client) -> None:
    start = time.monotonic()
    client.send(LIVE)
    client.answer()
    client.send(b"\r\n")  # which is not the beginning of a request
    assert client.is_closed()
    assert 0.9 < time.monotonic() - start < 1.6


def test_the_rest_of_a_body_that_was_refused_must_still_come_in_time(client: Client) -> None:
    client.send(HEAD + b"Content-Length: 99999999\r\n\r\n ")
    assert client.answer()[0] == 413
    start = time.monotonic()
    assert client.is_closed()
    assert time.monotonic() - start < 2 * READ_TIMEOUT


def test_a_client_that_does_not_take_its_answer_is_not_waited_for(server: Running) -> None:
    body = b'{"inputs": [[1], [2], [3]]}'
    request = b"POST /models/big/predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
    with closing(Client(server)) as client:
        client.send((request + b"Content-Length: %d\r\n\r\n" % len(body) + body) * 4)
        wait_for_connections(server, 1)
        wait_for_connections(server, 0)


def test_more_connections_than_allowed_are_turned_away_at_once(server: Running) -> None:
    clients = [Client(server) for _ in range(8)]
    wait_for_connections(server, 8)
    with closing(Client(server)) as one_more:
        one_more.send(LIVE)
        status, headers, body = one_more.answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body)["error"].startswith("the server holds 8 connections already, its limit")
        assert one_more.is_closed()
    for client in clients:
        client.send(LIVE)
        assert client.answer()[0] == 200
        client.close()
    wait_for_connections(server, 0)


def test_an_offer_of_another_protocol_is_ignored(client: Client) -> None:
    """Java's HttpClient sends this with every first request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    request = HEAD + offer + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    for _ in range(2):
        client.send(request)
        assert client.answer()[0] == 200
    client.send(request[:-5])
    client.send(request[-5:])
    assert client.answer()[0] == 200


def wait_for_connections(server: Running, count: int) -> list[object]:
    deadline = time.monotonic() + 5
    while len(found := list(server.server.server_state.connections)) != count:
        assert time.monotonic() < deadline, f"{len(found)} connections instead of {count}"
        time.sleep(0.01)
    return found
