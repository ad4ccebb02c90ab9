"""All that a page shows of a run, as one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from service.metadata import ModelMetadata
from training.codebook import Codebook
from training.data import Splits
from training.loop import FitResult
from training.predictor import Predictor
from training.report.answers import Answers
from training.report.importance import Importance, importance
from training.report.layers import Activity, NormStatistics, activities, statistics


@dataclass(frozen=True, eq=False)
class Facts:
    """What there is to show.

    Attributes:
        fits: of each member.
        answers: those of the model on rows that it did not learn from, where there are some.
    """

    name: str
    splits: Splits
    fits: Sequence[FitResult]
    metadata: ModelMetadata
    answers: Answers
    importance: Importance
    norms: tuple[NormStatistics, ...]
    activities: tuple[Activity, ...]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        name: str,
        splits: Splits,
        predictor: Predictor,
        fits: Sequence[FitResult],
        metadata: ModelMetadata,
    ) -> Facts:
        """Of a run that is about to be published.

        Args:
            predictor: the model before the fold.
        """
        codebook = Codebook(splits.categorical_columns)
        answers = Answers.of(predictor, codebook, splits)
        logarithm = bool(metadata.hyperparameters.get("log_target", False))
        found = importance(predictor, codebook, splits, answers.split, logarithm=logarithm)
        active = activities(predictor, codebook, splits.train)
        return cls(name, splits, fits, metadata, answers, found, statistics(predictor), active)
