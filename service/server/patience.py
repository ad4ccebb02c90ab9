"""How long a client may take over what, and how it is turned away.

The life of a connection is idle → head → body → answer → idle … A request must be whole within the read
timeout after its first byte; its body extends that by its size at the slowest pace that is tolerated. An
answer must leave at that pace too. One timer per connection looks at the phase now and then: a request costs
it two readings of the clock, and arms nothing.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service.app import STATUS, refusal
from service.errors import RequestError, ShuttingDown, TooManyConnections, TooSlow
from service.fastlane import FastLane
from service.settings import Settings

PACE = 64 * 1024
"""The slowest pace of a body or an answer that is tolerated, in bytes per second."""

LINGER = 1.0
"""How long what a refused client still sends is read and dropped, in seconds: a socket that is closed with
bytes unread takes back the answer as well."""

IDLE, HEAD, BODY, ANSWER, LEAVING = range(5)


@dataclass(frozen=True)
class Limits:
    """What one connection may take, and how many there may be."""

    header_bytes: int
    connections: int
    idle_seconds: float
    read_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The operator's."""
        return cls(
            settings.max_header_bytes, settings.max_connections, settings.keep_alive, settings.read_timeout
        )

    @property
    def tick(self) -> float:
        """How long a timer may sleep: no limit that begins meanwhile ends before it wakes."""
        return min(self.idle_seconds, self.read_seconds) / 2


class Shared(ServerState):
    """What the connections of a process have in common.

    Attributes:
        lane: answers what it can without the application.
        draining: every answer is the last of its connection.
    """

    def __init__(self, limits: Limits, lane: FastLane | None = None) -> None:
        super().__init__()
        self.limits = limits
        self.lane = lane
        self.draining = False


class _Unsent(NamedTuple):
    """How much of an answer its client had not taken yet, and when."""

    since: float
    size: int


class Patience(HttpToolsProtocol):
    """A connection as far as time goes: its phase, its timer, its end."""

    def __init__(
        self,
        config: Config,
        server_state: Shared,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.shared = server_state
        self._limits = server_state.limits
        self._phase = IDLE
        self._since = 0.0
        self._received = 0
        self._unsent: _Unsent | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greet a client, or turn it away when there are too many."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self.connections.discard(self)
            self._refuse(TooManyConnections(self._limits.connections))
            return
        self._timer = self.loop.call_later(self._limits.tick, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever wanted it: the application hears of it, and answers nobody."""
        self.leave_lane()
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def resume_writing(self) -> None:
        """The client has taken most of what was written."""
        super().resume_writing()
        self._unsent = None

    def close_if_quiet(self, seconds: float) -> None:
        """Close unless there is a request, or there was one a moment ago and the next may be on its way."""
        quiet = self._phase == IDLE and self.loop.time() - self._since >= seconds
        if quiet and not self.transport.get_write_buffer_size():
            self._close()

    def cut_off(self) -> None:
        """There is no more time: answer that, if no answer has begun."""
        self.leave_lane()
        if self._is_answering() and not self.cycle.response_started:
            self._disown()
            self.transport.write(_answer(ShuttingDown(), self.scope["path"]))
            self._close()
        else:
            self.transport.abort()

    def leave_lane(self) -> None:
        """Let the application have the request, as far as it has come, unless its answer is written now."""
        raise NotImplementedError

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn's timer of its own, which is never set here."""

    def _rest(self) -> None:
        self._phase = IDLE
        self._since = self.loop.time()

    def _is_answering(self) -> bool:
        """Whether the application has a request that it has not answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Is it over time? Look again when it may be."""
        now = self.loop.time()
        if self._is_stuck(now):
            self.transport.abort()
            return
        left = self._due() - now
        self._timer = self.loop.call_later(
            min(max(left, 0.0) or self._limits.tick, self._limits.tick), self._look
        )
        if left > 0:
            return
        if self._phase == IDLE:
            self._close()
        else:
            self._refuse(TooSlow(now - self._since, "body" if self._phase == BODY else "headers"))

    def _due(self) -> float:
        """When the phase must be over."""
        if self._phase == IDLE:
            return self._since + self._limits.idle_seconds
        if self._phase == HEAD:
            return self._since + self._limits.read_seconds
        if self._phase == BODY and not self.flow.read_paused:
            return self._since + self._limits.read_seconds + self._received / PACE
        return math.inf

    def _is_stuck(self, now: float) -> bool:
        """Whether the client does not take its answer."""
        size = self.transport.get_write_buffer_size()
        if not size or not (self.flow.write_paused or self.transport.is_closing()):
            self._unsent = None
            return False
        before = self._unsent
        if before is None or size <= before.size - PACE * (now - before.since):
            self._unsent = _Unsent(now, size)
            return False
        return now - before.since >= self._limits.read_seconds

    def _refuse(self, error: RequestError) -> None:
        """Answer in place of the application, and read no further."""
        self.leave_lane()
        answering, its_own = self._is_answering(), self._phase == BODY
        self._phase = LEAVING
        if answering and not its_own:
            self.cycle.keep_alive = False  # the answer to the request before comes first, and is the last
        elif its_own and (not answering or self.cycle.response_started):
            self.transport.abort()  # it has an answer already
        else:
            if answering:
                self._disown()
            self.transport.write(_answer(error, self.scope["path"] if its_own else ""))
            self.flow.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._end_within(LINGER)

    def _disown(self) -> None:
        """The application may stop: it hears that the client is gone."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _close(self) -> None:
        self._phase = LEAVING
        self.transport.close()
        self._end_within(LINGER)

    def _end_within(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


def _answer(error: RequestError, path: str) -> bytes:
    status, body = refusal(path, STATUS[type(error)], str(error), error.got, error.wanted, error.where)
    retry = b"retry-after: 1\r\n" if status == 503 else b""
    head = b"content-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head % (len(body), retry) + body
