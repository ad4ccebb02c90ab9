"""How a CSV is written: lines to skip, what separates and quotes fields, whether the first line is a header.

Found in the first lines, unless told. Every guess beyond a comma and a header is a note for the person.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from training.tables.table import MARKS, Reading

SAMPLE = 300
"""Lines that are looked at."""

BLANKS = " "
"""As a delimiter: any run of spaces and tabs."""

_CANDIDATES = ("\t", ";", "|", ",")
"""In this order: a comma may be a decimal point, or stand in text, between fields that others separate."""

_JUNK = ("#", "|", "%", "//", "sep=")
_SINGLE = re.compile(r"(?:^|[,;\t| ])\s*'(?![,;\t|])[^']*(?<![,;\t|])'\s*(?=$|[,;\t| ])")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """What was found.

    Attributes:
        skipped: the lines at the start that are no rows.
        first: the fields of the first line after them.
        completed: whether a name was put to those of the header, as each row has a field more.
    """

    delimiter: str
    quote: str
    skipped: tuple[str, ...]
    first: tuple[str, ...]
    header: bool
    completed: bool = False


def sniff(lines: Sequence[str], reading: Reading, target: str | None) -> Dialect:
    """The dialect of a file from its first lines."""
    count = reading.skip_lines
    start, rest = (0, lines) if count is None else (count, lines[count:])
    kept = [line for line in rest if line.strip() and not line.startswith(_JUNK)] or list(rest)
    quote = _quote(kept)
    delimiter = reading.delimiter or _delimiter(kept, quote)
    if count is None:
        start = _junk(rest, delimiter, quote)
    rows = [row for row in fields(rest[start:] if count is None else rest, delimiter, quote) if any(row)]
    first = tuple(rows[0]) if rows else ()
    header = _header(rows, reading, target)
    whole = _completed(first, rows[1:]) if header else first
    return Dialect(delimiter, quote, tuple(lines[:start]), whole, header, whole != first)


def _completed(names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A header with a name for each field, where all rows have one more: the names of rows, as R writes them,
    or nothing behind a separator at the end."""
    if not rows or any(len(row) != len(names) + 1 for row in rows):
        return names
    return ("", *names) if any(row[-1] for row in rows) else (*names, "")


def fields(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """The trimmed fields of some lines."""
    if delimiter == BLANKS:
        lines, delimiter = [tabbed(line, quote) for line in lines], "\t"
    whole = [line + "\n" for line in lines]
    rows = csv.reader(whole, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    found: list[list[str]] = []
    # The sample may end within quotes; the reader of the whole file says what is wrong.
    with suppress(csv.Error):
        found.extend([field.strip() for field in row] for row in rows)
    return found


def tabbed(text: str, quote: str) -> str:
    """Runs of blanks as one tab each, except within quotes."""
    parts = re.split(f"({quote}[^{quote}]*{quote})", text)
    parts[::2] = [re.sub(r"[ \t]+", "\t", part) for part in parts[::2]]
    return "\n".join(line.strip("\t") for line in "".join(parts).split("\n"))


def is_number(field: str) -> bool:
    """Whether a field says a number, with a point or a comma."""
    return _NUMBER.fullmatch(field) is not None


def _quote(lines: Sequence[str]) -> str:
    """The single quote where each line has a field it surrounds, and no double quote occurs."""
    if any('"' in line for line in lines):
        return '"'
    # The first line may be a header without quotes.
    rows = lines[1:] or lines
    return "'" if all(_SINGLE.search(line) for line in rows) and rows else '"'


def _delimiter(lines: Sequence[str], quote: str) -> str:
    for candidate in _CANDIDATES:
        width, share = _regularity(lines, candidate, quote)
        if width > 1 and share >= 0.9:
            return candidate
    width, share = _regularity(lines[_shorter(lines, quote) :], BLANKS, quote)
    # Blanks are also what text is made of: they separate only where every line agrees and numbers show.
    if width > 1 and share == 1 and any(is_number(f) for f in fields(lines[-1:], BLANKS, quote)[0]):
        return BLANKS
    return max(_CANDIDATES[::-1], key=lambda candidate: _regularity(lines, candidate, quote)[0] > 1)


def _shorter(lines: Sequence[str], quote: str) -> int:
    """1 where the first line has one field less than the second between blanks, as R writes a header."""
    widths = [len(row) for row in fields(lines[:2], BLANKS, quote)]
    return int(len(lines) > 2 and len(widths) == 2 and 1 < widths[0] == widths[1] - 1)


def _regularity(lines: Sequence[str], delimiter: str, quote: str) -> tuple[int, float]:
    """The usual number of fields, and the share of the lines that have it."""
    widths = Counter(len(row) for row in fields(lines, delimiter, quote) if row)
    if not widths:
        return 0, 0.0
    width, count = widths.most_common(1)[0]
    return width, count / widths.total()


def _junk(lines: Sequence[str], delimiter: str, quote: str) -> int:
    """How many lines at the start are no row: blank, a comment, or a single field above wider rows."""
    width, share = _regularity(lines, delimiter, quote)
    for index, line in enumerate(lines[:50]):
        found = fields([line], delimiter, quote)
        here = len(found[0]) if found else 0
        single = width > 1 and share > 0.5 and here == 1 and line.count(quote) % 2 == 0
        comment = line.startswith(_JUNK) and here != width
        if line.strip() and not (single or comment):
            return index
    return 0


def _header(rows: Sequence[Sequence[str]], reading: Reading, target: str | None) -> bool:
    if reading.header is not None:
        return reading.header
    if not rows:
        return False
    first, rest = rows[0], rows[1:]
    if reading.columns:
        # A file may name its columns although the names are given: then that line is no row.
        return sorted(first) == sorted(reading.columns)
    if target is not None and target in first:
        return True
    if first == [str(index) for index in range(len(first))] and len(first) > 1:
        return True
    if any(is_number(field) for field in first) and not _above_numbers(first, rest):
        return False
    return _stands_out(first, rest)


def _known(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The values of each column, without those that are missing."""
    columns = [[row[i] for row in rows if i < len(row)] for i in range(width)]
    return [[value for value in column if value and value not in MARKS] for column in columns]


def _above_numbers(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a text stands over a column of numbers: a name, though other names may be years."""
    pairs = zip(first, _known(rest, len(first)), strict=True)
    named = [column for name, column in pairs if name and not is_number(name) and name not in MARKS]
    return any(column and sum(map(is_number, column)) > 0.8 * len(column) for column in named)


def _stands_out(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a line with texts is unlike the rows below it."""
    if _above_numbers(first, rest):
        return True
    pairs = zip(first, _known(rest, len(first)), strict=True)
    repeated = sum(name in set(column) for name, column in pairs)
    return repeated * 2 < max(len(first), 1)
