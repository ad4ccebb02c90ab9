"""MLPClassifier: which of several classes a row belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from training.config import (
    Activation,
    Device,
    EncodingName,
    Initialisation,
    Moments,
    OptimizerName,
    Precision,
    ScheduleName,
)
from training.errors import DataError
from training.estimators.base import Estimator
from training.target import Label, Target


class MLPClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """A multilayer perceptron with Batch Normalization that tells classes apart.

    Args:
        categorical_features: the columns that are categories, by name, index or mask; "from_dtype" takes the
            columns of a data frame that hold text, categories or truth values; None takes none.
        class_weight: "balanced" lets every class weigh the same; a mapping gives the weight of each.
        validation_fraction: the share of the rows that choose the best epoch and the temperature.
        random_state: of the split, the first weights and the order of rows.

    The other parameters are the fields of `training.config.ModelConfig` and `LoopConfig`; None leaves the
    choice to the table (`training.defaults`).

    Attributes:
        classes_: the labels, in the order of the probabilities.
        n_features_in_, feature_names_in_: the columns of X.
        n_iter_, best_epoch_: how many epochs there were, and the one whose state is kept.
        history_: a record of each epoch.
        metrics_: of the validation rows.
        warnings_: sentences about the training.
    """

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        encoding: EncodingName | None = None,
        bins: int | None = None,
        pairs: int | None = None,
        shared_scale: bool | None = None,
        encoding_rate: float | None = None,
        hidden: int | Sequence[int] | None = None,
        activation: Activation | None = None,
        residual: bool | None = None,
        initialisation: Initialisation | None = None,
        batch_norm: bool | None = None,
        moments: Moments | None = None,
        epsilon: float | None = None,
        momentum: float | None = None,
        dropout: float | None = None,
        input_dropout: float | None = None,
        calibrate: bool | None = None,
        epochs: int | None = None,
        batch_size: int | Literal["full"] | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        patience: int | None = None,
        optimizer: OptimizerName | None = None,
        schedule: ScheduleName | None = None,
        warm_up: float | None = None,
        ema: float | None = None,
        exact_statistics: bool | None = None,
        mixup: float | None = None,
        label_smoothing: float | None = None,
        clip: float | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        spike_guard: bool | None = None,
        threads: int | None = None,
        device: Device | None = None,
        precision: Precision | None = None,
        validation_fraction: float = 0.15,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.categorical_features = categorical_features
        self.encoding = encoding
        self.bins = bins
        self.pairs = pairs
        self.shared_scale = shared_scale
        self.encoding_rate = encoding_rate
        self.hidden = hidden
        self.activation = activation
        self.residual = residual
        self.initialisation = initialisation
        self.batch_norm = batch_norm
        self.moments = moments
        self.epsilon = epsilon
        self.momentum = momentum
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.calibrate = calibrate
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.optimizer = optimizer
        self.schedule = schedule
        self.warm_up = warm_up
        self.ema = ema
        self.exact_statistics = exact_statistics
        self.mixup = mixup
        self.label_smoothing = label_smoothing
        self.clip = clip
        self.class_weight = class_weight
        self.spike_guard = spike_guard
        self.threads = threads
        self.device = device
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row. Shape: (rows,)."""
        places = self._answers(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[places]
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class. Shape: (rows, classes)."""
        return self._answers(X)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """The logarithm of each probability. Shape: (rows, classes)."""
        logarithms: NDArray[np.float64] = np.log(np.maximum(self._answers(X), np.finfo(np.float64).tiny))
        return logarithms

    def _target(self, y: NDArray[Any], name: str) -> tuple[Target, NDArray[Any]]:
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_[:1].tolist()
            raise DataError(f"y holds one class, {only[0]!r}, in all rows that weigh; 2 classes needed")
        labels = tuple(_label(label) for label in self.classes_.tolist())
        return Target(name, "classification", labels), places.astype(np.int64)

    def _weights(self, sample_weight: Any, y: NDArray[Any]) -> NDArray[np.float32] | None:
        weight = super()._weights(sample_weight, y)
        if not isinstance(self.class_weight, Mapping):
            return weight
        by_class: NDArray[np.float32] = compute_sample_weight(self.class_weight, y).astype(np.float32)
        return by_class if weight is None else by_class * weight

    def _translated(self) -> dict[str, Any]:
        given = self.class_weight
        return {**super()._translated(), "class_weight": None if isinstance(given, Mapping) else given}


def _label(label: Any) -> Label:
    """As a server can say it: whole numbers as such, all else as text."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, int) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    return str(label)
