"""One gRPC call, whatever it asks: judged, read, timed, answered, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from starlette.datastructures import State

from service.errors import MalformedBody, Overloaded, RequestError, ShuttingDown
from service.grpc.messages import Reply, as_message
from service.grpc.status import STATUS, http_status
from service.routes.gate import is_told, marks, report, request_id
from service.routes.hot import INLINE_BYTES
from service.watch import Watch

Metadata = Sequence[tuple[str, str | bytes]]
Judge = Callable[[Metadata], None]
"""Lets a call pass or raises the error of its refusal, by the metadata it came with, such as API keys."""

Result = TypeVar("Result")
Handler = Callable[[Any, "Call"], Awaitable[Reply]]
StreamHandler = Callable[[AsyncIterator[bytes], "Call"], AsyncIterator[Message]]

INTERNAL = "internal error: the server's log says more"
_LONGEST_DETAILS = 500


class Call:
    """One call, or one request of a stream.

    Its deadline is the client's; the longest of its work happens beside the event loop.
    """

    __slots__ = ("context", "method", "state", "watch")

    def __init__(self, state: State, context: Any, method: str) -> None:
        self.state = state
        self.context = context
        self.method = method
        self.watch = Watch(request_id(_headers(context.invocation_metadata() or ())))
        left = context.time_remaining()
        if left is not None:
            self.watch.limit(left)

    async def parse(self, kind: Any, body: bytes) -> Any:
        """The message in a body.

        Raises:
            MalformedBody: there is none.
        """
        try:
            return await self.sized(len(body), kind.FromString, body)
        except DecodeError:
            name = kind.DESCRIPTOR.full_name
            raise MalformedBody(f"the body is not an {name}", got="other bytes", wanted=name) from None

    async def sized(self, size: int, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of work on so many bytes, beside the event loop when they are many."""
        if size <= INLINE_BYTES:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self.state.executor, work, *arguments)

    def marks(self) -> list[tuple[str, str]]:
        """The metadata that every answer carries."""
        return [(name.decode(), value.decode()) for name, value in marks(self.watch)]

    async def refuse(self, error: Exception) -> NoReturn:
        """End the call with the status of an error; a fault of ours is told to the log alone."""
        if not isinstance(error, RequestError):
            self.tell(grpc.StatusCode.INTERNAL, error)
            await self.context.abort(grpc.StatusCode.INTERNAL, INTERNAL, tuple(self.marks()))
            raise error
        self.tell(STATUS[type(error)], error)
        metadata = self.marks()
        if isinstance(error, Overloaded):
            # What clients with a retry policy wait before they try again.
            metadata.append(("grpc-retry-pushback-ms", str(math.ceil(max(error.seconds, 0.1) * 1000))))
        await self.context.abort(STATUS[type(error)], str(error)[:_LONGEST_DETAILS], tuple(metadata))
        raise error

    def tell(self, code: grpc.StatusCode, error: Exception | None = None) -> None:
        """Log the end of a request, as the gate does for HTTP: at debug, or when the server is at fault."""
        watch = self.watch
        watch.status = http_status(code)
        if isinstance(error, RequestError):
            # The line may quote the message, which has no place in the log.
            watch.error = str(error) if watch.status >= 500 else type(error).__name__
        elif error is not None:
            watch.fault = error
        if is_told(watch):
            report(watch, "gRPC", self.method, self.context.peer(), grpc_status=code.name)


class Caller:
    """Makes gRPC's handlers from ours.

    Args:
        judge: is asked about every call to a handler that is not `open`.

    Attributes:
        closing: once it is set, calls that begin are refused, but for those to `open` handlers.
        running: how many calls are under way.
    """

    def __init__(self, state: State, judge: Judge) -> None:
        self._state = state
        self._judge = judge
        self.closing = asyncio.Event()
        self.running = 0

    def unary(self, method: str, handler: Handler, request: Any, reply: Any, *, is_open: bool) -> Any:
        """A handler for one request and one answer. It reads the bytes itself, so that bad ones are told."""

        async def answer(body: bytes, context: Any) -> bytes:
            call = Call(self._state, context, method)
            self.running += 1
            try:
                if not is_open:
                    self._admit(context)
                call.watch.begin()
                answered = as_message(await handler(await call.parse(request, body), call), reply)
                context.set_trailing_metadata(tuple(call.marks()))
                written: bytes = answered.SerializeToString()
                call.tell(grpc.StatusCode.OK)
            except Exception as error:
                await call.refuse(error)
            finally:
                self.running -= 1
            return written

        return grpc.unary_unary_rpc_method_handler(answer)

    def stream(self, method: str, handler: StreamHandler) -> Any:
        """A handler for a stream of requests and one of answers."""

        async def answer(bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            call = Call(self._state, context, method)
            self.running += 1
            try:
                self._admit(context)
                async for message in handler(bodies, call):
                    yield message.SerializeToString()
            except Exception as error:
                await call.refuse(error)
            finally:
                self.running -= 1

        return grpc.stream_stream_rpc_method_handler(answer)

    def _admit(self, context: Any) -> None:
        if self.closing.is_set():
            raise ShuttingDown
        self._judge(context.invocation_metadata() or ())


def _headers(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in metadata
    ]
