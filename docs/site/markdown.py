"""Markdown as the generated pages need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `python -m docs.site` from {source}. -->\n\n"


def page(title: str, source: str, text: str) -> str:
    """A page that says where it comes from."""
    return NOTE.format(source=source) + f"# {title}\n\n{text.strip()}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(text: str | None) -> str:
    """Plain text as a cell of a table: one line, with what Markdown or HTML would read escaped."""
    plain = " ".join((text or "").split())
    parts = re.split(r"(`[^`]*`)", plain)
    return "".join(_coded(part) if part.startswith("`") else _escaped(part) for part in parts)


def code(text: str) -> str:
    """A word as code, in a cell too."""
    return "`" + text.replace("|", "\\|") + "`"


def _coded(part: str) -> str:
    return part.replace("|", "\\|")


def _escaped(part: str) -> str:
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        part = part.replace(sign, instead)
    return re.sub(r"([\\*_|\[\]])", r"\\\1", part)
