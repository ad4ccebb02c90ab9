"""Encoding: raw numbers → filled → encoded → learned, the inputs of the first linear layer.

    kind         fill      encode                         learn
    standard     mean      —                              (x − mean) / deviation, which folds
    robust       median    smooth clip of the scaled      —
    bins         nothing   piecewise linear, places       —
    bins-relu    nothing   piecewise linear, places       a linear layer and ReLU per feature
    periodic     mean      smooth clip of the scaled      sines and cosines, then as bins-relu

"Nothing" is the first edge: none of the column's bins is filled, and the flag says why. "Places" are waves
over the plane of two columns that tell more together than apart; most tables have no such pair.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.config import EncodingKind as Kind
from training.config import Task
from training.encoding.edges import bin_edges
from training.encoding.fill import Fill
from training.encoding.pairs import pairs
from training.encoding.per_feature import PerFeature
from training.encoding.periodic import Periodic, Waves
from training.encoding.piecewise import PiecewiseLinear
from training.encoding.places import Places, WithPlaces
from training.encoding.robust import Robust
from training.encoding.scales import robust_scales, standard_scales
from training.errors import ConfigError
from training.model import Standardiser

BINS_RATE = 5.0
"""Times the rate of the network: a bin's weights learn from the few rows that lie in it."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """What is done with the numeric columns.

    Attributes:
        fill: raw numbers with NaN → numbers and flags; no parameters.
        encode: → what the rest learns from; no parameters, so that a table can be encoded once.
        learn: → the inputs of the first linear layer. The standardiser is here too, for it folds.
        width: the columns that `learn` gives.

    Shape: (batch, columns) → (batch, columns + flags) → (batch, encoded_width) → (batch, width).
    """

    fill: Fill
    encode: nn.Module
    learn: nn.Module
    width: int

    @property
    def encoded_width(self) -> int:
        """The columns that `encode` gives."""
        encode = self.encode
        return encode.width if isinstance(encode, PiecewiseLinear | WithPlaces) else self.fill.width


def fit_encoding(
    kind: Kind,
    numeric: NDArray[np.float32],
    y: NDArray[Any],
    task: Task,
    generator: torch.Generator,
    *,
    bins: int = 64,
    most_pairs: int = 0,
    shared_scale: bool = False,
) -> Encoding:
    """An encoding that has seen the training rows. A column that never has a value counts as 0.

    Args:
        numeric: the training rows only, NaN where a value is missing; at least one column.
        y: class indices, or values on any scale.
        generator: draws the weights of what learns.
        bins: leaves of each column's tree, and as many quantile bins.
        most_pairs: how many pairs of columns may be places, beside bins.
        shared_scale: whether `standard` has one scale where a wide table has one unit.

    Shape: numeric (rows, columns), y (rows,).

    Raises:
        ConfigError: fewer than 2 bins.
    """
    if bins < 2:
        raise ConfigError(f"--bins is {bins}, expected at least 2")
    return _WAYS[kind](_TrainingRows(numeric, y, task, generator, bins, most_pairs, shared_scale))


def served(learn: nn.Module) -> nn.Module:
    """The same map, of linear layers, ReLU, sines and cosines, with copies of the same numbers.

    What it is given may be the `learn` of any encoding, or a sequence of modules with it among them.
    """
    if isinstance(learn, PerFeature | Waves):
        return learn.plain()
    if isinstance(learn, nn.Sequential):
        parts = [served(child) for child in learn]
        flat = [[*part] if isinstance(part, nn.Sequential) else [part] for part in parts]
        return nn.Sequential(*(layer for layers in flat for layer in layers))
    return copy.deepcopy(learn)


def begun(learn: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy of the `learn` of an encoding, its weights drawn anew."""
    fresh = copy.deepcopy(learn)
    for part in fresh.modules():
        if isinstance(part, PerFeature | Waves):
            part.draw(generator)
    return fresh


@dataclass(frozen=True, eq=False)
class _TrainingRows:
    """What an encoding is fitted to."""

    numeric: NDArray[np.float32]
    y: NDArray[Any]
    task: Task
    generator: torch.Generator
    bins: int
    most_pairs: int
    shared_scale: bool

    @cached_property
    def flagged(self) -> list[int]:
        """The columns that lack a value in some row."""
        return [j for j, column in enumerate(self.numeric.T) if np.isnan(column).any()]

    def known(self) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
        """Of each column the values that are there, and the target of their rows."""
        for column in self.numeric.T:
            there = ~np.isnan(column)
            if there.any():
                yield column[there].astype(np.float64), self.y[there]
            else:
                yield np.zeros(1), self.y[:1]

    def values(self) -> Iterator[NDArray[np.float64]]:
        """The values alone."""
        return (values for values, _ in self.known())


def _standard(rows: _TrainingRows) -> Encoding:
    scales = standard_scales(rows.values(), shared=rows.shared_scale)
    flags = np.zeros(len(rows.flagged))
    fill = Fill(_rounded(scales.centre), rows.flagged)
    learn = Standardiser(np.append(scales.centre, flags), np.append(scales.scale, flags + 1))
    return Encoding(fill, nn.Identity(), learn, fill.width)


def _robust(rows: _TrainingRows) -> Encoding:
    scales = robust_scales(rows.values())
    fill = Fill(_rounded(scales.centre), rows.flagged)
    return Encoding(fill, Robust(scales.centre, scales.scale, fill.flags), nn.Identity(), fill.width)


def _periodic(rows: _TrainingRows) -> Encoding:
    scales = robust_scales(rows.values())
    fill = Fill(_rounded([values.mean() for values in rows.values()]), rows.flagged)
    learn = Periodic(len(scales.scale), fill.flags, rows.generator)
    return Encoding(fill, Robust(scales.centre, scales.scale, fill.flags), learn, learn.width)


def _bins(rows: _TrainingRows) -> Encoding:
    fill, encode = _binned(rows)
    placed = _placed(encode, rows)
    return Encoding(fill, placed, nn.Identity(), placed.width)


def _bins_relu(rows: _TrainingRows) -> Encoding:
    fill, encode = _binned(rows)
    placed = _placed(encode, rows)
    passing = placed.width - sum(encode.bins)
    learn = PerFeature(encode.bins, passing, rows.generator, rate_scale=BINS_RATE)
    return Encoding(fill, placed, learn, learn.width)


def _placed(encode: PiecewiseLinear, rows: _TrainingRows) -> PiecewiseLinear | WithPlaces:
    """The bins, and what pairs of columns say as places, where there are such pairs."""
    found = pairs(rows.numeric, rows.y, rows.task, rows.most_pairs)
    if not found:
        return encode
    return WithPlaces(encode, encode.width, Places(found, robust_scales(rows.values()), rows.generator))


def _binned(rows: _TrainingRows) -> tuple[Fill, PiecewiseLinear]:
    """Bins that a missing value leaves empty where a flag says so, and takes the median's place elsewhere."""
    edges = [bin_edges(values, y, rows.task, rows.bins) for values, y in rows.known()]
    values = _rounded([np.median(values) for values in rows.values()])
    values[rows.flagged] = [edges[j][0] for j in rows.flagged]
    fill = Fill(values, rows.flagged)
    return fill, PiecewiseLinear(edges, fill.flags)


def _rounded(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


_WAYS: dict[Kind, Callable[[_TrainingRows], Encoding]] = {
    "standard": _standard,
    "robust": _robust,
    "bins": _bins,
    "bins-relu": _bins_relu,
    "periodic": _periodic,
}
