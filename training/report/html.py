"""Html: text that is safe to show, and the few elements that the page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is markup already; any other text is escaped before it is shown."""

    __slots__ = ()


def html(text: str) -> Html:
    """The text as markup that shows it, whatever is in it."""
    return text if isinstance(text, Html) else Html(escape(text))


def joined(parts: Iterable[str]) -> Html:
    """All parts, one below the other."""
    return Html("\n".join(html(part) for part in parts if part))


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph."""
    return Html(f"<p{_class(kind)}>{html(text)}</p>")


def heading(text: str) -> Html:
    """Above a part of a section."""
    return Html(f"<h3>{html(text)}</h3>")


def bullets(texts: Iterable[str], kind: str = "") -> Html:
    """A list; nothing where it would be empty."""
    items = "".join(f"<li>{html(text)}</li>" for text in texts)
    return Html(f"<ul{_class(kind)}>{items}</ul>" if items else "")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> Html:
    """Rows below headings; `numbers` are the columns that stand to the right."""
    head = _row(headings, numbers, "th") if any(headings) else ""
    body = "\n".join(_row(row, numbers, "td") for row in rows)
    inside = (f"<thead>{head}</thead>\n" if head else "") + f"<tbody>{body}</tbody>"
    return Html(f'<div class="wide"><table>{inside}</table></div>')


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Names and values."""
    rows = "\n".join(f"<div><dt>{html(name)}</dt><dd>{html(value)}</dd></div>" for name, value in pairs)
    return Html(f"<dl>{rows}</dl>")


def figure(picture: str, caption: str, legend: Iterable[tuple[str, str]] = ()) -> Html:
    """A picture with its title; a legend of classes and names."""
    keys = "".join(f'<span class="key"><i class="{kind}"></i>{html(name)}</span>' for kind, name in legend)
    return Html(f"<figure><figcaption>{html(caption)} {keys}</figcaption>\n{picture}</figure>")


def figures(parts: Iterable[Html]) -> Html:
    """Pictures side by side, as many as there is room for."""
    return Html(f'<div class="figures">{joined(parts)}</div>')


def folded_up(summary: str, content: Html) -> Html:
    """Something that is shown when it is asked for."""
    return Html(f"<details><summary>{html(summary)}</summary>{content}</details>")


def _row(cells: Sequence[str], numbers: Sequence[int], element: str) -> str:
    marks = ((' class="n"' if place in numbers else "", html(cell)) for place, cell in enumerate(cells))
    return "<tr>" + "".join(f"<{element}{mark}>{cell}</{element}>" for mark, cell in marks) + "</tr>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
