"""Event files for TensorBoard, a folder for each training."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from service.metadata import ModelMetadata
from training import extras
from training.errors import TrainingError
from training.loop import Epoch
from training.tracking.log import TRIALS, choices, curves


class TensorBoard:
    """Writes DIR/NAME/TIME; choices and final scores are in the tab of hyperparameters.

    Raises:
        ConfigError: tensorboard is not installed.
        TrainingError: the folder cannot be written.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, model: str) -> None:
        extras.require("tensorboard,train,cpu", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        home = folder / model / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        try:
            self._writer = SummaryWriter(str(home), flush_secs=10)
        except OSError as error:
            raise TrainingError(f"--tensorboard cannot write to {home}: {error.strerror or error}") from error

    def epoch(self, epoch: Epoch) -> None:
        """Its points."""
        for name, value in curves(epoch).items():
            self._writer.add_scalar(name, value, epoch.number)

    def trial(self, number: int, score: float) -> None:
        """Its score."""
        self._writer.add_scalar(TRIALS, score, number)

    def published(self, metadata: ModelMetadata, model: Path) -> None:
        """Choices and scores, and where the model lies."""
        self._writer.add_text("model", str(model))
        scores = {f"final/{name}": value for name, value in metadata.metrics.items()}
        self._writer.add_hparams(choices(metadata), scores, run_name=".")

    def end(self, *, well: bool) -> None:  # noqa: ARG002 - event files know no failure
        """Write what is left."""
        self._writer.close()
