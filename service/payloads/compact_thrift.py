"""Structures in Thrift's compact protocol, the form of Parquet's footer and page headers, as plain dicts.

Only what is needed to judge a file before it is read: field number → value, with no schema. Bounds are
checked by Python itself (IndexError), lengths and depth here.
"""

from __future__ import annotations

from typing import Any

from service.errors import MalformedBody

Struct = dict[int, Any]

DEEPEST = 16
MOST_VALUES = 1_000_000
"""More are not read from one place of a file: that is a second of work, and far beyond what writers write."""

_TRUE, _FALSE, _I8, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_INTEGERS, _LISTS = (4, 5, 6), (9, 10)


class Reader:
    """Reads one structure after another from `data`, starting at `position`."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position
        self._left = MOST_VALUES

    def struct(self, depth: int = 0) -> Struct:
        """The structure that starts here.

        Raises:
            MalformedBody: it is nested too deeply or holds a type that Parquet does not use.
            IndexError: the data end before it does.
        """
        if depth > DEEPEST:
            raise _malformed("is nested too deeply")
        fields: Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _malformed("holds too many values")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in _LISTS:
            return self._list(depth + 1)
        if kind in (_TRUE, _FALSE, _I8):
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        raise _malformed(f"holds the unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        if size > len(self._data) - self.position or depth > DEEPEST:
            raise _malformed("holds a list longer than itself")
        return [self._value(head & 15, depth) for _ in range(size)]

    def _byte(self) -> int:
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.position:
            raise _malformed("is cut short")
        self.position += size
        return self._data[self.position - size : self.position]

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        result = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            result |= (byte & 127) << shift
            if byte < 128:
                return result
        raise _malformed("holds an integer of more than 64 bits")


def _malformed(reason: str) -> MalformedBody:
    return MalformedBody(f"the body is not Parquet: its header {reason}", got=reason, wanted="a Parquet file")
