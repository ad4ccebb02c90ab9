"""What a person sees while a model trains: a bar with epoch, loss and score."""

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
        self._progress = Progress(*columns, TextColumn("{task.description}"), console=console)
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            # Stopped early is finished too: the bar ends where the loop did.
            self._progress.update(self._task, total=self._progress.tasks[0].completed)
        self._progress.stop()

    def epoch(self, epoch: Epoch) -> None:
        """Show one more epoch."""
        if self._task is None:
            self._task = self._progress.add_task("", total=epoch.of)
        text = f"loss {epoch.train_loss:.4f}  validation {epoch.validation_loss:.4f}  score {epoch.score:.4f}"
        self._progress.update(self._task, completed=epoch.number, description=text)


class TrialsProgress:
    """A context in which `trial` moves the bar of a comparison."""

    def __init__(self, console: Console, trials: int) -> None:
        columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.description}"), console=console)
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
