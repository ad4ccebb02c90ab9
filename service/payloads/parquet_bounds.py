"""What a Parquet file claims to hold, checked page by page before anything is unpacked.

A reader that believes a damaged length asks for memory that no machine has, and its process ends: one wrong
byte of a small file would stop the server. So every length that decides over memory is read here first. What
passes has flat columns of numbers only, and of truth values and text for a model that takes those; in every
row group as many values in each column as it has rows, no page larger unpacked than its values need; no more
values in all than the limit, and no more bytes of text than twice that, which is what a body of the largest
size can hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from service.errors import InvalidRows, MalformedBody, TooManyNumbers
from service.payloads.compact_thrift import Reader, Struct
from service.payloads.extent import Extent, wanted_kinds
from service.payloads.values import show
from service.signature import BOOL, TEXT

WANTED = "a Parquet file with one column per feature"
MOST_PAGES = 20_000
MOST_GROUPS = 4_000
_LONGEST_FOOTER = 1 << 20
_MAGIC = b"PAR1"
_BOOLEAN, _NUMBERS, _TEXT = 0, (1, 2, 4, 5), 6
_BYTES = {0: 1, 1: 4, 2: 8, 4: 4, 5: 8}
_ENCODINGS = frozenset({0, 2, 3, 8, 9})
"""Plain, dictionary, run lengths and split bytes; the delta forms carry lengths of their own."""
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_SLACK = 4096


class Chunk(NamedTuple):
    """How many pages a column chunk has, and how many bytes its pages of text unpack to."""

    pages: int
    texts: int


def check(body: bytes, most_columns: int, most: int, kinds: Collection[str] = ()) -> Extent:
    """The extent of a file that can be read safely; `kinds` may name "bool" and "string" beside numbers.

    Raises:
        MalformedBody: it is not Parquet, or its lengths contradict each other.
        InvalidRows: it has columns of another kind, or too many.
        TooManyNumbers: it holds more values or text than the limit.
    """
    try:
        return _check(body, most_columns, most, kinds)
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise malformed("its footer is damaged") from error


def malformed(reason: str) -> MalformedBody:
    """The refusal of a file."""
    return MalformedBody(f"the body is not a Parquet file: {reason}", got=reason, wanted=WANTED)


def _check(body: bytes, most_columns: int, most: int, kinds: Collection[str]) -> Extent:
    footer = _footer(body, most_columns)
    columns, groups = _columns(footer[2], most_columns, kinds), footer[4]
    rows = sum(_natural(group[3]) for group in groups)
    if rows * len(columns) > most:
        raise TooManyNumbers(rows * len(columns), most)
    if rows != footer[3] or len(groups) > MOST_GROUPS:
        raise malformed(f"its {len(groups)} row groups have {rows} rows, its footer says {footer[3]}")
    if rows:
        _check_groups(body, columns, groups, most)
    return Extent([name for name, _ in columns], rows)


def _footer(body: bytes, most_columns: int) -> Struct:
    length = int.from_bytes(body[-8:-4], "little")
    if body[:4] != _MAGIC or body[-4:] != _MAGIC or len(body) < 12:
        raise malformed("it does not start and end with PAR1")
    if not 0 < length <= min(len(body) - 12, _LONGEST_FOOTER + 1024 * most_columns):
        raise malformed(f"its footer cannot be {length} bytes long")
    return Reader(body[-8 - length : -8]).struct()


def _check_groups(body: bytes, columns: list[tuple[str, int]], groups: list[Struct], most: int) -> None:
    pages, texts = MOST_PAGES, 0
    for group in groups:
        if len(group[1]) != len(columns):
            raise malformed("a row group lacks columns")
        for chunk, (name, kind) in zip(group[1], columns, strict=True):
            found = _check_chunk(body, chunk[3], name, kind, group[3], pages)
            pages -= found.pages
            texts += found.texts
            if texts > 2 * most:
                raise TooManyNumbers(texts, 2 * most, "bytes of text")


def _columns(schema: list[Struct], most: int, kinds: Collection[str]) -> list[tuple[str, int]]:
    """Name and physical type of each column."""
    root, leaves = schema[0], schema[1:]
    if len(leaves) > most:
        text = f"expected at most {most} columns, got {len(leaves)}"
        raise InvalidRows(text, got=f"{len(leaves)} columns", wanted=f"{most} columns", where="columns")
    if root[5] != len(leaves):
        raise _unfit("its columns", "nested values", kinds)
    return [_column(leaf, kinds) for leaf in leaves]


def _column(leaf: Struct, kinds: Collection[str]) -> tuple[str, int]:
    name: str = leaf[4].decode("utf-8", "replace")
    if leaf.get(5) or leaf.get(3) == 2:
        raise _unfit(f"column {show(name)}", "nested values", kinds)
    allowed = (leaf[1] == _BOOLEAN and BOOL in kinds) or (_is_text(leaf) and TEXT in kinds)
    if leaf[1] not in _NUMBERS and not allowed:
        came = "booleans" if leaf[1] == _BOOLEAN else "text, bytes or another type"
        raise _unfit(f"column {show(name)}", came, kinds)
    return name, leaf[1]


def _is_text(leaf: Struct) -> bool:
    """Bytes that are marked as UTF-8, in the old way or the new."""
    return leaf[1] == _TEXT and (leaf.get(6) == 0 or 1 in leaf.get(10, ()))


def _check_chunk(body: bytes, chunk: Struct, name: str, kind: int, rows: int, pages: int) -> Chunk:
    """What a column chunk takes, once its pages hold `rows` values and nothing else."""
    if chunk[1] != kind or [part.decode("utf-8", "replace") for part in chunk[3]] != [name]:
        raise malformed("a row group's columns are not those of its schema")
    start = _natural(chunk.get(11) or chunk[9])
    end = start + _natural(chunk[7])
    if chunk[5] != rows or not 4 <= start <= end <= len(body):
        raise malformed(f"column {show(name)} does not have {rows} values")
    values = found = texts = 0
    for header in _pages(body, start, end):
        values += _check_page(header, kind, rows, first=not found)
        texts += header[2] if kind == _TEXT else 0
        found += 1
        if found > pages:
            raise malformed(f"it has more than {MOST_PAGES} pages")
    if values != rows:
        raise malformed(f"column {show(name)} has {values} values in its pages, expected {rows}")
    return Chunk(found, texts)


def _pages(body: bytes, start: int, end: int) -> Iterator[Struct]:
    reader = Reader(body, start)
    while reader.position < end:
        header = reader.struct()
        yield header
        reader.position += _natural(header[3])
    if reader.position != end:
        raise malformed("a page reaches beyond its column")


def _check_page(header: Struct, kind: int, rows: int, *, first: bool) -> int:
    """How many of the column's values a page holds."""
    form = header[1]
    numbers = header[{_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}[form]]
    values = _natural(numbers[1])
    # How long texts are is known to nobody yet: they are counted together.
    most = _SLACK + values * (_BYTES[kind] + 4) if kind != _TEXT else _natural(header[2])
    if values > rows or _natural(header[2]) > most:
        raise malformed(f"a page of {header[2]} bytes cannot hold {values} of {rows} values")
    if form == _DICTIONARY:
        if not first or numbers[2] not in _ENCODINGS:
            raise malformed("a dictionary is not where it belongs")
        return 0
    _check_data_page(numbers, form)
    return values


def _check_data_page(numbers: Struct, form: int) -> None:
    encoding = numbers[4 if form == _DATA_V2 else 2]
    if encoding not in _ENCODINGS:
        raise malformed(f"encoding {encoding} is not read here: write it with plain or dictionary encoding")
    if form == _DATA_V2 and (
        numbers[3] != numbers[1] or _natural(numbers[6]) or _natural(numbers[2]) > numbers[1]
    ):
        raise malformed("a page's rows are not its values")


def _natural(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 48:
        raise malformed(f"a length is {value}")
    return value


def _unfit(place: str, came: str, kinds: Collection[str]) -> InvalidRows:
    wanted = wanted_kinds(kinds)
    return InvalidRows(f"{place}: expected {wanted}, got {came}", got=came, wanted=wanted, where="columns")
