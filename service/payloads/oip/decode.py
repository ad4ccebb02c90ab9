"""One request body → named arrays that fit the model, and what is wanted of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from service.errors import InvalidTensors
from service.payloads import json_text
from service.payloads.oip import binary_data, document, json_data
from service.payloads.oip.binary_data import Tail
from service.payloads.oip.datatypes import BINARY_ONLY, INTEGERS, datatype, numpy_dtype
from service.payloads.oip.fields import (
    Entry,
    class_count,
    entries,
    flag,
    identifier,
    name_of,
    parameters,
    shape_of,
    timeout,
)
from service.payloads.oip.refusal import refuse, shown_shape
from service.payloads.values import show
from service.session import TensorSpec

_NOT_USUAL = (InvalidTensors, AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError)
_LENGTH_HEADER = "Inference-Header-Content-Length"

Array = NDArray[Any]
Read = Callable[[Entry, TensorSpec, tuple[int, ...], str], Array]
"""Reads the data of an input: its entry, what the model takes, its shape, its place in words → an array."""


@dataclass(frozen=True)
class Wanted:
    """An output that is wanted, and in which form.

    Attributes:
        classes: how many of each row's largest values are wanted, as text, in place of all; 0 for all.
    """

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class InferRequest:
    """A request that fits the model.

    Attributes:
        id: echoed in the answer; None when none was given.
        feeds: an array for every input of the model.
        outputs: what is wanted, in order.
        rows: the first dimension of the first input, 1 for a scalar.
        timeout: the seconds after which nobody wants the answer; None for no limit.
    """

    id: str | None
    feeds: Mapping[str, Array]
    outputs: tuple[Wanted, ...]
    rows: int
    timeout: float | None = None


class Decoder:
    """Reads the requests for one model: on one thread by calling it, or by `usual` and `strict` in turn, for
    it owns a parser; on any by `apart`.

    Text makes Python objects one by one, so a model that `has_text` is read slowly at best.

    With `finite`, NaN and infinities are refused in binary form too, as JSON refuses them by itself; but NaN
    stands for a missing value where `missing`, the name of an input and its columns, says so. For those text
    inputs that are `coded` a tensor of integers stands for their digits.
    """

    def __init__(
        self,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        *,
        finite: bool = False,
        missing: Mapping[str, NDArray[np.bool_]] | None = None,
        coded: Collection[str] = (),
    ) -> None:
        self._inputs = {spec.name: spec for spec in inputs}
        self._outputs = {spec.name: spec for spec in outputs if spec.is_tensor and spec.dtype != "bfloat16"}
        self._finite = finite
        self._missing, self._coded = missing or {}, coded
        self._closed = next((_why_not(spec) for spec in inputs if _why_not(spec)), None)
        self.has_text = any(spec.dtype == "string" for spec in inputs)
        self._parser = simdjson.Parser()
        self.has_binary_only = any(datatype(spec) in BINARY_ONLY for spec in self._outputs.values())
        """Whether some output has a binary form alone."""

    def __call__(self, body: bytes, json_length: str | None = None) -> InferRequest:
        """The request in a body; `json_length` is the header Inference-Header-Content-Length as it came.

        Raises:
            MalformedBody: the JSON is not JSON.
            InvalidTensors: it does not fit the protocol, or the model.
        """
        return self._decode(body, json_length, self._parser)

    def usual(self, body: bytes, json_length: str | None = None) -> InferRequest | None:
        """The request in a body of the usual form; None for any other. Raises what calling raises."""
        length = self._json_length(body, json_length)
        if json_length is not None and length == 0:
            return self._raw(memoryview(body))
        return self._usual(body[:length], memoryview(body)[length:], self._parser)

    def strict(self, body: bytes, json_length: str | None = None) -> InferRequest:
        """The request in any body, in plain Python; on any thread. Raises what calling raises."""
        return self._decode(body, json_length, None)

    def apart(self, body: bytes, json_length: str | None = None) -> InferRequest:
        """The same, on any thread."""
        return self._decode(body, json_length, simdjson.Parser())

    def request(self, document: Entry, read: Read, *, binary: bool) -> InferRequest:
        """The request in a document of the protocol, whatever wire it came by; `read` reads its tensors.

        With `binary`, outputs come in binary form unless the document says otherwise.

        Raises:
            InvalidTensors: it does not fit the protocol, or the model.
        """
        self._check_open()
        given = parameters(document, "body")
        feeds = self._feeds(entries(document, "inputs"), read)
        binary = flag(given, "binary_data_output", "body", default=binary)
        outputs = self._wanted(entries(document, "outputs", optional=True), binary)
        return InferRequest(identifier(document), feeds, outputs, self._rows(feeds), timeout(given, "body"))

    def binary(self, data: memoryview, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
        """An input from its binary form.

        Raises:
            InvalidTensors: the bytes do not fit the shape, or the model.
        """
        return self.checked(binary_data.read(data, spec, shape, where), spec, where)

    def checked(self, array: Array, spec: TensorSpec, where: str) -> Array:
        """The array, unless it holds what JSON could not and the model does not take."""
        if not self._finite or array.dtype.kind != "f":
            return array
        sound = np.isfinite(array)
        if spec.name in self._missing:
            sound |= self._missing[spec.name] & np.isnan(array)
        if not sound.all():
            text = "it holds NaN or infinity; this model accepts no missing values"
            raise refuse(text, got="NaN or infinity", wanted="finite numbers", where=where)
        return array

    def _check_open(self) -> None:
        if self._closed:
            raise refuse(self._closed, got="a request", wanted="another model", where="model")

    def _decode(self, body: bytes, json_length: str | None, parser: simdjson.Parser | None) -> InferRequest:
        length = self._json_length(body, json_length)
        if json_length is not None and length == 0:
            return self._raw(memoryview(body))
        header, tail = body[:length], memoryview(body)[length:]
        request = self._usual(header, tail, parser) if parser else None
        return request or self._request(document.parse(header), Tail(tail))

    def _json_length(self, body: bytes, given: str | None) -> int:
        """How many bytes of the body are JSON."""
        self._check_open()
        return len(body) if given is None else _json_length(given, len(body))

    def _usual(self, header: bytes, tail: memoryview, parser: simdjson.Parser) -> InferRequest | None:
        """The request, when nothing about it is odd; None leaves it to the strict reader."""
        try:
            usual = document.outline(parser, header)
            request = self._request(usual, Tail(tail))
            expected = sum(_brackets(entry, request) for entry in usual["inputs"])
        except _NOT_USUAL:
            return None
        # One list for `inputs` and one for `outputs`: a bracket more is a list where a number belongs. Many
        # objects may lie within each other.
        same = json_text.occurrences(header, b"[") == 1 + ("outputs" in usual) + expected
        return request if same and json_text.occurrences(header, b"{") <= json_text.DEEPEST else None

    def _request(self, document: Entry, tail: Tail) -> InferRequest:
        request = self.request(document, partial(self._read, tail), binary=False)
        if tail.left:
            text = f"{tail.left} bytes follow the last tensor: no binary_data_size accounts for them"
            raise refuse(text, got=f"{tail.left} bytes", wanted="nothing more", where="body")
        return request

    def _feeds(self, inputs: Sequence[Entry], read: Read) -> dict[str, Array]:
        feeds: dict[str, Array] = {}
        for index, entry in enumerate(inputs):
            name = name_of(entry, f"inputs[{index}]")
            if name not in self._inputs or name in feeds:
                fault = "it is given twice" if name in feeds else "the model has no such input"
                raise refuse(fault, got=name, wanted=_names(self._inputs), where=f"input {show(name)}")
            feeds[name] = self._tensor(entry, self._inputs[name], read)
        missing = [name for name in self._inputs if name not in feeds]
        if missing:
            text = f"missing {_names(missing)}: the model takes {_names(self._inputs)}"
            raise refuse(text, got=_names(feeds), wanted=_names(self._inputs), where="inputs")
        return feeds

    def _tensor(self, entry: Entry, spec: TensorSpec, read: Read) -> Array:
        where = f"input {show(spec.name)}"
        coded = spec.name in self._coded
        if coded and (integers := INTEGERS.get(str(entry.get("datatype")))):
            return _digits(self._tensor_of(entry, replace(spec, dtype=integers), read, where))
        _check_datatype(entry, spec, where, " or INT64" if coded else "")
        return self._tensor_of(entry, spec, read, where)

    def _tensor_of(self, entry: Entry, spec: TensorSpec, read: Read, where: str) -> Array:
        shape = shape_of(entry, spec, where)
        _check_no_shared_memory(parameters(entry, where), where)
        return read(entry, spec, shape, where)

    def _read(self, tail: Tail, entry: Entry, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
        """The data of an input of a body: in JSON, or the next bytes of its tail."""
        given = parameters(entry, where)
        if "binary_data_size" not in given:
            return _from_json(entry, spec, shape, where)
        if entry.get("data") is not None:
            raise refuse("it has both data and binary_data_size", got="both", wanted="one", where=where)
        data = tail.take(_binary_size(given["binary_data_size"], where), where)
        return self.binary(data, spec, shape, where)

    def _wanted(self, outputs: Sequence[Entry], binary: bool) -> tuple[Wanted, ...]:
        if not outputs:
            return tuple(self._output(name, binary) for name in self._outputs)
        wanted: dict[str, Wanted] = {}
        for index, entry in enumerate(outputs):
            name = name_of(entry, f"outputs[{index}]")
            where = f"output {show(name)}"
            if name not in self._outputs or name in wanted:
                fault = "it is asked for twice" if name in wanted else "the model has no such output"
                raise refuse(fault, got=name, wanted=_names(self._outputs), where=where)
            given = parameters(entry, where)
            _check_no_shared_memory(given, where)
            classes = class_count(given, self._outputs[name], where)
            wanted[name] = self._output(name, flag(given, "binary_data", where, default=binary), classes)
        return tuple(wanted.values())

    def _output(self, name: str, binary: bool, classes: int = 0) -> Wanted:
        kind = datatype(self._outputs[name])
        if kind in BINARY_ONLY and not binary and not classes:
            text = f"{kind} has no JSON form: ask for it with the parameter binary_data: true"
            raise refuse(text, got="JSON", wanted="binary_data: true", where=f"output {show(name)}")
        return Wanted(name, binary, classes)

    def _raw(self, body: memoryview) -> InferRequest:
        """A body that is nothing but the only input: its shape follows from its length."""
        if len(self._inputs) != 1:
            text = f"a raw request needs a model with one input, this one has {len(self._inputs)}"
            raise refuse(text, got="a raw request", wanted="JSON first", where=_LENGTH_HEADER)
        [spec] = self._inputs.values()
        where = f"input {show(spec.name)}"
        shape = _raw_shape(spec, len(body), where)
        if spec.dtype == "string":
            array: Array = np.array([binary_data.as_text(body, where)], dtype=object).reshape(shape)
        else:
            array = self.binary(body, spec, shape, where)
        feeds = {spec.name: array}
        return InferRequest(None, feeds, self._wanted([], binary=True), self._rows(feeds))

    def _rows(self, feeds: Mapping[str, Array]) -> int:
        first = next((feeds[name] for name in self._inputs), None)
        return first.shape[0] if first is not None and first.ndim else 1


def _why_not(spec: TensorSpec) -> str | None:
    if not spec.is_tensor:
        return f"input {show(spec.name)} is {spec.dtype}, which this protocol cannot carry"
    if spec.dtype == "bfloat16":
        return f"input {show(spec.name)} is BF16, which onnxruntime does not take from Python"
    return None


def _json_length(text: str, body: int) -> int:
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    if length is None or length > body:
        wanted = f"a number of bytes, at most the body's {body}"
        raise refuse(f"got {show(text)}, expected {wanted}", got=text, wanted=wanted, where=_LENGTH_HEADER)
    return length


def _check_datatype(entry: Entry, spec: TensorSpec, where: str, others: str) -> None:
    known, came = datatype(spec), entry.get("datatype")
    if came != known:
        wanted = known + others
        text = f"datatype is {show(came) if 'datatype' in entry else 'missing'}, the model takes {wanted}"
        raise refuse(text, got=came, wanted=wanted, where=where)


def _digits(integers: Array) -> Array:
    """Each as the text that `str` writes, which is the one that a model knows."""
    return np.array([str(value) for value in integers.ravel().tolist()], dtype=object).reshape(integers.shape)


def _check_no_shared_memory(given: Entry, where: str) -> None:
    if "shared_memory_region" in given:
        text = "shared memory is not offered"
        raise refuse(text, got="shared_memory_region", wanted="the tensor itself", where=where)


def _binary_size(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        wanted = "a number of bytes"
        raise refuse(
            f"binary_data_size is {show(value)}, expected {wanted}", got=value, wanted=wanted, where=where
        )
    return value


def _from_json(entry: Entry, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    if "data" not in entry:
        raise refuse("it has neither data nor binary_data_size", got="neither", wanted="one", where=where)
    if datatype(spec) in BINARY_ONLY:
        text = f"{datatype(spec)} has no JSON form: send it in binary form, with binary_data_size"
        raise refuse(text, got="data", wanted="binary_data_size", where=where)
    data = entry["data"]
    if isinstance(data, simdjson.Array):
        return json_data.read_quickly(data, spec, shape)
    return json_data.read(data, spec, shape, where)


def _brackets(entry: Entry, request: InferRequest) -> int:
    """The lists of one input: its shape, and its data."""
    data = entry.get("data")
    return 1 + (0 if data is None else json_data.brackets(data, request.feeds[entry["name"]].shape))


def _raw_shape(spec: TensorSpec, size: int, where: str) -> tuple[int, ...]:
    if spec.dtype == "string":
        if any(length not in (None, 1) for length in spec.shape):
            text = f"a raw request carries one element, the model takes {shown_shape(spec.shape)}"
            raise refuse(text, got="a raw request", wanted="JSON first", where=where)
        return (1,) * len(spec.shape)
    if spec.shape.count(None) > 1:
        text = "a raw request needs a model with at most one variable dimension"
        raise refuse(text, got="a raw request", wanted="JSON first", where=where)
    fixed = numpy_dtype(spec).itemsize
    for length in spec.shape:
        fixed *= 1 if length is None else length
    free = size // fixed if fixed else 0
    return tuple(free if length is None else length for length in spec.shape)


def _names(names: Any, most: int = 8) -> str:
    shown = [show(name) for name in names]
    return (
        ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
    ) or "none"
