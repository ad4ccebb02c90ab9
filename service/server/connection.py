"""One client's connection: HTTP/1.1 by httptools. Bytes become requests here, and go on their way (`Passage`)
within their time (`Patience`)."""

from __future__ import annotations

import httptools

from service.errors import HeadTooLarge, MalformedRequest, RequestError
from service.server.passage import Passage
from service.server.patience import HEAD, IDLE, LEAVING


class Connection(Passage):
    """One connection of an HTTP server."""

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._phase == LEAVING:
            return
        if self._phase == IDLE:
            self._received = 0
        self._received += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RequestError) else MalformedRequest())
            return
        if self._phase == HEAD and self._received > self._limits.header_bytes:
            self._refuse(HeadTooLarge(self._limits.header_bytes))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._phase != IDLE:  # the request before came with it
            self._received = 0
        self.leave_lane()
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._phase = HEAD
        self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The head is there: the request may go on."""
        if self._received > self._limits.header_bytes and self._head_bytes() > self._limits.header_bytes:
            raise HeadTooLarge(self._limits.header_bytes)
        if self.parser.should_upgrade():
            return  # the parser stops here, and the head is read again without the offer
        self._choose()

    def on_message_complete(self) -> None:
        """The request is there."""
        if self._phase != HEAD:
            self._go_on()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(head + data[stop.args[0] :])

    def _head_without_upgrade(self) -> bytes:
        """The head again, as if it offered no other protocol.

        Clients in Java offer HTTP/2 by default. A server may ignore that, but the parser then skips the body.
        """
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        if len(kept) == len(self.headers):  # CONNECT
            raise httptools.HttpParserError
        fields = b"".join(b"%s: %s\r\n" % field for field in kept)
        return b"%s %s HTTP/1.1\r\n%s\r\n" % (self.parser.get_method(), self.url, fields)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
