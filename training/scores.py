"""How good a model is on rows that it did not learn from, in the units that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.calibration import calibration_error
from training.codebook import Codebook
from training.data import Split, Splits
from training.loop.evaluation import predict
from training.parts import differ
from training.predictor import Predictor, each_of


def metrics(predictor: Predictor, each: Sequence[Splits], *, logarithm: bool) -> dict[str, float]:
    """Of the validation rows and of the test rows, where there are some, by name.

    Of an ensemble whose members validate on rows of their own each member answers for these: the others have
    learnt from them.

    Args:
        each: the splits of each member.
    """
    first = each[0]
    codebook, found = Codebook(first.categorical_columns), dict[str, float]()
    held = [(predictor, first.validation)]
    if differ(each):
        held = [(one, own.validation) for one, own in zip(each_of(predictor), each, strict=True)]
    for name, parts in (("validation", held), ("test", [(predictor, first.test)])):
        y = np.concatenate([split.y for _, split in parts])
        if len(y):
            outputs = np.concatenate([answers(model, codebook, split) for model, split in parts])
            scores = score(outputs, y, logarithm=logarithm)
            found |= {f"{name}_{metric}": value for metric, value in scores.items()}
    return found


@torch.no_grad()
def answers(predictor: Predictor, codebook: Codebook, split: Split) -> NDArray[np.float32]:
    """Shape: (rows, classes) or (rows, 1)."""
    inputs = [torch.from_numpy(split.numeric)] if predictor.shapes.numeric else []
    if codebook.columns:
        inputs.append(torch.from_numpy(codebook.places(split.categorical)))
    outputs: NDArray[np.float32] = predict(predictor, tuple(inputs)).numpy()
    return outputs


def score(outputs: NDArray[np.float32], y: NDArray[Any], *, logarithm: bool) -> dict[str, float]:
    """Accuracy and calibration, or errors in the target's unit and of its logarithm where that was learnt."""
    if y.dtype == np.int64:
        return _of_classes(outputs, y)
    values, y = outputs[:, 0].astype(np.float64), y.astype(np.float64)
    scores = _of_values(values, y)
    if logarithm:
        scores["log_rmse"] = _root_mean_square(np.log(values) - np.log(y))
    return scores


def _of_classes(probabilities: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, float]:
    own = probabilities[np.arange(len(y)), y].astype(np.float64)
    return {
        "accuracy": float((probabilities.argmax(axis=1) == y).mean()),
        "log_loss": -float(np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean()),
        "calibration_error": calibration_error(probabilities, y),
    }


def _of_values(values: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    rmse, spread = _root_mean_square(values - y), float(y.var())
    return {"rmse": rmse, "r2": 1 - rmse**2 / spread if spread else 0.0}


def _root_mean_square(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt((errors**2).mean()))
