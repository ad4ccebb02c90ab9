"""NumPy's own file format (.npy), versions 1 to 3: one array of numbers.

The header is matched against a grammar rather than evaluated as Python, nothing is ever unpickled, and an
array is made only once its header agrees with the number of bytes that follow.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import MalformedBody, TooManyNumbers
from service.payloads import matrix
from service.signature import Feeds, Signature

WANTED = "a numeric array [rows, features] as numpy.save writes it"
LONGEST_HEADER = 4096
_MAGIC = b"\x93NUMPY"
_VALUE = r"'[<>|=]?[a-zA-Z]\d{0,3}'|True|False|\(\s*(?:\d{1,18}L?\s*,?\s*){0,8}\)"
_ENTRY = rf"\s*'(descr|fortran_order|shape)'\s*:\s*({_VALUE})\s*"
_HEADER = re.compile(rf"\{{{_ENTRY},{_ENTRY},{_ENTRY},?\s*\}}\s*")


class Header(NamedTuple):
    """What an array's header says, and where its numbers start."""

    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]
    offset: int


def decode(body: bytes, signature: Signature, most: int) -> Feeds:
    """The rows of an array of at most `most` numbers.

    Raises:
        MalformedBody: it is not an array in this format.
        TooManyNumbers: it holds more numbers than the limit.
        InvalidRows: it is an array, but not rows that fit the signature.
    """
    header = read_header(body)
    count = math.prod(header.shape)
    if count > most:
        raise TooManyNumbers(count, most)
    expected = count * header.dtype.itemsize
    if len(body) - header.offset != expected:
        came = f"{len(body) - header.offset} bytes of numbers"
        text = f"the array's header promises {expected} bytes of numbers, got {len(body) - header.offset}"
        raise MalformedBody(text, got=came, wanted=f"{expected} bytes")
    flat = np.frombuffer(body, header.dtype, count, header.offset)
    return matrix.from_array(flat.reshape(header.shape, order="F" if header.fortran else "C"), signature)


def read_header(body: bytes) -> Header:
    """The header of an array.

    Raises:
        MalformedBody: there is none, or it describes something else than an array of plain numbers.
    """
    text, offset = _header_text(body)
    match = _HEADER.fullmatch(text)
    fields = dict(zip(match.groups()[::2], match.groups()[1::2], strict=True)) if match else {}
    descr, order, shape = (fields.get(name, "") for name in ("descr", "fortran_order", "shape"))
    if descr[:1] != "'" or order not in ("True", "False") or shape[:1] != "(":
        raise _malformed("its header does not describe one array of plain numbers", text[:60])
    try:
        dtype = np.dtype(descr[1:-1])
    except TypeError:
        raise _malformed(f"its dtype {descr} is unknown", descr) from None
    if dtype.kind not in "biufc" or not dtype.itemsize:
        raise _malformed(f"its dtype {descr} is not a number", descr)
    return Header(dtype, order == "True", tuple(map(int, re.findall(r"\d+", shape))), offset)


def encode(output: NDArray[Any]) -> bytes:
    """The model's output, (rows, outputs), as numpy.save writes it; text in a dtype of fixed width."""
    plain = output.astype(np.str_) if output.dtype == object else output
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(plain), version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _header_text(body: bytes) -> tuple[str, int]:
    """The header's text and where the numbers start."""
    if body[:6] != _MAGIC or len(body) < 12:
        raise _malformed("it does not start as one", f"{body[:6]!r}")
    version = body[6]
    if version not in (1, 2, 3):
        raise _malformed(f"its version {version} is unknown", f"version {version}")
    start = 10 if version == 1 else 12
    length = int.from_bytes(body[8:start], "little")
    if length > LONGEST_HEADER or start + length > len(body):
        raise _malformed(f"its header of {length} bytes is too long", f"{length} bytes of header")
    return body[start : start + length].decode(
        "utf-8" if version == 3 else "latin-1", "replace"
    ), start + length


def _malformed(reason: str, got: str) -> MalformedBody:
    return MalformedBody(f"the body is not a NumPy array: {reason}", got=got, wanted=WANTED)
