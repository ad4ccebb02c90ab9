"""The JSON header of a request as Python values, by two readers that never disagree on what is accepted."""

from __future__ import annotations

import json
import math
from typing import Any

import simdjson

from service.errors import MalformedBody
from service.payloads.oip.refusal import refuse, show

WANTED = '{"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}'
_LONGEST_INTEGER = 400

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
    document = _load(header)
    if not isinstance(document, dict):
        raise refuse(f"expected an object, got {show(document)}", got=document, wanted=WANTED, where="body")
    return document


def _load(header: bytes) -> Any:
    if not header.strip():
        raise MalformedBody("the body is empty", got="nothing", wanted=WANTED)
    try:
        return json.loads(header.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        byte = f"0x{header[error.start]:02x}"
        text = f"the JSON is not UTF-8: byte {error.start} is {byte}"
        raise MalformedBody(text, got=byte, wanted="JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        hint = "binary tensors need the header Inference-Header-Content-Length"
        text = f"the body is not JSON: {error.msg} at {place} ({hint})"
        raise MalformedBody(text, got=error.msg, wanted=WANTED, where=place) from None
    except RecursionError:
        raise MalformedBody("the body is nested too deeply", got="deep nesting", wanted=WANTED) from None


def _object(pairs: list[tuple[str, Any]]) -> Document:
    """A JSON object; a key given twice has no single meaning and is refused."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise refuse(f"the key {show(twice)} is given twice", got=twice, wanted="each key once", where="body")
    return result


def _integer(text: str) -> int | float:
    """An integer; one longer than any datatype needs no digits, and int() would refuse it."""
    return int(text) if len(text) < _LONGEST_INTEGER else math.copysign(math.inf, -(text[0] == "-"))
