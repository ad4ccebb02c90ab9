"""scikit-learn's own checks of an estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from training import MLPClassifier, MLPRegressor

SMALL: dict[str, Any] = {"encoding": "standard", "hidden": (16,), "dropout": 0.0, "mixup": 0.0, "ema": 0.0}
DRAWN = "rows are drawn into batches and held out one by one: two rows of weight 1 are not one of weight 2"
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": DRAWN}

ESTIMATORS = [MLPClassifier(epochs=20, **SMALL), MLPRegressor(epochs=12, **SMALL)]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda _: EXPECTED, xfail_strict=True)
def test_an_estimator_is_as_scikit_learn_expects(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
