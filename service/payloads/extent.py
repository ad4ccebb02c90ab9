"""What a table claims to hold, before it is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from service.signature import BOOL, TEXT


class Extent(NamedTuple):
    """The columns of a table, in its own order, and how many rows it has."""

    columns: list[str]
    rows: int


def wanted_kinds(kinds: Collection[str]) -> str:
    """What columns may hold, in words; numbers always, the others where `kinds` names them."""
    names = ["numbers", *(["booleans"] if BOOL in kinds else []), *(["text"] if TEXT in kinds else [])]
    return " or ".join(names)
