"""All that a training is told to. Who cannot be told at the start stops it; who fails later is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from service.metadata import ModelMetadata
from training.loop import Epoch
from training.tracking.log import Log


class Logs:
    """A context that tells several; one that fails is told no more, and the training goes on.

    Attributes:
        warnings: who failed, and why.
    """

    def __init__(self, logs: Sequence[Log]) -> None:
        self._logs, self.warnings = list(logs), list[str]()

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for log in self._logs:
            with suppress(Exception):
                log.end(well=kind is None)

    def epoch(self, epoch: Epoch) -> None:
        """Tell all of an epoch."""
        self._tell(lambda log: log.epoch(epoch))

    def trial(self, number: int, score: float) -> None:
        """Tell all of a trial."""
        self._tell(lambda log: log.trial(number, score))

    def published(self, metadata: ModelMetadata, model: Path) -> None:
        """Tell all of the model."""
        self._tell(lambda log: log.published(metadata, model))

    def _tell(self, word: Callable[[Log], None]) -> None:
        for log in tuple(self._logs):
            try:
                word(log)
            except Exception as error:  # hours of training are not lost for a curve
                self._logs.remove(log)
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                self.warnings.append(f"{log.name} was told no more: {reason}")


def opened(model: str, tensorboard: Path | None, mlflow: str | None) -> Logs:
    """Those that were asked for.

    Raises:
        ConfigError: a package is not installed.
        TrainingError: one cannot be written to.
    """
    logs: list[Log] = []
    if tensorboard is not None:
        from training.tracking.tensorboard import TensorBoard

        logs.append(TensorBoard(tensorboard, model))
    if mlflow is not None:
        from training.tracking.mlflow import MLflow

        logs.append(MLflow(mlflow, model))
    return Logs(logs)
