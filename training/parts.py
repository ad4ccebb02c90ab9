"""Parts: which rows each member of an ensemble learns from, and which choose its epoch.

The validation rows are divided among the members: each validates on its own part of them and learns from all
other rows that are not test rows (cross-validation, whose models are all kept). So there is an answer for
every validation row by a member that has not learnt from it, and each member has learnt from almost all rows.

A part of fewer than `LEAST` rows would choose an epoch by chance. Where there are not enough validation rows
for parts of that size, further parts follow among the training rows:

    validation | training …
    first | second | third | fourth | …

All parts have the same share of each class; after the last row they begin again.

A row that one member validates on has trained others, so no row that is not a test row is new to the whole
ensemble. Without test rows there would be none for the certificate, and all members have the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Split, Splits
from training.splitting import Rows

LEAST = {"regression": 500, "classification": 5000}
"""Rows that a member validates on, where the table has as many validation rows at all. Accuracies are
noisier: by a thousand rows of Adult two members of five kept the second and the fourth epoch of fifteen."""


def parts(splits: Splits, members: int) -> tuple[Splits, ...]:
    """The splits of each member; where all have the same, the same object."""
    if members == 1 or not len(splits.test) or not len(splits.validation):
        return (splits,) * members
    whole, groups = together(splits), list(_groups(splits))
    share = max(1 / members, min(LEAST[splits.task] / len(splits.validation), 1.0))
    return tuple(
        _part(splits, whole, groups, number * share, (number + 1) * share) for number in range(members)
    )


def differ(each: Sequence[Splits]) -> bool:
    """Whether members have rows of their own."""
    return any(one is not each[0] for one in each)


def together(splits: Splits) -> Split:
    """The rows that some member of an ensemble trains on: those for validation, then those for training."""
    one, two = splits.validation, splits.train
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
    """The rows of each class, or all rows of a regression, and how many of them validate a single model:
    these come first."""
    y = np.concatenate([splits.validation.y, splits.train.y])
    held, rows = len(splits.validation), np.arange(len(y))
    for label in range(len(splits.classes)) if splits.classes else (None,):
        own = rows if label is None else rows[y == label]
        yield own, int((own < held).sum())


def _part(
    splits: Splits, whole: Split, groups: Sequence[tuple[Rows, int]], start: float, stop: float
) -> Splits:
    """Which part validates, in units of the validation rows."""
    held = np.zeros(len(whole), bool)
    for rows, count in groups:
        # Rounded the same way where one part ends and the next begins.
        places = np.arange(round(start * count), round(stop * count))
        held[rows[places % len(rows)]] = True
    train, validation = whole.rows(np.flatnonzero(~held)), whole.rows(np.flatnonzero(held))
    return replace(splits, train=_scaled(train), validation=validation)


def _scaled(train: Split) -> Split:
    """With weights whose mean is 1, as the loss should keep its size."""
    if train.weight is None:
        return train
    mean = train.weight.mean(dtype=np.float64)
    weight: NDArray[Any] = (train.weight / mean).astype(np.float32) if mean else train.weight
    return replace(train, weight=weight)
