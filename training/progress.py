"""What a person sees while a model trains: a bar with epoch, loss and score, one for each member."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.comparison.trials import Run
from training.loop import Epoch


class TrainingProgress:
    """A context in which `epoch` moves the bar."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns,
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()
        self._progress.stop()

    def epoch(self, epoch: Epoch) -> None:
        """Show one more epoch."""
        if epoch.member not in self._tasks:
            self._end_bar()
            self._tasks[epoch.member] = self._progress.add_task("", total=epoch.of)
        who = f"member {epoch.member} of {epoch.members}  " if epoch.members > 1 else ""
        text = f"loss {epoch.train_loss:.4f}  validation {epoch.validation_loss:.4f}  score {epoch.score:.4f}"
        self._progress.update(self._tasks[epoch.member], completed=epoch.number, description=who + text)

    def _end_bar(self) -> None:
        """Stopped early is finished too: the last bar ends where its loop did."""
        if self._tasks:
            last = self._progress.tasks[-1]
            self._progress.update(last.id, total=last.completed)


class TrialsProgress:
    """A context in which `trial` moves the bar of a comparison."""

    def __init__(self, console: Console, trials: int) -> None:
        columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns,
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=trials)

    def __enter__(self) -> TrialsProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def trial(self, run: Run) -> None:
        """Show one more run."""
        trial, best = run.trial, run.best
        side = "with BN" if trial.batch_norm else "without BN"
        came = f"best score {best.validation:.4f}" if best else "diverged"
        self._progress.update(self._task, advance=1, description=f"{side}, rate {trial.rate:g}: {came}")
