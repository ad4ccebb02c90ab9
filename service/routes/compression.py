"""Bodies that are sent compressed, and answers that are asked for so: gzip and deflate.

A compressed body of a kilobyte may hold a megabyte, so that the limit is on what it unpacks to. Answers are
compressed for those who ask, and only where that saves a round trip: shorter ones fit into the first window
that TCP sends unasked.
"""

from __future__ import annotations

import zlib
from typing import Literal

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType
from service.routes.negotiation import weights

Coding = Literal["gzip", "deflate"]

INLINE_BYTES = 2 * 1024
"""A longer body is unpacked beside the event loop: it may become a thousand times as long."""

WORTH_BYTES = 14_600
"""Shorter answers are sent as they are: ten segments of 1460 bytes, the window with which TCP begins."""

_LEVEL = 1
_GZIP, _ZLIB, _RAW = 31, 15, -15


def coding(header: str | None) -> Coding | None:
    """How a body was compressed, by its Content-Encoding; None when it was not.

    Raises:
        UnsupportedMediaType: in a way that is not read here.
    """
    match (header or "").strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return "gzip"
        case "deflate":
            return "deflate"
    accepted = ["gzip", "deflate", "a body that is not compressed"]
    raise UnsupportedMediaType(f"Content-Encoding {header}", accepted, "header Content-Encoding")


def unpack(body: bytes, how: Coding, limit: int) -> bytes:
    """What was compressed.

    Raises:
        BodyTooLarge: it is longer than the limit.
        MalformedBody: it is not whole, or something else.
    """
    reader = zlib.decompressobj(_GZIP if how == "gzip" else _deflate(body))
    try:
        unpacked = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise _broken(how, str(error)[:80]) from None
    if len(unpacked) > limit:
        raise BodyTooLarge(limit)
    if not reader.eof or reader.unused_data:
        raise _broken(how, "more after its end" if reader.eof else "no end")
    return unpacked


def wanted(accept: str | None) -> Coding | None:
    """How an answer shall be compressed, by the request's Accept-Encoding; None when nobody asks by name."""
    if accept is None:
        return None
    given = weights(accept)
    gzip, deflate = given.get("gzip", 0.0), given.get("deflate", 0.0)
    if not max(gzip, deflate) or given.get("identity", 0.0) > max(gzip, deflate):
        return None
    return "gzip" if gzip >= deflate else "deflate"


def pack(body: bytes, how: Coding) -> bytes:
    """The body, compressed quickly rather than well."""
    return zlib.compress(body, _LEVEL, _GZIP if how == "gzip" else _ZLIB)


def _deflate(body: bytes) -> int:
    """`deflate` means zlib's format; some senders leave out its two bytes in front."""
    is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return _ZLIB if is_zlib else _RAW


def _broken(how: Coding, came: str) -> MalformedBody:
    text = f"the body is not {how}, as its Content-Encoding says: {came}"
    return MalformedBody(text, got=came, wanted=f"one whole {how} stream")
