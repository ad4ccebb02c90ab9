"""A section of a page of the docs that a benchmark writes, between two comments."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def write(page: str, name: str, text: str) -> None:
    """Put the text in place of the section `name` of a page; a page without one is left as it is."""
    path = DOCS / page
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text().partition(begin) if path.exists() else ("", "", "")
    if found:
        path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{rest.partition(end)[2]}")
