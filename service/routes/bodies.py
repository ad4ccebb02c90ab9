"""Reading a request's headers and body from raw ASGI, within the limit."""

from __future__ import annotations

from starlette.types import Receive, Scope

from service.errors import BodyTooLarge, ClientGone


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that name, in lower case."""
    found = next((value for key, value in scope["headers"] if key == name), None)
    return None if found is None else found.decode("latin-1")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        ClientGone: the client hung up before its end.
        BodyTooLarge: it is longer than the limit, by its header or by its bytes.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(limit, int(declared))
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
