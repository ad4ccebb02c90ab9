"""The JSON header of a request as Python values, by two readers that never disagree on what is accepted."""

from __future__ import annotations

from typing import Any

import simdjson

from service.errors import InvalidTensors
from service.payloads import json_text
from service.payloads.oip.refusal import refuse
from service.payloads.values import show

WANTED = '{"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}'
_HINT = " (binary tensors need the header Inference-Header-Content-Length)"

Document = dict[str, Any]


def outline(parser: simdjson.Parser, header: bytes) -> Document:
    """The header with every `data` left as a simdjson array.

    Raises:
        ValueError, TypeError, RuntimeError: it is not of the usual form; `parse` knows more.
    """
    document = _items(parser.parse(header))
    for key in ("inputs", "outputs"):
        if key in document:
            document[key] = [_entry(item) for item in document[key]]
    if "parameters" in document:
        document["parameters"] = _scalars(document["parameters"])
    return document


def _entry(item: Any) -> Document:
    entry = _items(item)
    if "shape" in entry:
        entry["shape"] = entry["shape"].as_list()
    if "parameters" in entry:
        entry["parameters"] = _scalars(entry["parameters"])
    return entry


def _items(value: Any) -> Document:
    if not isinstance(value, simdjson.Object):
        raise TypeError("not an object")
    keys = list(value.keys())
    # Not items(): that makes Python objects of everything inside.
    result = {key: value[key] for key in keys}
    if len(result) != len(keys):
        raise ValueError("a key is given twice")
    return result


def _scalars(value: Any) -> Document:
    result = _items(value)
    if any(isinstance(item, simdjson.Object | simdjson.Array) for item in result.values()):
        raise TypeError("not a scalar")
    return result


def parse(header: bytes) -> Document:
    """The header, spelled out.

    Raises:
        MalformedBody: it is not JSON in UTF-8.
        InvalidTensors: a key is given twice, or it is not an object.
    """
    document = json_text.parse(header, WANTED, _given_twice, _HINT)
    if not isinstance(document, dict):
        raise refuse(f"expected an object, got {show(document)}", got=document, wanted=WANTED, where="body")
    return document


def _given_twice(key: str) -> InvalidTensors:
    return refuse(f"the key {show(key)} is given twice", got=key, wanted="each key once", where="body")
