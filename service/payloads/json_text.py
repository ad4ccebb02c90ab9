"""JSON as every door reads it strictly: UTF-8, each key once, integers of any length, nesting with an end."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from service.errors import MalformedBody, RequestError

DEEPEST = 64
"""How many lists and objects may lie within each other."""

_LONGEST_INTEGER = 400
_LONG = 4096
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_ALIKE = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))


def parse(body: bytes, wanted: str, given_twice: Callable[[str], RequestError], hint: str = "") -> Any:
    """The document in a body.

    Args:
        wanted: what the door reads, in words.
        given_twice: makes the error for a key that stands twice in one object.
        hint: what to add where the text is not JSON.

    Raises:
        MalformedBody: it is not JSON in UTF-8, or nested too deeply.
    """
    if not body.strip():
        raise MalformedBody("the body is empty", got="nothing", wanted=wanted)
    if is_too_deep(body):
        text = f"the body is nested too deeply: at most {DEEPEST} lists and objects within each other"
        raise MalformedBody(text, got="deep nesting", wanted=wanted)
    try:
        pairs = partial(_object, given_twice)
        return json.loads(body.decode("utf-8"), object_pairs_hook=pairs, parse_int=_integer)
    except UnicodeDecodeError as error:
        byte = f"0x{body[error.start]:02x}"
        text = f"the body is not UTF-8: byte {error.start} is {byte}"
        raise MalformedBody(text, got=byte, wanted="JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        text = f"the body is not JSON: {error.msg} at {place}{hint}"
        raise MalformedBody(text, got=error.msg, wanted=wanted, where=place) from None


def is_too_deep(body: bytes) -> bool:
    """Whether its brackets are nested too deeply, before anything follows them down.

    What is left of a body without its strings is brackets. Each pass takes the innermost pairs away, so there
    are as many passes as levels, and the usual body is gone after three.
    """
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    brackets = _STRING.sub(b"", plain.translate(_ALIKE, _OTHERS))
    for _ in range(DEEPEST):
        before, brackets = len(brackets), brackets.replace(b"[]", b"")
        if len(brackets) == before:
            # What never closes is no JSON; as long as it is short, the parser says so best.
            return brackets.count(b"[") > DEEPEST
    return bool(brackets)


def _object(given_twice: Callable[[str], RequestError], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key given twice has no single meaning and is refused."""
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise given_twice(next(key for key in keys if keys.count(key) > 1))
    return result


def _integer(text: str) -> int | float:
    """An integer; beyond the range of float64 its digits are not needed, and int() may refuse them."""
    return int(text) if len(text) < _LONGEST_INTEGER else math.copysign(math.inf, -(text[0] == "-"))


def occurrences(text: bytes, mark: bytes) -> int:
    """How often one byte stands in a text; in a long one NumPy finds it faster than `bytes.count` does."""
    if len(text) < _LONG:
        return text.count(mark)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == mark[0]))
