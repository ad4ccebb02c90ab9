"""How good a model is on rows that it did not learn from, in the units that people read."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from training.calibration import calibration_error
from training.data import Split, Splits
from training.loop.evaluation import predict
from training.predictor import Predictor
from training.preparation import Preparation


def metrics(predictor: Predictor, preparation: Preparation, splits: Splits) -> dict[str, float]:
    """Of the validation rows and of the test rows, where there are some, by name."""
    found: dict[str, float] = {}
    for name, split in (("validation", splits.validation), ("test", splits.test)):
        if len(split):
            scores = score(predictor, preparation, split)
            found |= {f"{name}_{metric}": value for metric, value in scores.items()}
    return found


@torch.no_grad()
def score(predictor: Predictor, preparation: Preparation, split: Split) -> dict[str, float]:
    """Accuracy and calibration, or errors in the target's unit and of its logarithm where that was learnt."""
    inputs = [torch.from_numpy(split.numeric)] if preparation.shapes.numeric else []
    if preparation.codebook.columns:
        inputs.append(torch.from_numpy(preparation.codebook.places(split.categorical)))
    outputs = predict(predictor, tuple(inputs)).numpy()
    if split.y.dtype == np.int64:
        return _of_classes(outputs, split.y)
    values, y = outputs[:, 0].astype(np.float64), split.y.astype(np.float64)
    scores = _of_values(values, y)
    if preparation.logarithm:
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
