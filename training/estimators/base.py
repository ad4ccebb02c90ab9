"""Estimator: from X and y to a trained predictor, and from rows to its answers."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from service.metadata import ModelMetadata
from training.config import DataConfig, LoopConfig, ModelConfig, RunConfig
from training.data import Labelled, Split, Splits, split_frame
from training.description import Subject
from training.estimators.columns import (
    SOURCE,
    array_columns,
    as_frame,
    check_frame,
    chosen_categories,
    frame_columns,
    is_frame,
)
from training.estimators.options import asked, in_words_of_python
from training.features import matrices
from training.held_out import ROWS, HeldOut
from training.pipeline import Trained, train, write
from training.predictor import Predictor
from training.publication import replacing
from training.schema import Column
from training.tables import Table
from training.target import Target

CHUNK = 8192
"""Rows that pass through the network at once."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What an estimator keeps of a run: the model, and the rows that a certificate needs.

    Attributes:
        columns: the features of the model, in the order of X.
        categories: the columns that are categories, those included that the model has no use for.
        means: of the numbers of the training rows, for a value that is missing where none was in training.
        held: rows that training did not see, at most as many as a certificate wants.
    """

    trained: Trained
    subject: Subject
    columns: tuple[Column, ...]
    categories: tuple[str, ...]
    means: NDArray[np.float32]
    held: Split
    names: tuple[str, ...]

    @classmethod
    def of(cls, splits: Splits, trained: Trained, given: Labelled, categories: tuple[str, ...]) -> Fitted:
        """Of a run that is over."""
        held = splits.validation if len(splits.validation) else splits.train
        held = held.rows(np.arange(min(len(held), ROWS)))
        means = np.asarray(np.nanmean(splits.train.numeric, axis=0, dtype=np.float64), np.float32)
        names = tuple(name for name in given.table.names if name != given.target.name)
        return cls(trained, Subject.of(splits), splits.columns, categories, means, held, names)

    def inputs(self, frame: pl.DataFrame) -> tuple[torch.Tensor, ...]:
        """Rows as the predictor takes them.

        Raises:
            DataError: a value does not fit its column.
        """
        numeric, codes = matrices(Table(SOURCE, frame), self.columns)
        if not self.trained.predictor.shapes.missing:
            numeric = np.where(np.isnan(numeric), self.means, numeric)
        return HeldOut(self.columns, numeric, codes, len(numeric)).tensors()


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share."""

    random_state: Any
    validation_fraction: float
    categorical_features: Any
    _fitted: Fitted

    def __sklearn_tags__(self) -> Any:
        """Numbers may be missing, and columns may be categories."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train on rows and what they should answer.

        Args:
            X: a matrix, or a data frame of pandas, polars or whatever narwhals reads.
            y: one label or number per row.
            sample_weight: of each row; rows of weight 0 are left out.

        Raises:
            DataError, ConfigError: rows or parameters that cannot be used; both are ValueErrors.
            TrainingError: training went astray.
        """
        with in_words_of_python():
            seed = self._seed()
            given, categories = self._labelled(X, y, sample_weight)
            config = self._config(given, categories, seed)
            splits = split_frame(given, config.data, seed)
            trained = train(splits, config)
        self._fitted = Fitted.of(splits, trained, given, categories)
        [fit] = trained.fits
        self.n_iter_ = len(fit.epochs)
        self.best_epoch_ = fit.best
        self.history_ = [asdict(epoch) for epoch in fit.epochs]
        self.metrics_ = trained.metrics
        self.warnings_ = fit.warnings
        return self

    def to_onnx(self, path: str | Path) -> ModelMetadata:
        """Fold, certify and write the model; `foldserve serve` serves models/NAME/1/model.onnx.

        The file is written beside its place and then renamed, so that a server never sees half of it.

        Raises:
            NotFittedError: there is no model yet.
            TrainingError: it could not be folded, certified or written; what was there is untouched.
        """
        check_is_fitted(self, "_fitted")
        fitted = self._fitted
        rows = HeldOut.of_rows(fitted.held, fitted.columns, fitted.trained.recipe.loop.seed)
        with replacing(Path(path)) as (file, scratch):
            return write(fitted.trained, fitted.subject, rows, file, scratch)

    @abstractmethod
    def _target(self, y: NDArray[Any], name: str) -> tuple[Target, NDArray[Any]]:
        """What is predicted, and y in its terms."""

    def _answers(self, X: Any) -> NDArray[np.float64]:
        """The unfolded model's, in float64. Shape: (rows, classes) or (rows, 1)."""
        check_is_fitted(self, "_fitted")
        fitted = self._fitted
        columns = self._columns(X, fitted.categories)
        with in_words_of_python():
            inputs = fitted.inputs(as_frame(columns, fitted.categories))
        return _precisely(fitted.trained.predictor, inputs)

    def _seed(self) -> int:
        """A whole number is the seed itself, as for the pipeline."""
        source = check_random_state(self.random_state)
        whole = isinstance(self.random_state, int | np.integer)
        return int(self.random_state) if whole else int(source.randint(2**31 - 1))

    def _config(self, given: Labelled, categories: tuple[str, ...], seed: int) -> RunConfig:
        parameters = {**self.get_params(deep=False), **self._translated()}
        target, names = given.target.name, given.table.names
        numbers = tuple(name for name in names if name not in categories and name != target)
        share = self.validation_fraction
        data = DataConfig(SOURCE, target, validation=share, categorical=categories, numeric=numbers)
        loop = {**asked(LoopConfig, parameters), "seed": seed}
        return RunConfig(data, "estimator", asked(ModelConfig, parameters), loop)

    def _translated(self) -> dict[str, Any]:
        """Parameters that scikit-learn says otherwise than a configuration."""
        hidden = getattr(self, "hidden", None)
        return {"hidden": (hidden,) if isinstance(hidden, int | np.integer) else hidden}

    def _labelled(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Labelled, tuple[str, ...]]:
        """X and y as one table, without rows that weigh nothing."""
        columns = self._columns(X, self.categorical_features, reset=True)
        categories = chosen_categories(self.categorical_features, columns, is_frame(X))
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        frame, name = as_frame(columns, categories), _name(y, [column.name for column in columns])
        values = column_or_1d(y, warn=True)
        check_consistent_length(X, values)
        assert_all_finite(values, input_name="y")
        weight = self._weights(sample_weight, values)
        if weight is not None:
            kept = weight > 0
            frame, values, weight = frame.filter(pl.Series(kept)), values[kept], weight[kept]
        target, encoded = self._target(values, name)
        table = Table(SOURCE, frame.with_columns(pl.Series(name, encoded)), fixed=True)
        return Labelled(table, target, encoded, weight), categories

    def _weights(self, sample_weight: ArrayLike | None, y: NDArray[Any]) -> NDArray[np.float32] | None:
        if sample_weight is None:
            return None
        checked = _check_sample_weight(sample_weight, y, dtype=np.float32, ensure_non_negative=True)
        weights: NDArray[np.float32] = checked
        return weights

    def _columns(self, X: Any, categories: Any, *, reset: bool = False) -> list[pl.Series]:
        """Each column as it is stored."""
        if is_frame(X):
            check_frame(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            mixed = categories is not None and not isinstance(categories, str) and len(categories)
            checks = {"ensure_all_finite": "allow-nan", "ensure_min_samples": 2 if reset else 1}
            X = validate_data(self, X, reset=reset, dtype=None if mixed else "numeric", **checks)
        if reset:
            names = getattr(self, "feature_names_in_", [f"x{place}" for place in range(self.n_features_in_)])
        else:
            names = self._fitted.names
        return frame_columns(X, names) if is_frame(X) else array_columns(X, names)


def _name(y: Any, names: list[str]) -> str:
    """What the target is called: as its series, but not as a feature."""
    given = getattr(y, "name", None)
    name = given if isinstance(given, str) and given else "y"
    while name in names:
        name += "_"
    return name


@torch.no_grad()
def _precisely(predictor: Predictor, inputs: tuple[torch.Tensor, ...]) -> NDArray[np.float64]:
    """In float64, so that an answer does not depend on the rows beside it."""
    exact = copy.deepcopy(predictor).double()
    wide = [tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs]
    chunks = zip(*(torch.split(tensor, CHUNK) for tensor in wide), strict=True)
    found: NDArray[np.float64] = torch.cat([exact(*chunk) for chunk in chunks]).numpy()
    return found
