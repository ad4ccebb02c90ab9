"""The edges between which a column of numbers is piecewise linear.

They are where a decision tree on this one column would split it (target-aware bins) together with its
quantiles, as in Gorishniy et al. (2022), "On Embeddings for Numerical Features in Tabular Deep Learning",
sections 3.2.1 and 3.2.2. The tree places edges where the target changes, the quantiles where the rows are.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import Task
from training.encoding.scales import FLOAT32_MAX, TINY

TREE_ROWS = 200_000
"""A tree sees at most this many rows."""

WIDEST = 2.0**125
"""No bin is wider, so that the reciprocal of its width is a normal float32."""


def bin_edges(values: NDArray[np.float64], y: NDArray[Any], task: Task, bins: int) -> NDArray[np.float32]:
    """The edges of one column: its least value, what lies between, its greatest value.

    A column of one value x has the edges x and x + 1. Above `TREE_ROWS` rows the tree sees as many of them,
    drawn with a fixed seed; the quantiles and both ends are those of all rows.

    Args:
        values: without missing ones; float32 numbers.
        y: class indices, or values on any scale.
        bins: leaves of the tree, and as many quantile bins.

    Returns:
        Strictly increasing; no two are closer than the smallest normal float32 or further apart than WIDEST.

    Shape: values and y (rows,) → (edges,), at least 2.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < TINY:
        return _single(low)
    # Values that occur: between 0 and 1 in a column of zeros and ones there is nothing to tell apart.
    quantiles = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
    inner = np.concatenate([_splits(values, y, task, bins), quantiles])
    return _usable(np.unique(np.concatenate([[low], inner, [high]]).astype(np.float32)))


def _splits(values: NDArray[np.float64], y: NDArray[Any], task: Task, bins: int) -> NDArray[np.float64]:
    """Where the tree splits, halfway between two neighbouring values."""
    # scikit-learn takes a second to import, which only this needs.
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(values) > TREE_ROWS:
        drawn = np.random.default_rng(0).choice(len(values), TREE_ROWS, replace=False)
        values, y = values[drawn], y[drawn]
    # Ranks have the same splits, and scikit-learn takes values that differ by less than 1e-7 for equal.
    distinct, rank = np.unique(values, return_inverse=True)
    kind = DecisionTreeClassifier if task == "classification" else DecisionTreeRegressor
    tree = kind(max_leaf_nodes=bins, min_samples_leaf=1, random_state=0)
    with warnings.catch_warnings():
        # Many classes in few rows look to scikit-learn like a regression, and it says so.
        warnings.simplefilter("ignore", UserWarning)
        tree.fit(rank[:, None].astype(np.float32), y if task == "classification" else _unit(y))
    grown = tree.tree_
    split = grown.children_left != grown.children_right
    below = np.floor(grown.threshold[split]).astype(np.intp)
    halfway: NDArray[np.float64] = distinct[below] / 2 + distinct[below + 1] / 2
    return halfway


def _unit(y: NDArray[Any]) -> NDArray[np.float64]:
    """The target with deviation 1: scikit-learn does not split below an absolute impurity."""
    centred: NDArray[np.float64] = y.astype(np.float64) - y.mean(dtype=np.float64)
    deviation = centred.std()
    return centred / deviation if deviation > 0 else centred


def _single(value: float) -> NDArray[np.float32]:
    """One value and the next whole one, or the next one that float32 has."""
    x = np.float32(value)
    if value >= FLOAT32_MAX:
        return np.array([np.nextafter(x, np.float32(0)), x])
    return np.array([x, max(x + np.float32(1), np.nextafter(x, np.float32(np.inf)))])


def _usable(edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both ends and as many edges between as float32 can divide by the distances of."""
    exact = edges.astype(np.float64)
    kept = [exact[0]]
    for edge in exact[1:-1]:
        if edge - kept[-1] >= TINY and exact[-1] - edge >= TINY:
            kept.append(edge)
    kept.append(exact[-1])
    parts = np.ceil(np.diff(kept) / WIDEST).astype(int)
    fine = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(kept, kept[1:], parts, strict=False)]
    return np.concatenate([*fine, kept[-1:]]).astype(np.float32)
