"""Tensors in binary form: little-endian, row by row, no padding; text as uint32 length + bytes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidTensors
from service.payloads.oip.datatypes import datatype, elements, numpy_dtype
from service.payloads.oip.refusal import refuse, shown_shape
from service.payloads.values import show
from service.session import TensorSpec

Array = NDArray[Any]
_LENGTH = struct.Struct("<I")


class Tail:
    """What follows the JSON in a body, taken tensor by tensor."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._taken = 0

    @property
    def left(self) -> int:
        """The bytes not yet taken."""
        return len(self._data) - self._taken

    def take(self, size: int, where: str) -> memoryview:
        """The next `size` bytes.

        Raises:
            InvalidTensors: there are fewer.
        """
        if size > self.left:
            text = f"binary_data_size is {show(size)}, but {self.left} bytes of the body are left"
            raise refuse(text, got=size, wanted=f"at most {self.left}", where=where)
        self._taken += size
        return self._data[self._taken - size : self._taken]


def read(data: memoryview, spec: TensorSpec, shape: tuple[int, ...], where: str) -> Array:
    """A view of the bytes as an array; text is decoded.

    Raises:
        InvalidTensors: more or fewer bytes than the shape takes, or bytes that the datatype has no use for.
    """
    if spec.dtype == "string":
        texts = _read_texts(data, shape, where)
        return np.array(texts, dtype=object).reshape(shape)
    dtype = numpy_dtype(spec)
    wanted = elements(shape) * dtype.itemsize
    if len(data) != wanted:
        text = f"got {len(data)} bytes, {datatype(spec)} {shown_shape(shape)} takes {show(wanted)}"
        raise refuse(text, got=len(data), wanted=f"{show(wanted)} bytes", where=where)
    if spec.dtype == "bool" and (np.frombuffer(data, np.uint8) > 1).any():
        raise refuse("a BOOL byte is neither 0 nor 1", got="another byte", wanted="0 or 1", where=where)
    array = np.frombuffer(data, dtype).reshape(shape)
    # A tensor may begin at any byte, kernels expect numbers at their own multiples: then it is copied.
    return array if array.flags.aligned else array.copy()


def _read_texts(data: memoryview, shape: tuple[int, ...], where: str) -> list[str]:
    wanted = elements(shape)
    texts: list[str] = []
    position = 0
    while position < len(data):
        start = position + _LENGTH.size
        size = _LENGTH.unpack_from(data, position)[0] if start <= len(data) else 0
        position = start + size
        if position > len(data):
            text = f"element {len(texts)} ends {position - len(data)} bytes beyond its tensor"
            raise refuse(text, got=f"{len(data)} bytes", wanted="uint32 length + bytes", where=where)
        try:
            texts.append(str(data[start:position], "utf-8"))
        except UnicodeDecodeError as error:
            raise _not_utf8(error, data[start:position], f"{where}, element {len(texts)}") from None
    if len(texts) != wanted:
        text = f"got {len(texts)} elements, shape {shown_shape(shape)} takes {show(wanted)}"
        raise refuse(text, got=len(texts), wanted=f"{show(wanted)} elements", where=where)
    return texts


def as_text(data: memoryview, where: str) -> str:
    """Bytes as UTF-8.

    Raises:
        InvalidTensors: they are not.
    """
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(error, data, where) from None


def _not_utf8(error: UnicodeDecodeError, data: memoryview, where: str) -> InvalidTensors:
    byte = f"0x{data[error.start]:02x}"
    return refuse(f"not UTF-8: byte {error.start} is {byte}", got=byte, wanted="UTF-8", where=where)


def write(array: Array) -> bytes:
    """The binary form of an array; text is encoded."""
    if array.dtype != object:
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
