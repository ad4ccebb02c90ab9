"""How large a table claims to be, before it is read."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """The columns of a table, in its own order, and how many rows it has."""

    columns: list[str]
    rows: int
