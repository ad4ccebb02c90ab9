"""scikit-learn estimators around the pipeline: arrays and data frames in, a served file out.

columns                              X → a table, and which of its columns are categories
options                              parameters → the fields of a run's configuration
base                                 fit, and answers in float64
classifier, regressor                what a person sees
"""

from training.estimators.classifier import MLPClassifier
from training.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
