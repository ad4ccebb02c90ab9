"""Folds: which rows each member of an ensemble learns from, and which choose its epoch.

Member k validates on its own share of the rows that are not test rows, and trains on the others, so that all
members together have learnt from every row (cross-validation, whose models are all kept). The shares follow
one another:

    first     validation | training ……………………………………
    second    ……………………… | validation | training ………
    third     …………………………………………… | validation | …

The first has the rows of a single model. Each share is as large as that one's and has as many rows of each
class; more members than shares go round again.

A row that one member validates on has trained others, so no row that is not a test row is new to the whole
ensemble. Without test rows there would be none for the certificate, and all members have the first's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Split, Splits
from training.splitting import Rows


def folds(splits: Splits, members: int) -> tuple[Splits, ...]:
    """The splits of each member; where they are the first's, the same object."""
    if not len(splits.test) or not len(splits.validation):
        return (splits,) * members
    whole, groups = together(splits), list(_groups(splits))
    others = (_fold(splits, whole, groups, number) for number in range(1, members))
    return (splits, *others)


def differ(each: Sequence[Splits]) -> bool:
    """Whether members have rows of their own."""
    return any(one is not each[0] for one in each)


def together(splits: Splits) -> Split:
    """The rows that some member of an ensemble trains on: those for training, then those for validation."""
    one, two = splits.train, splits.validation
    weight = None
    if one.weight is not None and two.weight is not None:
        weight = np.concatenate([one.weight, two.weight])
    return Split(
        np.concatenate([one.numeric, two.numeric]),
        np.concatenate([one.categorical, two.categorical]),
        np.concatenate([one.y, two.y]),
        weight,
    )


def _groups(splits: Splits) -> Iterator[tuple[Rows, int]]:
    """Of each class, or of all rows of a regression: its rows, those of the first share in front, and how
    many these are."""
    train, held = np.arange(len(splits.train)), len(splits.train) + np.arange(len(splits.validation))
    if not splits.classes:
        yield np.concatenate([held, train]), len(held)
        return
    for label in range(len(splits.classes)):
        own = held[splits.validation.y == label]
        yield np.concatenate([own, train[splits.train.y == label]]), len(own)


def _fold(splits: Splits, whole: Split, groups: Sequence[tuple[Rows, int]], number: int) -> Splits:
    held = np.zeros(len(whole), bool)
    for rows, count in groups:
        held[rows[(number * count + np.arange(count)) % len(rows)]] = True
    return replace(
        splits, train=_scaled(whole.rows(np.flatnonzero(~held))), validation=whole.rows(np.flatnonzero(held))
    )


def _scaled(train: Split) -> Split:
    """With weights whose mean is 1, as the loss should keep its size."""
    if train.weight is None:
        return train
    mean = train.weight.mean(dtype=np.float64)
    weight: NDArray[Any] = (train.weight / mean).astype(np.float32) if mean else train.weight
    return replace(train, weight=weight)
