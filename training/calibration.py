"""One temperature for all logits, so that a probability of 0.8 is right four times in five.

Guo et al. 2017, "On Calibration of Modern Neural Networks": T minimises the cross-entropy of
softmax(logits / T) over rows that training did not learn from. It changes no label of one network.

An ensemble has one T too, for all members; a T behind the mean could not move into the heads. Where members
have the same validation rows it minimises the cross-entropy of the mean of softmax(logits / T): members that
are calibrated each by itself may be less sure together than they are right (Rahaman & Thiery 2021,
"Uncertainty Quantification and Deep Ensembles"). Where each has rows of its own only one member can be asked
for a row, and T is that of members by themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

LEAST_ROWS = 50
"""With fewer rows than this their cross-entropy says little, and the logits stay as they are."""

RANGE = (-3.0, 3.0)
"""Of log T: a factor of 20 either way."""

BINS = 15


def temperature(
    logits: NDArray[np.float32], y: NDArray[np.int64], weight: NDArray[np.float32] | None = None
) -> float:
    """The T that suits these rows; 1.0 where they are few, or are all told right whatever it is.

    Shape: logits (members, rows, classes) or (rows, classes), y and weight (rows,).
    """
    if len(y) < LEAST_ROWS or (logits.argmax(axis=-1) == y).all():
        return 1.0
    wide = logits.astype(np.float64)
    found = minimize_scalar(
        lambda log: log_loss(wide / np.exp(log), y, weight), bounds=RANGE, method="bounded"
    )
    return float(np.exp(found.x))


def log_loss(
    logits: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float32] | None = None
) -> float:
    """The mean cross-entropy of the members' mean probabilities.

    Shape: as of `temperature`.
    """
    own = log_softmax(logits, axis=-1)[..., np.arange(len(y)), y].reshape(-1, len(y))
    mean = logsumexp(own, axis=0) - np.log(len(own))
    return -float(np.average(mean, weights=weight))


def calibration_error(probabilities: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Expected calibration error over `BINS` equal bins of the highest probability.

    The mean over rows of |share of right labels − mean of that probability| in the row's bin.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == y
    places = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(places, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(y))
