"""The way of a request once its head is read: through the fast lane, or to the application.

What the lane may take is kept here until it is whole; then the lane has it, and answers at the end of this
turn of the loop or when the model's run is done. Whatever comes up before that (the next request of the
connection, its end, a fault) makes the request leave the lane: the application gets it as if it had come
there.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config

from service.fastlane import Target, target
from service.server.patience import ANSWER, BODY, Patience, Shared
from service.ways import Item

_END_OF_HEAD = b"\r\n\r\n"


class Passage(Patience):
    """A connection as far as its requests go on and are answered."""

    def __init__(
        self,
        config: Config,
        server_state: Shared,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._target: Target | None = None
        """What the request in the fast lane asks for, until it is answered."""
        self._parts: list[bytes] = []
        self._item: Item | None = None
        """The request, while the lane has it."""

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        if self._target is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_response_complete(self) -> None:
        """The application's answer is written: the next request may begin."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._phase == ANSWER:  # a request refused before its end must still end in time
            self._rest()

    def drain(self) -> None:
        """The answer under way is the last."""
        if self._item is None:  # what the lane has is answered there
            self.leave_lane()
        if self._is_answering() and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def leave_lane(self) -> None:
        """Let the application have the request, as far as it has come, unless its answer is written now."""
        if self._item is not None and self.shared.lane is not None:
            self.shared.lane.flush()
        if self._item is not None:
            self._item.left = True
            self._answer(None)
        elif self._target is not None:
            self._pass_on()

    def _choose(self) -> None:
        """The head is there: take the lane, or let the application begin."""
        self._phase = BODY
        self._target = self._lane_target()
        if self._target is None:
            self._begin()

    def _lane_target(self) -> Target | None:
        """What this request asks for, when it may take the fast lane."""
        lane = self.shared.lane
        if (
            lane is None
            or self.shared.draining
            or self._is_answering()
            or self.expect_100_continue
            or (found := target(self.url)) is None
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
        ):
            return None
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        return found if length.isdigit() and int(length) <= lane.longest else None

    def _begin(self) -> None:
        """Hand the request to the application."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, which the lane does without
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()
        if self.shared.draining:
            self.cycle.keep_alive = False

    def _go_on(self) -> None:
        """The request is there, whole."""
        if self._target is not None:
            if self._is_taken(self._target):
                return
            self._pass_on()
        self._end_message()

    def _end_message(self) -> None:
        """Tell the application that it has the whole request."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()
        else:
            self._phase = ANSWER

    def _is_taken(self, asked: Target) -> bool:
        lane = self.shared.lane
        if lane is None or self.shared.draining or self.flow.write_paused:
            return False
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._item = lane.take(asked, self.headers, body, self._answer)
        if self._item is None:
            return False
        self._phase = ANSWER
        return True

    def _answer(self, answer: bytes | None) -> None:
        """The lane's answer; without one the application gives it."""
        self._item = None
        if answer is None:
            self._pass_on()
            self._end_message()
            return
        self._target, self._parts = None, []
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._rest()
        elif self.shared.draining:
            self.transport.write(answer.replace(_END_OF_HEAD, b"\r\nconnection: close" + _END_OF_HEAD, 1))
            self.transport.close()
        else:
            self.transport.write(answer)
            self._rest()

    def _pass_on(self) -> None:
        """Let the application have the request, as far as it has come."""
        self._target, parts, self._parts = None, self._parts, []
        self._begin()
        for part in parts:
            super().on_body(part)
