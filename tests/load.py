"""Clients that ask one thing again and again, and account for every request."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Account:
    """What became of the requests that were sent on a connection that the server had accepted.

    Attributes:
        statuses: how many whole answers of each status.
        lost: why others got no whole answer.
        last: how many answers said that they were the last of their connection.
        refused: how many connections were not accepted.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    last: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        return self.statuses.total()


class _Client(threading.Thread):
    """Asks until it is told to stop, or for as long as it is let in."""

    def __init__(self, load: Load, *, keep_alive: bool) -> None:
        super().__init__(daemon=True)
        self.load = load
        self.keep_alive = keep_alive

    def run(self) -> None:
        while not self.load.stopped.is_set():
            connection = http.client.HTTPConnection(*self.load.address, timeout=20)
            try:
                connection.connect()
            except OSError:
                with self.load.lock:
                    self.load.account.refused += 1
                if self.load.until_refused or self.load.stopped.wait(0.05):
                    return
                continue
            self.ask_on(connection)
            connection.close()

    def ask_on(self, connection: http.client.HTTPConnection) -> None:
        last = False
        while not (last or self.load.stopped.is_set()):
            try:
                connection.request(self.load.method, self.load.path, self.load.body, self.load.headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                with self.load.lock:
                    self.load.account.lost.append(repr(error))
                return
            last = answer.getheader("Connection") == "close" or not self.keep_alive
            with self.load.lock:
                self.load.account.statuses[answer.status] += 1
                self.load.account.last += answer.getheader("Connection") == "close"


class Load:
    """Several clients, half of which keep their connections."""

    def __init__(
        self, method: str, url: str, body: bytes, form: str, *, clients: int, until_refused: bool
    ) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.path = parts.path
        self.body = body
        self.method = method
        self.headers = {"Content-Type": form}
        self.until_refused = until_refused
        self.account = Account()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.clients = [_Client(self, keep_alive=number % 2 == 0) for number in range(clients)]

    def join(self) -> Account:
        """Wait until every client has come to its end."""
        for client in self.clients:
            client.join(30)
            assert not client.is_alive()
        return self.account


@contextmanager
def load(
    url: str,
    body: bytes,
    form: str = "application/json",
    *,
    method: str = "POST",
    clients: int = 8,
    until_refused: bool = False,
) -> Iterator[Load]:
    """Keep a server busy for as long as the block runs."""
    made = Load(method, url, body, form, clients=clients, until_refused=until_refused)
    for client in made.clients:
        client.start()
    try:
        yield made
    finally:
        made.stopped.set()
        made.join()
