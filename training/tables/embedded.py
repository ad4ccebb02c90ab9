"""scikit-learn's bundled data sets as tables."""

from __future__ import annotations

import numpy as np
import polars as pl

from training.errors import DataError
from training.tables.table import Table

EMBEDDED = {"digits": "digit", "breast-cancer": "diagnosis", "wine": "cultivar", "diabetes": "progression"}
"""The data sets and what is predicted from each."""


def embedded_table(name: str) -> Table:
    """One of scikit-learn's bundled data sets; its last column is the target.

    Raises:
        DataError: there is no data set of that name.
    """
    from sklearn import datasets

    loaders = {
        "digits": datasets.load_digits,
        "breast-cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }
    if name not in loaders:
        raise DataError(f"no data set named {name!r}: there is {', '.join(EMBEDDED)}")
    bunch = loaders[name]()
    features = [str(feature).replace(" ", "_") for feature in bunch.feature_names]
    labels = getattr(bunch, "target_names", None)
    y = bunch.target if labels is None else np.asarray(labels)[bunch.target]
    frame = pl.DataFrame(bunch.data, schema=features)
    target = pl.Series(EMBEDDED[name], y.tolist() if y.dtype.kind in "UO" else y)
    return Table(name, frame.with_columns(target), fixed=True)
