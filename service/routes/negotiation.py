"""Which form a body has and which form the answer takes: Content-Type and Accept, as RFC 9110 reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from service.errors import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
_PARAMETER = re.compile(r';\s*([\w!#$&^.+-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;",]*)')
_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_LONGEST = 2000
_UTF8 = ("", "utf-8", "utf8", "us-ascii")


class MediaType(NamedTuple):
    """A media type in small letters, and its parameters."""

    name: str
    parameters: Mapping[str, str]


class Exchange(NamedTuple):
    """The form of a body and the form of its answer."""

    reads: str
    writes: str
    parameters: Mapping[str, str]


PLAIN = Exchange(JSON, JSON, {})
"""JSON in, JSON out: what nearly every request says, in so many bytes."""


def negotiate(
    headers: Iterable[tuple[bytes, bytes]], reads: Sequence[str], writes: Sequence[str]
) -> Exchange:
    """The forms of one exchange.

    Raises:
        UnsupportedMediaType: the body's form is not among `reads`.
        NotAcceptable: no form that the client accepts is among `writes`.
    """
    content: bytes | None = None
    accept: bytes | None = None
    for name, value in headers:
        if name == b"content-type" and content is None:
            content = value
        elif name == b"accept":
            accept = value if accept is None else accept + b"," + value
    if content == b"application/json" and accept in (None, b"*/*", b"application/json"):
        return PLAIN
    media = content_type(content, reads)
    return Exchange(media.name, choose(accept, writes), media.parameters)


def content_type(header: bytes | None, reads: Sequence[str]) -> MediaType:
    """The form of a body.

    Raises:
        UnsupportedMediaType: it is none of `reads`, or its text is not UTF-8.
    """
    text = header.decode("latin-1") if header is not None else None
    media = parse(text or "")
    if media.name not in reads or media.parameters.get("charset", "").lower() not in _UTF8:
        raise UnsupportedMediaType(text, reads)
    return media


def choose(header: bytes | None, writes: Sequence[str]) -> str:
    """The form to answer in: the heaviest, and of equals the first of `writes`. No header accepts all.

    Raises:
        NotAcceptable: every form weighs nothing.
    """
    text = header.decode("latin-1").strip() if header is not None else ""
    if not text:
        return writes[0]
    ranges = [_range(element) for element in text[:_LONGEST].split(",")]
    weight, best = max((_weigh(media, ranges), -index) for index, media in enumerate(writes))
    if not weight:
        raise NotAcceptable(text[:200], writes)
    return writes[-best]


def parse(text: str) -> MediaType:
    """A media type with its parameters; quotes are taken off their values."""
    name, _, rest = text[:_LONGEST].partition(";")
    found = _PARAMETER.findall(f";{rest}")
    return MediaType(name.strip().lower(), {key.lower(): value.strip('"') for key, value in found})


def weights(header: str) -> dict[str, float]:
    """What a header such as Accept-Encoding lists, in small letters, with its weights."""
    return dict(_range(element) for element in header[:_LONGEST].split(","))


def _range(element: str) -> tuple[str, float]:
    """A media range and its weight; a weight that is none counts as 0."""
    media = parse(element)
    weight = media.parameters.get("q", "1")
    return media.name, float(weight) if _WEIGHT.fullmatch(weight) else 0.0


def _weigh(media: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The weight that the most exact range gives to a form."""
    for form in (media, f"{media.partition('/')[0]}/*", "*/*"):
        weights = [weight for name, weight in ranges if name == form]
        if weights:
            return max(weights)
    return 0.0
