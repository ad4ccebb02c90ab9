"""The first line of a CSV: whether it names the columns, and where the rows begin."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from service.errors import InvalidRows, MalformedBody
from service.payloads.values import names
from service.signature import Signature

Header = Literal["present", "absent"]
WANTED = "CSV in UTF-8, one column per feature, one line per row"
_BOM = b"\xef\xbb\xbf"


class Opening(NamedTuple):
    """The column names, or None when the first line is a row; the number of columns; the rows' bytes."""

    names: list[str] | None
    width: int
    rows: bytes


def read_opening(body: bytes, signature: Signature, header: Header | None) -> Opening:
    """The first line; without a word on it, a bare model's first line of numbers is a row.

    Raises:
        MalformedBody: it is not UTF-8, or its first line is not CSV.
        InvalidRows: the model names its features and the first line does not, or there is nothing.
    """
    text = body.removeprefix(_BOM)
    fields, size = _first_line(text)
    numbers = all(_is_number(field) for field in fields)
    if signature.named:
        _check_named(fields, signature, header, numbers=numbers)
    if header == "absent" or (header is None and numbers and not signature.named):
        return Opening(None, len(fields), text)
    return Opening(fields, len(fields), text[size:])


def header(lines: Iterable[str]) -> list[str]:
    """The fields of the first line, quoted line breaks included.

    Raises:
        MalformedBody: it is damaged.
    """
    try:
        return next(csv.reader(lines, strict=True), [])
    except csv.Error as error:
        raise malformed(f"its first line is damaged: {error}") from None


def malformed(reason: str) -> MalformedBody:
    """The refusal of a body."""
    return MalformedBody(f"the body is not CSV: {reason}", got=reason, wanted=WANTED)


def refusal(rows: bytes, width: int, reason: str) -> MalformedBody | InvalidRows:
    """Why lines could not be read: the first whose fields are too many or too few, else the reason given."""
    try:
        check_widths(io.StringIO(rows.decode(), newline="\n"), width)
    except (MalformedBody, InvalidRows) as error:
        return error
    return malformed(reason)


def check_widths(lines: Iterable[str], width: int) -> None:
    """Count the fields of every row.

    Raises:
        InvalidRows: they are too many or too few.
        MalformedBody: a line is not CSV.
    """
    try:
        for index, fields in enumerate(csv.reader(lines, strict=True)):
            if len(fields) != width:
                text = f"row {index}: expected {width} features, got {len(fields)}"
                raise InvalidRows(
                    text, got=f"{len(fields)} fields", wanted=f"{width} fields", where=f"row {index}"
                )
    except csv.Error as error:
        raise malformed(f"{error}") from None


def _first_line(text: bytes) -> tuple[list[str], int]:
    """The fields of the first line and how many bytes it takes, quoted line breaks included."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed(f"byte {error.start} is 0x{text[error.start]:02x}, which is not UTF-8") from None
    lines = io.StringIO(decoded, newline="\n")
    fields = header(lines)
    if not fields:
        raise InvalidRows("the table is empty: send a row", got="nothing", wanted=WANTED, where="body")
    return fields, len(decoded[: lines.tell()].encode())


def _check_named(fields: list[str], signature: Signature, header: Header | None, *, numbers: bool) -> None:
    if header != "absent" and (not numbers or signature.feature_set & set(fields)):
        return
    wanted = f"a first line with the features {names(signature.features)}"
    text = f"the first line of the CSV must name the features: {names(signature.features)}"
    raise InvalidRows(text, got=f"the row {names(fields)}", wanted=wanted, where="line 1")


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field)) and "_" not in field
    except ValueError:
        return False
