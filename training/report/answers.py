"""What a model answers for rows that it did not learn from, and what these answers are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.calibration import BINS, calibration_error
from training.codebook import Codebook
from training.data import Split, Splits
from training.loop.evaluation import predict
from training.predictor import Predictor

MOST_CLASSES = 20
"""A confusion matrix of more has the most frequent ones, and one place for all others."""

OTHERS = "others"


@dataclass(frozen=True, eq=False)
class Answers:
    """Rows, and the model's answers for them.

    Attributes:
        rows_of: "test", "validation" or "training", the last where a table is too small for the others.

    Shape: outputs (rows, classes) or (rows, 1).
    """

    rows_of: str
    split: Split
    outputs: NDArray[np.float32]

    @classmethod
    def of(cls, predictor: Predictor, codebook: Codebook, splits: Splits) -> Answers:
        """For the test rows, else the validation rows, else those of training."""
        named = {"test": splits.test, "validation": splits.validation, "training": splits.train}
        rows_of, split = next((name, split) for name, split in named.items() if len(split))
        return cls(rows_of, split, answers_for(predictor, codebook, split.numeric, split.categorical))


@torch.no_grad()
def answers_for(
    predictor: Predictor, codebook: Codebook, numeric: NDArray[np.float32], codes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Of raw rows. Shape: (rows, numeric columns), (rows, categorical columns) → (rows, outputs)."""
    return predict(predictor, model_inputs(predictor, codebook, numeric, codes)).numpy()


def model_inputs(
    predictor: Predictor, codebook: Codebook, numeric: NDArray[np.float32], codes: NDArray[np.int64]
) -> tuple[Tensor, ...]:
    """Raw rows as the model takes them."""
    inputs = [torch.from_numpy(numeric)] if predictor.shapes.numeric else []
    return tuple(inputs + ([torch.from_numpy(codebook.places(codes))] if codebook.columns else []))


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for each.

    Shape: counts (classes, classes), rows by their true class.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, outputs: NDArray[np.float32], y: NDArray[np.int64], classes: Sequence[object]) -> Confusion:
        """Of labels told by the highest probability."""
        size = len(classes)
        counts = np.bincount(y * size + outputs.argmax(axis=1), minlength=size**2).reshape(size, size)
        labels = tuple(map(str, classes))
        return cls(labels, counts) if size <= MOST_CLASSES else _shortened(labels, counts)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Of the rows of a class, the share told right; NaN without rows. Shape: (classes,)."""
        return _share(self.counts.diagonal(), self.counts.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Of the rows told to be of a class, the share that is; NaN without rows. Shape: (classes,)."""
        return _share(self.counts.diagonal(), self.counts.sum(axis=0))


def _shortened(labels: tuple[str, ...], counts: NDArray[np.int64]) -> Confusion:
    frequent = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[: MOST_CLASSES - 1])
    place = np.full(len(labels), MOST_CLASSES - 1)
    place[frequent] = np.arange(len(frequent))
    short = np.zeros((MOST_CLASSES, MOST_CLASSES), np.int64)
    np.add.at(short, (place[:, None], place[None, :]), counts)
    return Confusion((*(labels[i] for i in frequent), OTHERS), short)


def _share(part: NDArray[Any], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    share = np.full(len(whole), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


@dataclass(frozen=True, eq=False)
class Reliability:
    """Whether a probability of 0.8 is right four times in five; by bins of the highest probability.

    Attributes:
        error: the expected calibration error over all rows.

    Shape: counts, confidence and right (bins,); the last two are means, NaN in an empty bin.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    error: float

    @classmethod
    def of(cls, outputs: NDArray[np.float32], y: NDArray[np.int64]) -> Reliability:
        """By the bins of `calibration_error`."""
        top = outputs.max(axis=1).astype(np.float64)
        right = (outputs.argmax(axis=1) == y).astype(np.float64)
        places = np.clip(np.ceil(top * BINS).astype(np.int64) - 1, 0, BINS - 1)
        counts = np.bincount(places, minlength=BINS)
        confidence, share = (
            _share(np.bincount(places, weights=values, minlength=BINS), counts) for values in (top, right)
        )
        return cls(counts, confidence, share, calibration_error(outputs, y))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Answers of a regression beside the truth. Shape: truth and predicted (rows,)."""

    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @classmethod
    def of(cls, outputs: NDArray[np.float32], y: NDArray[Any]) -> Residuals:
        """In the target's unit."""
        return cls(y.astype(np.float64), outputs[:, 0].astype(np.float64))

    @property
    def errors(self) -> NDArray[np.float64]:
        """Predicted less true. Shape: (rows,)."""
        return self.predicted - self.truth
