"""The wire format of protobuf: the fields of a message, without a schema and without copies."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message: their numbers, and what stands there.

    Raises:
        ValueError: it is damaged, or ends too early.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            whole, place = _varint(data, place)
            yield key >> 3, whole
            continue
        if kind not in (1, 2, 5):
            raise ValueError("not an ONNX file: it is damaged")
        size, place = _varint(data, place) if kind == 2 else (8 if kind == 1 else 4, place)
        if place + size > len(data):
            raise ValueError("not an ONNX file: it ends too early")
        value = data[place : place + size]
        place += size
        yield key >> 3, value


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("not an ONNX file: it is damaged")


def packed(data: memoryview) -> Iterator[int]:
    """The whole numbers of a repeated field.

    Raises:
        ValueError: they are damaged.
    """
    place = 0
    while place < len(data):
        value, place = _varint(data, place)
        yield value


def message(value: Value) -> memoryview:
    """A field that must be a message or bytes.

    Raises:
        ValueError: it is a number.
    """
    if isinstance(value, int):
        raise ValueError("not an ONNX file: it is damaged")
    return value


def text(value: Value) -> str:
    """A field that must be text.

    Raises:
        ValueError: it is a number.
    """
    return str(message(value), "utf-8", "replace")
