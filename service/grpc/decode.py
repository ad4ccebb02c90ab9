"""A ModelInferRequest → the request in which every door ends, by the rules of `payloads.oip`.

The message becomes the document that the protocol has in JSON; the `data` of an input is its raw bytes, or
its typed contents. Either all inputs are raw or none is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.payloads.oip import Decoder, InferRequest, json_data
from service.payloads.oip.binary_data import as_text
from service.payloads.oip.datatypes import datatype, elements, numpy_dtype
from service.payloads.oip.fields import Entry
from service.payloads.oip.refusal import refuse, shown_shape
from service.payloads.values import bounds, show
from service.session import TensorSpec

Array = NDArray[Any]

CONTENTS = {
    "bool": "bool_contents",
    "int8": "int_contents",
    "int16": "int_contents",
    "int32": "int_contents",
    "int64": "int64_contents",
    "uint8": "uint_contents",
    "uint16": "uint_contents",
    "uint32": "uint_contents",
    "uint64": "uint64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
    "string": "bytes_contents",
}
"""The field of InferTensorContents for each of our dtypes; FP16 and BF16 have none."""

_WIDE = {"int_contents": np.dtype(np.int32), "uint_contents": np.dtype(np.uint32)}
"""The fields that hold integers wider than their datatype may be."""


def decode(message: Any, decoder: Decoder) -> InferRequest:
    """The request in a message.

    Raises:
        InvalidTensors: it does not fit the protocol, or the model.
    """
    raw = message.raw_input_contents
    _check_one_form(message, len(raw))
    document = {
        "id": message.id or None,
        "parameters": _parameters(message.parameters),
        "inputs": [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(tensor.shape),
                "parameters": _parameters(tensor.parameters),
                "data": raw[index] if raw else tensor.contents,
            }
            for index, tensor in enumerate(message.inputs)
        ],
        "outputs": [
            {"name": output.name, "parameters": _parameters(output.parameters)} for output in message.outputs
        ],
    }
    # As they were asked, so they are answered: contents by contents where the outputs have that form.
    return decoder.request(document, partial(_read, decoder), binary=bool(raw) or decoder.has_binary_only)


def _check_one_form(message: Any, raw: int) -> None:
    if not raw:
        return
    if raw != len(message.inputs):
        text = f"got {raw} tensors for {len(message.inputs)} inputs: one is needed for each"
        raise refuse(text, got=raw, wanted=f"{len(message.inputs)} tensors", where="raw_input_contents")
    both = next((tensor.name for tensor in message.inputs if tensor.HasField("contents")), None)
    if both is not None:
        text = "it has contents beside raw_input_contents: send all inputs in one form"
        raise refuse(text, got="both", wanted="one", where=f"input {show(both)}")


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as values; one without a value is null, which the rules refuse."""
    return {key: _value(parameter) for key, parameter in given.items()}


def _value(parameter: Any) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


def _read(decoder: Decoder, entry: Entry, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    data = entry["data"]
    if isinstance(data, bytes):
        return decoder.binary(memoryview(data), spec, shape, where)
    return decoder.checked(_typed(data, spec, shape, where), spec, where)


def _typed(contents: Any, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    """The elements of the one field that belongs to the datatype."""
    name = CONTENTS.get(spec.dtype)
    if name is None:
        text = f"{datatype(spec)} has no typed contents: send it in raw_input_contents"
        raise refuse(text, got="contents", wanted="raw_input_contents", where=where)
    other = next((field.name for field, _ in contents.ListFields() if field.name != name), None)
    if other is not None:
        text = f"its contents are in {other}, {datatype(spec)} belongs in {name}"
        raise refuse(text, got=other, wanted=name, where=where)
    values = getattr(contents, name)
    if len(values) != elements(shape):
        text = f"{name} has {len(values)} elements, shape {shown_shape(shape)} takes {show(elements(shape))}"
        raise refuse(text, got=len(values), wanted=f"{show(elements(shape))} elements", where=where)
    return _array(values, name, spec, shape, where)


def _array(values: Any, name: str, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    dtype = numpy_dtype(spec)
    if spec.dtype == "string":
        texts = [as_text(memoryview(v), f"{where}, element {i}") for i, v in enumerate(values)]
        return np.array(texts, dtype=object).reshape(shape)
    array = np.array(values, dtype=_WIDE.get(name, dtype))
    if array.dtype.itemsize > dtype.itemsize and array.size:
        low, high = bounds(dtype.name)
        if not low < array.min() <= array.max() < high:
            # Slow, and names the element at fault.
            return json_data.read(array.tolist(), spec, (array.size,), where)
    return array.astype(dtype, copy=False).reshape(shape)
