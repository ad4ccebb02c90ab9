"""MLPRegressor: a number for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from training.config import (
    Activation,
    Device,
    EncodingName,
    Initialisation,
    Moments,
    OptimizerName,
    Precision,
    RegressionLoss,
    ScheduleName,
)
from training.errors import DataError
from training.estimators.base import Estimator
from training.tables import Table
from training.target import Target


class MLPRegressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """A multilayer perceptron with Batch Normalization that answers numbers.

    Args:
        categorical_features: the columns that are categories, by name, index or mask; "from_dtype" takes the
            columns of a data frame that hold text, categories or truth values; None takes none.
        log_target: learn the logarithm of y, which must be above 0.
        validation_fraction: the share of the rows that choose the best epoch.
        random_state: of the split, the first weights and the order of rows.

    The other parameters are the fields of `training.config.ModelConfig` and `LoopConfig`; None leaves the
    choice to the table (`training.defaults`).

    Attributes:
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
        log_target: bool | None = None,
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
        clip: float | None = None,
        loss: RegressionLoss | None = None,
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
        self.log_target = log_target
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
        self.clip = clip
        self.loss = loss
        self.spike_guard = spike_guard
        self.threads = threads
        self.device = device
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The answer to each row. Shape: (rows,)."""
        return self._answers(X)[:, 0]

    def _target(self, y: NDArray[Any], name: str) -> tuple[Target, NDArray[Any]]:
        try:
            values = y.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"y is {y.dtype}; a regression needs numbers") from error
        target = Target(name, "regression", None)
        return target, target.encode(Table("y", pl.DataFrame({name: values})))
