"""HTTP/1.1 over a bare socket: one connection, one request at a time, cheap enough to load a server with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


class ClosedEarly(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection that stays open as long as the server lets it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.local_port = 0

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request and read the whole answer.

        Raises:
            ClosedEarly: the connection ended in between.
            ConnectionRefusedError: nobody listens any more.
        """
        await self._open()
        assert self._reader
        assert self._writer
        try:
            self._writer.write(request)
            await self._writer.drain()
            answer = await self._read(self._reader)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ClosedEarly(str(error) or type(error).__name__) from error
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def hang_up(self, request: bytes) -> None:
        """Send a whole request and go without waiting for the answer."""
        await self._open()
        assert self._writer
        try:
            self._writer.write(request)
            await self._writer.drain()
        except ConnectionError:
            pass
        self.close()

    def close(self) -> None:
        """Let it go."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _open(self) -> None:
        if self._reader is not None and self._reader.at_eof():
            self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            self.local_port = self._writer.get_extra_info("sockname")[1]

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        return Answer(int(head[0].split()[1]), headers, body)


def post(path: str, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    """A whole POST request."""
    lines = [f"POST {path} HTTP/1.1", "host: soak", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
