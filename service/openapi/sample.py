"""Rows that a model takes: the first of its golden rows, or zeros for a file that has none; in every form."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from service.errors import RequestError
from service.model import ServedModel
from service.payloads import formats, npy, strict_json
from service.payloads.oip.datatypes import BINARY_ONLY, DATATYPES
from service.payloads.rules import Value
from service.signature import BOOL, FLOATS, TEXT, Array, Column, Feeds, Signature

MOST_ROWS = 2
FILES = {
    "rows.csv": formats.CSV,
    "rows.arrow": formats.ARROW,
    "rows.parquet": formats.PARQUET,
    "rows.npy": formats.NPY,
}
"""The name of each form's file."""

Row = Sequence[Value | None]


@dataclass(frozen=True)
class Sample:
    """Rows in feature order, and what the model answers."""

    signature: Signature
    rows: Sequence[Row]
    outputs: Sequence[Array]

    @property
    def records(self) -> list[dict[str, Value | None]]:
        """The rows by feature name."""
        return [dict(zip(self.signature.features, row, strict=True)) for row in self.rows]

    @property
    def columns(self) -> dict[str, list[Value | None]]:
        """The columns by feature name."""
        return {name: [row[i] for row in self.rows] for i, name in enumerate(self.signature.features)}

    @property
    def csv(self) -> str:
        """The rows below the names of the columns."""
        lines = [map(_name, self.signature.features), *(map(_field, row) for row in self.rows)]
        return "".join(",".join(line) + "\n" for line in lines)

    @property
    def tensors(self) -> list[dict[str, Any]] | None:
        """The inputs of the v2 door, or None when JSON cannot say them."""
        feeds = self.feeds
        if any(DATATYPES[entry.dtype] in BINARY_ONLY for entry in self.signature.inputs):
            return None
        if any(array.dtype.kind == "f" and np.isnan(array).any() for array in feeds.values()):
            return None
        return [
            {
                "name": entry.name,
                "shape": list(feeds[entry.name].shape),
                "datatype": DATATYPES[entry.dtype],
                "data": _plain(feeds[entry.name].ravel()),
            }
            for entry in self.signature.inputs
        ]

    @property
    def feeds(self) -> Feeds:
        """The arrays that the graph takes."""
        return strict_json.of_lists([list(row) for row in self.rows], self.signature, "sample")

    def body(self, media: str) -> bytes:
        """The rows as a table; npy only where the model takes one."""
        if media == formats.CSV:
            return self.csv.encode()
        if media == formats.NPY:
            [array] = self.feeds.values()
            return npy.encode(array)
        import polars as pl

        file = io.BytesIO()
        floats = {column.name: pl.Float64 for column in self.signature.columns if column.dtype in FLOATS}
        frame = pl.DataFrame(self.columns, schema_overrides=floats)
        frame.write_parquet(file) if media == formats.PARQUET else frame.write_ipc_stream(file)
        return file.getvalue()


def read_sample(model: ServedModel) -> Sample | None:
    """The sample of a model; None when nothing is known that it takes."""
    signature = model.door.signature
    golden = model.metadata.golden if model.metadata else None
    rows = _golden(golden.inputs, signature) if golden and golden.inputs else _zeros(signature)
    if not rows:
        return None
    try:
        feeds = strict_json.of_lists(rows, signature, "sample")
        return Sample(signature, rows, model.predict(feeds))
    except RequestError:
        return None


def _golden(given: Sequence[Row], signature: Signature) -> list[list[Value | None]]:
    count = signature.rows or min(MOST_ROWS, len(given))
    return [
        [
            _short(value, column)
            for value, column in zip(given[i % len(given)], signature.columns, strict=True)
        ]
        for i in range(count)
    ]


def _zeros(signature: Signature) -> list[list[Value | None]]:
    zero: Mapping[str, Value] = {TEXT: "text", BOOL: False}
    row: list[Value | None] = [zero.get(column.dtype, 0) for column in signature.columns]
    return [row for _ in range(signature.rows or 1)] if row else []


def _short(value: Value | None, column: Column) -> Value | None:
    """The shortest number that becomes the same one in the column's dtype."""
    if isinstance(value, str | bool | None) or column.dtype not in FLOATS:
        return int(value) if isinstance(value, float) else value
    number = float(str(np.dtype(column.dtype).type(value)))
    return int(number) if math.isfinite(number) and number == int(number) and abs(number) < 1e9 else number


def _name(text: str) -> str:
    return text if re.fullmatch(r"[\w .-]+", text) else _field(text)


def _field(value: Value | None) -> str:
    """A field of a CSV; text in quotes, so that an empty text is not a missing one."""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else json.dumps(value)


def _plain(array: Array) -> list[Any]:
    """Its elements as JSON has them, with the digits of their dtype."""
    if array.dtype == object:
        return list(array)
    plain: list[Any] = orjson.loads(
        orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    )
    return plain
