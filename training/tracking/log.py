"""What is told of a training, whoever keeps it: curves, choices and scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

from service.metadata import ModelMetadata
from training.loop import Epoch


class Log(Protocol):
    """Who is told of one training.

    Attributes:
        name: for messages.
    """

    name: str

    def epoch(self, epoch: Epoch) -> None:
        """One more epoch has come to its end."""

    def trial(self, number: int, score: float) -> None:
        """A trial of a search has come to its end."""

    def published(self, metadata: ModelMetadata, model: Path) -> None:
        """The model is at its place."""

    def end(self, *, well: bool) -> None:
        """Nothing more is told."""


TRIALS = "trials/score"
"""The curve of a search: the score of each trial, by its number."""


def curves(epoch: Epoch) -> dict[str, float]:
    """The points of an epoch, by the curve's name; what is no finite number is left out."""
    points = {
        "loss/train": epoch.train_loss,
        "loss/validation": epoch.validation_loss,
        "score/validation": epoch.score,
        "learning_rate": epoch.rate,
        "gradient_norm": epoch.gradient_norm,
        "seconds_per_epoch": epoch.seconds,
    }
    whose = f"member_{epoch.member}/" if epoch.members > 1 else ""
    return {whose + name: value for name, value in points.items() if math.isfinite(value)}


def choices(metadata: ModelMetadata) -> dict[str, float | int | str | bool]:
    """What the model was made by, and of."""
    origin = metadata.provenance
    facts: dict[str, int | str] = {
        "data": origin.data,
        "training_rows": origin.training_rows,
        "seed": origin.seed,
    }
    return {**metadata.hyperparameters, **facts}
