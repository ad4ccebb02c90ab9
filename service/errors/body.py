"""What is wrong with a request itself: its body, its headers, its key."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors.base import RequestError


class MalformedBody(RequestError):
    """The body is not in the form that its Content-Type names."""


class InvalidRows(RequestError):
    """The rows do not fit the model's signature."""


class InvalidTensors(RequestError):
    """The tensors do not fit the model, or the request around them the protocol."""


class RunFailed(RequestError):
    """The graph has no result for these inputs: an index beyond a table, sizes that do not go together."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model cannot compute these inputs: {reason}", got=reason, wanted="inputs it can compute"
        )


class BodyTooLarge(RequestError):
    """The body is longer than the limit, in bytes."""

    def __init__(self, limit: int, got: int | None = None) -> None:
        came = f"{got} bytes" if got is not None else f"more than {limit} bytes"
        super().__init__(
            f"the body is too large: got {came}, the limit is {limit} bytes; send fewer rows per request",
            got=came,
            wanted=f"at most {limit} bytes",
        )


class TooManyNumbers(RequestError):
    """The body holds, or would unpack to, more than a JSON body of the largest size could."""

    def __init__(self, got: int, limit: int, what: str = "numbers") -> None:
        super().__init__(
            f"the table is too large: got {got} {what}, the limit is {limit}; send fewer rows per request",
            got=f"{got} {what}",
            wanted=f"at most {limit} {what}",
        )


class TooManyRows(RequestError):
    """More rows than one request may have."""

    def __init__(self, got: int, limit: int) -> None:
        super().__init__(
            f"too many rows: got {got}, the limit is {limit}; send them in several requests",
            got=f"{got} rows",
            wanted=f"at most {limit} rows",
        )


class InvalidHeader(RequestError):
    """A header that asks for what cannot be."""

    def __init__(self, name: str, got: str, wanted: str) -> None:
        came = got[:80]
        super().__init__(
            f"header {name} is {came!r}: expected {wanted}", got=came, wanted=wanted, where=f"header {name}"
        )


class UnsupportedMediaType(RequestError):
    """The body's Content-Type, or the way in which it is compressed, is not one this door reads."""

    def __init__(self, got: str | None, accepted: Sequence[str], where: str = "header Content-Type") -> None:
        came = got or "no Content-Type"
        super().__init__(
            f"cannot read {came}: send {' or '.join(accepted)}",
            got=came,
            wanted=" or ".join(accepted),
            where=where,
        )


class NotAcceptable(RequestError):
    """None of the forms that the Accept header names is one this door writes."""

    def __init__(self, got: str, offered: Sequence[str]) -> None:
        choices = " or ".join(offered)
        super().__init__(
            f"cannot answer as {got}: accept {choices}", got=got, wanted=choices, where="header Accept"
        )


class Unauthorized(RequestError):
    """The request brings no API key, or none that is known."""

    def __init__(self, *, given: bool) -> None:
        came = "an API key that is not known" if given else "no API key"
        wanted = "Authorization: Bearer <key>, or X-API-Key: <key>"
        super().__init__(f"got {came}: send {wanted}", got=came, wanted=wanted, where="header Authorization")
        self.given = given
