"""The classification extension: of each row the largest values, as texts of value, index and label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metadata import Label

Array = NDArray[Any]


def top_classes(array: Array, count: int, labels: Sequence[Label] | None = None) -> Array:
    """ "value:index" or "value:index:label", the largest first, of equals the one that comes first.

    Labels are those of the columns, when there is one for each; NaN comes last.

    Shape: (rows, …) → (rows, min(count, values of a row)).
    """
    rows = array.reshape(len(array), math.prod(array.shape[1:]))
    # For whole numbers and booleans ~ turns the order around without leaving their range.
    order = np.argsort(-rows if rows.dtype.kind == "f" else ~rows, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(rows, order, axis=1)
    names = [f":{label}" for label in labels] if labels and len(labels) == rows.shape[1] else None
    texts = [
        f"{value!s}:{index}{names[index] if names else ''}"
        for value, index in zip(values.ravel(), order.ravel(), strict=True)
    ]
    return np.array(texts, dtype=object).reshape(order.shape)
