"""The forms that tables and predictions travel in: media type → how it is read and written.

JSON is not here: each model has its own decoder for it. Nothing but the form asked for is imported, so a
server that only ever sees JSON never loads polars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from service.metadata import Label
from service.payloads import npy
from service.signature import Feeds, Signature

CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
NPY = "application/x-npy"
Header = Literal["present", "absent"]
TABLES = (CSV, ARROW, PARQUET, NPY)


def most_numbers(max_body_bytes: int) -> int:
    """How many numbers a body may hold: as many as a JSON body of the largest size could."""
    return max(max_body_bytes // 2, 1)


def csv_header(parameter: str | None) -> Header | None:
    """What the parameter `header` of text/csv (RFC 4180) says of the first line."""
    found: dict[str | None, Header] = {"present": "present", "absent": "absent"}
    return found.get(parameter)


def decode(
    media: str,
    body: bytes,
    signature: Signature,
    most: int,
    header: Header | None,
    most_rows: int | None = None,
) -> Feeds:
    """The rows of a body in one of TABLES; `header` is what is known of a CSV's first line.

    Args:
        most_rows: what says before it is unpacked that it has more is refused then.

    Raises:
        MalformedBody: it is not in that form.
        TooManyNumbers, TooManyRows: it would unpack to more than `most` numbers, or has too many rows.
        InvalidRows: it is a table, but not rows that fit the signature.
    """
    if media == NPY:
        return npy.decode(body, signature, most)
    from service.payloads import tabular

    if media == CSV:
        return tabular.decode_csv(body, signature, most, header)
    read = {ARROW: tabular.decode_arrow, PARQUET: tabular.decode_parquet}[media]
    return read(body, signature, most, most_rows)


def encode(
    media: str,
    output: NDArray[Any],
    classes: Sequence[Label] | None,
    probabilities: NDArray[Any] | None = None,
) -> bytes:
    """A model's output in one of TABLES; an npy answer has no room for the probabilities beside labels."""
    if media == NPY:
        return npy.encode(output)
    from service.payloads import tabular

    write = {CSV: tabular.encode_csv, ARROW: tabular.encode_arrow, PARQUET: tabular.encode_parquet}[media]
    return write(output, classes, probabilities)
