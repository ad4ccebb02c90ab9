"""The request could be answered, but not now, not in time, or not for this client."""

from __future__ import annotations

from service.errors.base import RequestError


class Overloaded(RequestError):
    """Too many rows wait already.

    Attributes:
        seconds: how long it will take until none of them waits.
    """

    def __init__(self, waiting: int, limit: int, seconds: float = 0.0) -> None:
        wanted = "try again later, or send fewer rows"
        message = f"the server is busy: {waiting} rows wait, the limit is {limit}; {wanted}"
        super().__init__(message, got=f"{waiting} rows waiting", wanted=wanted, where="queue")
        self.seconds = seconds


class DeadlineExceeded(RequestError):
    """The answer would come after its deadline, so the rows were not run."""

    def __init__(self) -> None:
        wanted = "a longer timeout, or fewer requests at once"
        message = f"the answer would come after its deadline, so the rows were not run; {wanted}"
        super().__init__(message, got="an answer that would come too late", wanted=wanted, where="queue")


class ClientGone(RequestError):
    """The client hung up: nobody waits for the answer."""

    def __init__(self) -> None:
        wanted = "a client that waits for its answer"
        super().__init__("the client hung up", got="the end", wanted=wanted, where="connection")


class ShuttingDown(RequestError):
    """The server has been told to end: it is not ready for more."""

    def __init__(self) -> None:
        super().__init__(
            "not ready: the server is shutting down", got="the end", wanted="another server", where="server"
        )


class MalformedRequest(RequestError):
    """What came is not HTTP/1.1."""

    def __init__(self) -> None:
        wanted = "a request in HTTP/1.1"
        super().__init__(
            f"this is not HTTP: send {wanted}", got="something else", wanted=wanted, where="request"
        )


class HeadTooLarge(RequestError):
    """The request line and the headers together are longer than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the request line and headers are too large: the limit is {limit} bytes",
            got=f"more than {limit} bytes",
            wanted=f"at most {limit} bytes",
            where="headers",
        )


class TooSlow(RequestError):
    """The request did not arrive in time."""

    def __init__(self, seconds: float, where: str) -> None:
        super().__init__(
            f"the request came too slowly: after {seconds:.3g} s it was not complete; send it in one go",
            got=f"an incomplete request after {seconds:.3g} s",
            wanted="a request that is sent in one go",
            where=where,
        )


class TooManyConnections(RequestError):
    """The server holds as many connections as it may."""

    def __init__(self, limit: int) -> None:
        wanted = "try again later, or use one connection for many requests"
        super().__init__(
            f"the server holds {limit} connections already, its limit; {wanted}",
            got=f"{limit + 1} connections",
            wanted=wanted,
            where="connection",
        )
