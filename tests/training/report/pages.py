"""Pages read as a browser would read them, and small runs that leave one."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import mkdtemp

from tests.training.runs import Dataset, config
from training import pipeline
from training.pipeline import Outcome

_EMPTY = {"meta", "rect", "path"}


class Page(HTMLParser):
    """Text, elements, attributes; an element that is not closed in its turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _EMPTY
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(part for part in self.texts if part)


@cache
def outcome(dataset: Dataset) -> Outcome:
    """A run, made once."""
    return pipeline.run(config(dataset, Path(mkdtemp(prefix="foldserve-report-"))))


def read(found: Outcome) -> Page:
    """The page beside its model."""
    return Page(found.path.with_name("report.html").read_text("utf-8"))
