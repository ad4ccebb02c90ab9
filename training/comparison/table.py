"""A comparison in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.comparison import wording
from training.comparison.summary import Summary


def show(summary: Summary) -> Group:
    """The faces, the scores by start and rate, and the answer in sentences."""
    return Group(*_parts(summary))


def _parts(summary: Summary) -> Iterator[RenderableType]:
    yield _faces(summary)
    yield Text()
    yield _rates(summary)
    yield from map(Text, start_lines(summary))
    yield Text()
    for sentence in wording.answer(summary):
        yield Text(sentence)


def _faces(summary: Summary) -> Table:
    comparison = summary.comparison
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column(f"validation {comparison.score}, n = {comparison.grid.seeds} seeds", no_wrap=True)
    for face in summary.faces:
        table.add_column(face.question, justify="right")
    for heading, cells in rows(summary):
        table.add_row(Text(heading), *map(Text, cells))
    return table


def rows(summary: Summary) -> Iterator[tuple[str, list[str]]]:
    """A heading and one cell for each face."""
    faces, comparison = summary.faces, summary.comparison
    seeds = comparison.grid.seeds

    def row(heading: str, cell: object) -> tuple[str, list[str]]:
        return heading, [cell(face) for face in faces]  # type: ignore[operator]

    yield row("with BN: start, rate", lambda f: wording.choice(comparison, f.with_norm))
    yield row("without BN: start, rate", lambda f: wording.choice(comparison, f.without))
    yield row("with BN: best score", lambda f: wording.scored(f.with_norm))
    yield row("without BN: best score", lambda f: wording.scored(f.without))
    yield row("difference [95 %]", lambda f: wording.difference(f.difference, seeds))
    if comparison.rows[2]:
        yield row("difference, test score [95 %]", lambda f: wording.difference(f.test_difference, seeds))
    yield row("steps with BN to the other's best", lambda f: wording.steps(f.reached[0]))
    yield row("steps without to the other's best", lambda f: wording.steps(f.reached[1]))
    yield row("steps without / with [95 %]", lambda f: wording.times(f.fewer, seeds))


def _rates(summary: Summary) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, heading in enumerate(rate_headings(summary)):
        table.add_column(heading, justify="right" if number else "left")
    for cells in rate_rows(summary):
        table.add_row(*map(Text, cells))
    return table


def start_lines(summary: Summary) -> Iterator[str]:
    """What the start costs each side."""
    for spread in summary.spreads:
        if spread.over_starts:
            cost = wording.difference(spread.over_starts, summary.comparison.grid.seeds).replace("\n", " ")
            yield f"{wording.SIDES[spread.batch_norm]}, usual less small start: {cost}"


def rate_headings(summary: Summary) -> list[str]:
    """The rate, then each start with and without."""
    comparison = summary.comparison
    starts = [wording.start_name(comparison, start) for start in comparison.grid.starts]
    return ["rate", *(f"{start},\n{side}" for start in starts for side in wording.SIDES.values())]


def rate_rows(summary: Summary) -> Iterator[list[str]]:
    """Scores at each rate, and how far they move."""
    grid = summary.comparison.grid
    pairs = [(start, side) for start in grid.starts for side in wording.SIDES]
    for rate in grid.rates:
        yield [f"{rate:g}", *(wording.scored(summary.setting(side, start, rate)) for start, side in pairs)]
    spreads = {spread.batch_norm: spread for spread in summary.spreads}
    yield ["range", *(wording.moved(spreads[side], start) for start, side in pairs)]
