"""What a person sees while a file of rows is predicted: rows done, rows per second, the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Pace(ProgressColumn):
    """Rows per second, once there is something to divide."""

    def render(self, task: Task) -> Text:
        pace = task.finished_speed or task.speed
        return Text(f"{pace:,.0f} rows/s" if pace else "")


@contextmanager
def rows_progress(console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that goes when it is done; on a terminal only. What it gives is told of rows done."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Pace(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda done, of: progress.update(task, description="predicting", completed=done, total=of)
