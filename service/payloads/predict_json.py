"""/predict in JSON: bytes → validated arrays, predictions → bytes.

A body of the usual form is read by simdjson straight into a float64 buffer. The buffer is strict about types
but flattens nested lists, so two facts are checked beside it: every row has the width of the signature, and
the body has exactly one opening bracket per row and one more. Anything else goes to `strict_json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from service.metadata import Label, ModelMetadata
from service.payloads import json_text, strict_json
from service.signature import FLOATS, Feeds, Signature

_FAST_DTYPES = FLOATS - {"float16"}
_SQUARED_AT_ONCE = 8192
"""Longer products are shared out among threads."""

_SAFE_SQUARES = float(np.finfo(np.float32).max) ** 2
_NOT_USUAL = (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError)


class NotFinite(ValueError):
    """A number that the graph's floats cannot hold."""


class Decoder:
    """Reads the bodies for one model: on one thread by calling it, or by `usual` and `strict` in turn, for it
    owns a parser; on any by `apart`."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        table = signature.table
        self._name, self._dtype = (table.name, table.dtype) if table else ("", "")
        self._width = signature.width
        self._usual = self._dtype in _FAST_DTYPES and signature.rows is None and self._width is not None
        self._parser = simdjson.Parser()

    def __call__(self, body: bytes) -> Feeds:
        """The rows of a body.

        Raises:
            MalformedBody: it is not JSON.
            InvalidRows: it is JSON, but not rows that fit the signature.
        """
        return self._decode(body, self._parser)

    def usual(self, body: bytes) -> Feeds | None:
        """The rows of a body of the usual form; None for any other."""
        rows = self._decode_usual(body, self._parser) if self._usual else None
        return None if rows is None else {self._name: rows}

    def strict(self, body: bytes) -> Feeds:
        """The rows of any body, in plain Python; on any thread. Raises what calling raises."""
        return strict_json.decode(body, self._signature)

    def apart(self, body: bytes) -> Feeds:
        """The same, on any thread."""
        return self._decode(body, simdjson.Parser())

    def _decode(self, body: bytes, parser: simdjson.Parser) -> Feeds:
        rows = self._decode_usual(body, parser) if self._usual else None
        return strict_json.decode(body, self._signature) if rows is None else {self._name: rows}

    def part(self, body: bytes) -> NDArray[np.float64] | None:
        """The numbers of a body of the usual form, to be joined with others; None for any other.

        Shape: (rows, columns).
        """
        if not self._usual:
            return None
        try:
            return self._values(body, self._parser)
        except _NOT_USUAL:
            return None

    def join(self, parts: Sequence[NDArray[np.float64]]) -> Feeds:
        """The rows of several parts as the graph takes them.

        Raises:
            NotFinite: its floats cannot hold a number.
        """
        return {self._name: self._narrowed(parts[0] if len(parts) == 1 else np.concatenate(parts))}

    def _decode_usual(self, body: bytes, parser: simdjson.Parser) -> NDArray[Any] | None:
        try:
            values = self._values(body, parser)
            return None if values is None else self._narrowed(values)
        except _NOT_USUAL:
            return None

    def _narrowed(self, values: NDArray[np.float64]) -> NDArray[Any]:
        # No number is beyond the root of a sum of squares: one product tells what three passes would. Of
        # NumPy's products vdot is the one that overflows in silence.
        if values.size <= _SQUARED_AT_ONCE and np.vdot(values, values) < _SAFE_SQUARES:
            return values.astype(self._dtype, copy=False)
        with np.errstate(over="ignore"):
            rows = values.astype(self._dtype, copy=False)
        if not np.isfinite(rows).all():
            raise NotFinite
        return rows

    def _values(self, body: bytes, parser: simdjson.Parser) -> NDArray[np.float64] | None:
        document: Any = parser.parse(body)
        if len(document) != 1:
            return None
        inputs = document["inputs"]
        values: NDArray[np.float64] = np.frombuffer(inputs.as_buffer(of_type="d"), np.float64)
        brackets = json_text.occurrences(body, b"[") - 1
        width = self._width
        if brackets == 0:
            return values.reshape(1, -1) if len(values) == width else None
        if brackets != len(inputs) or set(map(len, inputs)) != {width}:
            return None
        return values.reshape(brackets, -1)


class Encoder:
    """Writes the answers of one model version."""

    def __init__(self, name: str, version: int, metadata: ModelMetadata | None) -> None:
        head = orjson.dumps({"model": name, "version": version})
        self._head = head[:-1] + b',"predictions":'
        self._classes = metadata.classes if metadata else None
        self._labels = _label_array(self._classes) if self._classes else None
        self._flat = metadata is not None
        self._tail = b',"classes":' + orjson.dumps(self._classes) + b"}"

    def __call__(self, output: NDArray[Any], beside: NDArray[Any] | None = None) -> bytes:
        """The answer for one output: probabilities (rows, classes), values (rows, 1), or whatever a bare
        graph gives, a row for each row of the input; for labels with the probabilities beside them."""
        if beside is not None:
            return b"".join((self._head, _dump(output), b',"probabilities":', _dump(beside), b"}"))
        if self._labels is None:
            return b"".join((self._head, self.predictions(output), b"}"))
        return self._labelled(self.predictions(output), _dump(output))

    def together(
        self, counts: Sequence[int], output: NDArray[Any], beside: NDArray[Any] | None = None
    ) -> list[bytes]:
        """The answers of several requests, which have so many rows each; the bytes of each alone."""
        spans = [slice(end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]
        if beside is not None:
            return [self(output[span], beside[span]) for span in spans]
        if len(spans) == 1 or output.ndim != 2 or output.dtype == object or not output.shape[1]:
            return [self(output[span]) for span in spans]
        # Written once and cut between its rows, for each call of the writer costs more than a row.
        rows = _dump(output)[2:-2].split(b"],[")
        if self._labels is not None:
            labels = self._labels[output.argmax(axis=1)]
            return [self._labelled(_dump(labels[span]), _listed(rows[span])) for span in spans]
        if self._flat:
            return [b"%b[%b]}" % (self._head, b",".join(rows[span])) for span in spans]
        return [b"%b%b}" % (self._head, _listed(rows[span])) for span in spans]

    def _labelled(self, labels: bytes, probabilities: bytes) -> bytes:
        return b"".join((self._head, labels, b',"probabilities":', probabilities, self._tail))

    def predictions(self, output: NDArray[Any]) -> bytes:
        """The list of predictions alone: labels, values, or rows of a bare graph's output."""
        if self._labels is not None and output.ndim == 2:
            return _dump(self._labels[output.argmax(axis=1)])
        return _dump(output.ravel() if self._flat else output)


def _label_array(classes: tuple[Label, ...]) -> NDArray[Any]:
    if all(isinstance(label, int) for label in classes):
        return np.array(classes, dtype=np.int64)
    return np.array(classes, dtype=object)


def _listed(rows: Sequence[bytes]) -> bytes:
    return b"[[%b]]" % b"],[".join(rows)


def _dump(array: NDArray[Any]) -> bytes:
    if array.dtype == object:
        return orjson.dumps(array.tolist())
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
