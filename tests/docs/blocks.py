"""The code blocks of the pages, and what a comment in front of one says of it.

A block in `sh` or `python` is run. Three comments, in the line before a block, say otherwise:

    <!-- not run: why -->       it needs what a test does not have; it is counted and listed
    <!-- file: NAME -->         it is not run but written into the page's folder
    <!-- fails -->              its last command ends with an error, which is what the page shows
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

RUN = ("sh", "python")
PROGRAMS = (
    *("foldserve", "curl", "docker", "kubectl", "python", "pip", "make", "git", "mkdir", "mv", "cp"),
    *("chmod", "gzip", "printf", "openssl", "source", "apt-get", "pytest"),
)
"""What a command begins with; a test finds those that stand where nothing runs them."""

Fate = Literal["run", "file", "not run", "shown"]

_COMMAND = re.compile(rf"^([A-Z_]+=\S+ )*(\S*/)?({'|'.join(sorted(PROGRAMS))}) \S|^import \w+( as \w+)?$")
_FENCE = re.compile(r"^```(\S*)\s*$")
_COMMENT = re.compile(r"^<!-- (not run|file|fails)(?:: (.*?))? -->$")


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        line: where it begins, counted from 1.
        mark, said: the comment in front of it.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str = ""
    said: str = ""

    @property
    def fate(self) -> Fate:
        """What happens to it."""
        if self.mark == "not run":
            return "not run"
        if self.mark == "file":
            return "file"
        return "run" if self.language in RUN else "shown"

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """The fenced blocks, in their order."""
    lines = text.splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence and start is None:
            start, language = number, fence[1]
        elif start is not None and line == "```":
            content = "\n".join(lines[start + 1 : number]) + "\n"
            yield Block(page, start + 1, language, content, *_comment(lines[:start]))
            start = None


def indented_of(text: str, page: str) -> Iterator[Block]:
    """Lines indented by four that follow an empty one: Markdown takes them for code, too."""
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("    ") and not before.strip():
            yield Block(page, number, "", line.strip() + "\n")
        before = line


def page_blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page of this repository."""
    return list(blocks_of(path.read_text(), path.name))


def commands_in(text: str) -> list[str]:
    """The lines that look like commands of a shell, or like imports of Python."""
    return [line for line in text.splitlines() if _COMMAND.match(line.strip())]


def _comment(before: list[str]) -> tuple[str, str]:
    while before and not before[-1].strip():
        before = before[:-1]
    found = _COMMENT.match(before[-1].strip()) if before else None
    return (found[1], found[2] or "") if found else ("", "")
