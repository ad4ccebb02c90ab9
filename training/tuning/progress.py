"""What a person sees while a search runs: trials done, the best so far, the time left, the epoch."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from training.loop import Epoch
from training.tuning.search import Standing


class TuningProgress:
    """A context in which `standing` moves the bar and `epoch` says what goes on meanwhile."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns,
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("")
        self._standing = ""

    def __enter__(self) -> TuningProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.update(self._task, description=self._standing)
        self._progress.stop()

    def standing(self, standing: Standing) -> None:
        """Show where the search is."""
        best, left = standing.best, standing.seconds_left
        words = [] if best is None else [f"best {best.value:.4f} (trial {best.number})"]
        words += [] if left is None else [f"{_told(left)} left"]
        self._standing = "  ".join(words)
        self._progress.update(
            self._task, completed=standing.done, total=standing.of, description=self._standing
        )

    def epoch(self, epoch: Epoch) -> None:
        """Show one more epoch of the trial under way."""
        now = f"epoch {epoch.number} of {epoch.of}, score {epoch.score:.4f}"
        self._progress.update(self._task, description=f"{self._standing}  {now}")


def _told(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
