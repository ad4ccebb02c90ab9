"""What an Arrow IPC stream claims to hold, checked message by message before anything is unpacked.

The reader asks for as much memory as a message's lengths say, compressed or not; see `parquet_bounds`. What
passes has flat columns of numbers only, and of truth values and text for a model that takes those; every
column as long as its batch, every buffer inside its message and, once unpacked, no larger than its values
need; no more values in all than the limit, and no more bytes of text than twice that, which is what a body
of the largest size can hold.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeVar

from service.errors import InvalidRows, MalformedBody, TooManyNumbers
from service.payloads.extent import Extent, wanted_kinds
from service.payloads.values import show
from service.signature import BOOL, TEXT

WANTED = "an Arrow IPC stream with one column per feature"
MOST_BATCHES = 10_000
_SCHEMA, _BATCH = 1, 3
_INT, _FLOAT, _TEXT, _BOOL, _LARGE_TEXT, _TEXT_VIEW = 2, 3, 5, 6, 20, 24
_OFFSETS = {_TEXT: 32, _LARGE_TEXT: 64}
_VIEW_BITS = 128
_FLOAT_BITS = {0: 16, 1: 32, 2: 64}
_CONTINUES = 0xFFFFFFFF
_SLACK = 128
_Value = TypeVar("_Value")


class Column(NamedTuple):
    """A column: its name, the bits of one value, and which of the forms of text it has, if any."""

    name: str
    bits: int
    text: int | None = None

    def needed(self, rows: int) -> int:
        """The bytes of its values; for text those of the places where each begins, or of its views."""
        return ((rows + (self.text in _OFFSETS)) * self.bits + 7) // 8


class _Table:
    """A FlatBuffers table. Reading outside the data raises struct.error."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data, self._position = data, position
        self._vtable = position - self._read("<i", position)
        self._size = self._read("<H", self._vtable)

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        """The table that a buffer starts with."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def number(self, field: int, form: str) -> int:
        """A scalar; 0, the default of every field read here, when it is absent."""
        place = self._place(field)
        return self._read(form, place) if place else 0

    def table(self, field: int) -> _Table | None:
        """A table within this one."""
        place = self._place(field)
        return _Table(self._data, self._follow(place)) if place else None

    def vector(self, field: int, size: int) -> tuple[int, int]:
        """Where a vector's first element lies, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = self._follow(place)
        count = self._read("<I", start)
        if start + 4 + count * size > len(self._data):
            raise malformed("a list is longer than its message")
        return start + 4, count

    def tables(self, field: int) -> Iterator[_Table]:
        """The tables of a vector."""
        start, count = self.vector(field, 4)
        for place in range(start, start + 4 * count, 4):
            yield _Table(self._data, self._follow(place))

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structures of two 64-bit integers."""
        start, count = self.vector(field, 16)
        return list(struct.iter_unpack("<qq", self._data[start : start + 16 * count]))

    def numbers(self, field: int) -> list[int]:
        """A vector of 64-bit integers."""
        start, count = self.vector(field, 8)
        return [number for (number,) in struct.iter_unpack("<q", self._data[start : start + 8 * count])]

    def text(self, field: int) -> str:
        """A string."""
        start, count = self.vector(field, 1)
        return bytes(self._data[start : start + count]).decode("utf-8", "replace")

    def _place(self, field: int) -> int:
        slot = 4 + 2 * field
        offset = self._read("<H", self._vtable + slot) if slot < self._size else 0
        return self._position + offset if offset else 0

    def _follow(self, place: int) -> int:
        return place + self._read("<I", place)

    def _read(self, form: str, place: int) -> int:
        if place < 0:
            raise malformed("an offset is negative")
        value: int = struct.unpack_from(form, self._data, place)[0]
        return value


def check(body: bytes, most_columns: int, most: int, kinds: Collection[str] = ()) -> Extent:
    """The extent of a stream that can be read safely; `kinds` may name "bool" and "string" beside numbers.

    Raises:
        MalformedBody: it is not an Arrow stream, or its lengths contradict each other.
        InvalidRows: it has columns of another kind, or too many.
        TooManyNumbers: it holds more values or text than the limit.
    """
    try:
        return _check(body, most_columns, most, kinds)
    except (struct.error, RecursionError) as error:
        raise malformed("a message is damaged") from error


def malformed(reason: str) -> MalformedBody:
    """The refusal of a stream."""
    return MalformedBody(f"the body is not an Arrow stream: {reason}", got=reason, wanted=WANTED)


def _check(body: bytes, most_columns: int, most: int, kinds: Collection[str]) -> Extent:
    messages = _messages(memoryview(body))
    first, _ = next(messages, (None, None))
    if first is None or first.number(1, "<B") != _SCHEMA:
        raise malformed("it does not start with a schema")
    columns = _columns(_header(first), most_columns, kinds)
    rows = texts = 0
    for index, (message, data) in enumerate(messages):
        if message.number(1, "<B") != _BATCH or index >= MOST_BATCHES:
            raise malformed(f"expected at most {MOST_BATCHES} record batches and nothing else")
        batch = _header(message)
        count = batch.number(0, "<q")
        rows += count
        if count >= 0 and rows * len(columns) > most:
            raise TooManyNumbers(rows * len(columns), most)
        texts += _check_batch(batch, data, columns, count)
        if texts > 2 * most:
            raise TooManyNumbers(texts, 2 * most, "bytes of text")
    return Extent([column.name for column in columns], rows)


def _messages(body: memoryview) -> Iterator[tuple[_Table, memoryview]]:
    """Each message's table and the bytes of its buffers, up to the end mark or the end of the body."""
    place = 0
    while place < len(body):
        length = struct.unpack_from("<I", body, place)[0]
        if length != _CONTINUES:
            raise malformed("a message does not start as one")
        size = struct.unpack_from("<i", body, place + 4)[0]
        place += 8
        if size == 0:
            return
        if not 0 < size <= len(body) - place:
            raise malformed("it is cut short")
        table = _Table.root(body[place : place + size])
        data = table.number(3, "<q")
        place += size
        if not 0 <= data <= len(body) - place:
            raise malformed("it is cut short")
        yield table, body[place : place + data]
        place += data


def _header(message: _Table) -> _Table:
    header = message.table(2)
    if header is None:
        raise malformed("a message is empty")
    return header


def _columns(schema: _Table, most: int, kinds: Collection[str]) -> list[Column]:
    _, count = schema.vector(1, 4)
    if count > most:
        text = f"expected at most {most} columns, got {count}"
        raise InvalidRows(text, got=f"{count} columns", wanted=f"{most} columns", where="columns")
    if schema.number(0, "<h"):
        raise malformed("its numbers are big-endian")
    return [_column(field, kinds) for field in schema.tables(1)]


def _column(field: _Table, kinds: Collection[str]) -> Column:
    name, kind, form = field.text(0), field.number(2, "<B"), field.table(3)
    plain = field.table(4) is None and not field.vector(5, 4)[1]
    if plain and BOOL in kinds and kind == _BOOL:
        return Column(name, 1)
    if plain and TEXT in kinds and kind in (_TEXT, _LARGE_TEXT, _TEXT_VIEW):
        return Column(name, _OFFSETS.get(kind, _VIEW_BITS), kind)
    if kind not in (_INT, _FLOAT) or form is None or not plain:
        dictionary = "a dictionary: send its values" if field.table(4) is not None else None
        came = dictionary or ("booleans" if kind == _BOOL else "text, bytes or another type")
        wanted = wanted_kinds(kinds)
        place = f"column {show(name)}"
        raise InvalidRows(f"{place}: expected {wanted}, got {came}", got=came, wanted=wanted, where="columns")
    bits = form.number(0, "<i") if kind == _INT else _FLOAT_BITS.get(form.number(0, "<h"), 0)
    if bits not in (8, 16, 32, 64):
        raise malformed(f"column {show(name)} has numbers of {bits} bits")
    return Column(name, bits)


def _check_batch(batch: _Table, data: memoryview, columns: list[Column], rows: int) -> int:
    """How many bytes the texts of a batch take; everything else is as large as it must be."""
    nodes, buffers = batch.pairs(1), iter(batch.pairs(2))
    if rows < 0 or len(nodes) != len(columns):
        raise malformed("a batch lacks columns")
    packed, views = batch.table(3) is not None, iter(batch.numbers(4))
    texts = 0
    for column, (length, nulls) in zip(columns, nodes, strict=True):
        if length != rows or not 0 <= nulls <= rows:
            raise malformed(f"column {show(column.name)} is not as long as its batch")
        _check_buffer(data, _next(buffers), (rows + 7) // 8, packed=packed, optional=not nulls)
        _check_buffer(data, _next(buffers), column.needed(rows), packed=packed, optional=not rows)
        more = _next(views) if column.text == _TEXT_VIEW else int(column.text is not None)
        sizes = [_unpacked(data, _next(buffers), packed=packed) for _ in range(more)]
        if more < 0 or min(sizes, default=0) < 0:
            raise malformed(f"the texts of column {show(column.name)} have a length below zero")
        texts += sum(sizes)
    if next(buffers, None) is not None:
        raise malformed("a batch has more buffers than its columns")
    return texts


def _next(values: Iterator[_Value]) -> _Value:
    value = next(values, None)
    if value is None:
        raise malformed("a batch lacks columns")
    return value


def _check_buffer(
    data: memoryview, buffer: tuple[int, int], needed: int, *, packed: bool, optional: bool
) -> None:
    """A buffer lies within its message and unpacks to what is needed, give or take the padding."""
    unpacked = _unpacked(data, buffer, packed=packed)
    if buffer[1] == 0 and (optional or not needed):
        return
    if unpacked < needed or (packed and unpacked > needed + _SLACK):
        raise malformed(f"a buffer of {unpacked} bytes cannot hold {needed}")


def _unpacked(data: memoryview, buffer: tuple[int, int], *, packed: bool) -> int:
    """The bytes of a buffer once it is unpacked."""
    start, size = buffer
    if start < 0 or size < 0 or start + size > len(data):
        raise malformed("a buffer lies outside its message")
    unpacked: int = struct.unpack_from("<q", data, start)[0] if packed and size else size
    return size - 8 if unpacked == -1 else unpacked
