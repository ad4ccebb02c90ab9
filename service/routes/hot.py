"""The way of a prediction, whatever the door: find the model, read the body once, decode, run, encode, send.

The routes stand in the OpenAPI document like any other, but a request does not pass through FastAPI's
dependency solver or pydantic. A door says what it checks before the body is read and how it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from fastapi.routing import APIRoute
from numpy.typing import NDArray
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from service.batch import Feeds
from service.errors import InvalidHeader, TooManyRows
from service.model import ServedModel
from service.routes.bodies import header, read_body
from service.routes.compression import INLINE_BYTES as PACKED_INLINE_BYTES
from service.routes.compression import WORTH_BYTES, Coding, coding, pack, unpack, wanted
from service.routes.gate import WATCH
from service.routes.hangup import unless_gone
from service.watch import Watch

INLINE_BYTES = 192 * 1024
"""A longer body is decoded beside the event loop. One of this length takes the fast decoders about 1 ms, and
4 ms when each of its rows is a single number."""

STRICT_BYTES = 8 * 1024
"""The same for the strict decoders, in plain Python: at most about 4 ms."""

Array = NDArray[Any]
Result = TypeVar("Result")
_TIMEOUT = b"x-request-timeout-ms"
_LONGEST_TIMEOUT_MS = 86_400_000
_DIGITS = 12


class Reply(NamedTuple):
    """An answer with status 200: its headers but for the length, and its body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


class Call:
    """One request to one model."""

    __slots__ = ("body", "model", "receive", "scope", "state", "watch")

    def __init__(self, scope: Scope, receive: Receive, model: ServedModel) -> None:
        self.scope = scope
        self.receive = receive
        self.model = model
        self.state: State = scope["app"].state
        self.watch: Watch = scope[WATCH]
        self.body = b""

    def header(self, name: bytes) -> str | None:
        """The first header of that name, in lower case."""
        return header(self.scope, name)

    async def infer(self, feeds: Feeds, outputs: Sequence[str], rows: int) -> list[Array]:
        """The outputs named; raises what `ServedModel.infer` raises.

        Raises:
            TooManyRows: there are more than a request may have.
            ClientGone: the client hung up while its rows waited, so they were not run.
        """
        self.watch.rows = rows
        if rows > (most := self.state.settings.max_rows):
            raise TooManyRows(rows, most)
        answer = self.model.infer(feeds, outputs, rows, self.watch)
        arrays = await (answer if self.model.is_light(rows) else unless_gone(self.receive, answer))
        self.watch.lap()
        return arrays

    async def strictly(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of reading the body in plain Python: here when it is short."""
        if len(self.body) <= STRICT_BYTES:
            return work(*arguments)
        return await self.beside(work, *arguments)

    async def beside(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of work that is too long for the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.state.executor, work, *arguments)


class HotRoute(APIRoute):
    """A route that answers without FastAPI's request machinery; errors go to the application's table."""

    packs = False
    """Whether long answers are compressed for those who ask."""

    def open(self, call: Call) -> Any:
        """Check what can be checked before the body is read; the result is handed to `answer`."""

    async def answer(self, call: Call, opened: Any) -> Reply:
        """Decode the body, run, encode."""
        raise NotImplementedError

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await super().handle(scope, receive, send)
            return
        state: State = scope["app"].state
        path: dict[str, str] = scope["path_params"]
        model = state.repository.find(path.get("name"), path.get("version"))
        call = Call(scope, receive, model)
        with model.serving(call.watch):
            _limit(call)
            opened = self.open(call)
            packed = coding(call.header(b"content-encoding"))
            call.body = await read_body(scope, receive, state.settings.max_body_bytes)
            call.watch.begin()
            if packed:
                call.body = await _unpacked(call, packed)
            reply = await self.answer(call, opened)
            if self.packs and len(reply.body) >= WORTH_BYTES:
                reply = await _packed(call, reply)
                call.watch.encode += call.watch.lap()
        length = (b"content-length", str(len(reply.body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*reply.headers, length]})
        await send({"type": "http.response.body", "body": reply.body})


def _limit(call: Call) -> None:
    """Take the deadline from the header X-Request-Timeout-Ms."""
    given = call.header(_TIMEOUT)
    if given is None:
        return
    text = given.strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
    if not 0 < number <= _LONGEST_TIMEOUT_MS:
        wanted = f"milliseconds, a whole number from 1 to {_LONGEST_TIMEOUT_MS}"
        raise InvalidHeader("X-Request-Timeout-Ms", given, wanted)
    call.watch.limit(number / 1000)


async def _unpacked(call: Call, how: Coding) -> bytes:
    most = call.state.settings.max_body_bytes
    if len(call.body) <= PACKED_INLINE_BYTES:
        return unpack(call.body, how, most)
    return await call.beside(unpack, call.body, how, most)


async def _packed(call: Call, reply: Reply) -> Reply:
    """The answer, compressed when the client asks for that."""
    how = wanted(call.header(b"accept-encoding"))
    varies = [*reply.headers, (b"vary", b"accept-encoding")]
    if how is None:
        return Reply(varies, reply.body)
    body = await call.beside(pack, reply.body, how)
    return Reply([*varies, (b"content-encoding", how.encode())], body)
