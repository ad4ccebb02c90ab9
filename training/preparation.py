"""Preparation: what a network is given of a table, fitted to its training rows, and the network itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.codebook import Codebook
from training.config import ModelConfig
from training.data import Moments, Split, Splits
from training.defaults import Recipe
from training.encoding import Encoding, Fill, begun, fit_encoding
from training.errors import DataError
from training.features import UNKNOWN
from training.loop import Rows, generator
from training.model import Network, build_network
from training.predictor import Shapes, no_numbers

LARGEST_ENCODED = 1 << 31
"""Bytes of encoded training rows; beyond it rows are encoded batch by batch, inside the network."""

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Preparation:
    """How rows of a table become tensors.

    Attributes:
        encoding: of the numbers; None where there are none.
        target: the moments of a regression's target, in logarithms where those are learnt.
        ahead: whether rows are encoded before training.
    """

    encoding: Encoding | None
    codebook: Codebook
    shapes: Shapes
    target: Moments | None
    logarithm: bool
    ahead: bool

    @classmethod
    def of(cls, splits: Splits, recipe: Recipe) -> Preparation:
        """Fitted to the training rows.

        Raises:
            DataError: a target whose logarithm is wanted is not positive.
        """
        train, config = splits.train, recipe.model
        logarithm = config.log_target and splits.task == "regression"
        y = _target(train.y, splits, logarithm)
        numbers = bool(splits.numeric_columns)
        encoding = _encoding(splits, y, recipe) if numbers else None
        shapes = Shapes(
            len(splits.numeric_columns),
            len(splits.categorical_columns),
            any(column.missing for column in splits.numeric_columns),
        )
        target = Moments.of(y).in_powers_of_two() if splits.task == "regression" else None
        ahead = encoding is None or len(train) * encoding.encoded_width * 4 <= LARGEST_ENCODED
        return cls(encoding, Codebook(splits.categorical_columns), shapes, target, logarithm, ahead)

    def rows(self, split: Split, splits: Splits) -> Rows:
        """As the loop takes them."""
        y = _target(split.y, splits, self.logarithm)
        if self.target is not None:
            y = ((y - self.target.mean) / self.target.deviation).astype(np.float32)
        weight = None if split.weight is None else torch.from_numpy(split.weight)
        return Rows(self.inputs(split), torch.from_numpy(y), weight)

    def inputs(self, split: Split) -> tuple[Tensor, ...]:
        """As the network takes them while it trains."""
        places = torch.from_numpy(self.codebook.places(split.categorical))
        if self.encoding is None:
            return no_numbers(places), places
        encoded = self._encoded(torch.from_numpy(split.numeric))
        return (encoded, places) if self.codebook.columns else (encoded,)

    @torch.no_grad()
    def _encoded(self, numeric: Tensor) -> Tensor:
        assert self.encoding is not None  # noqa: S101 - the caller looked
        steps = nn.Sequential(self.encoding.fill, self.encoding.encode if self.ahead else nn.Identity())
        return torch.cat([steps(chunk) for chunk in torch.split(numeric, CHUNK)])

    def network(self, config: ModelConfig, splits: Splits, seed: int) -> Network:
        """Untrained, with weights drawn by the seed: those of the encoding too, in a copy of its own."""
        before: dict[str, nn.Module] = {}
        if self.encoding is not None:
            before = {} if self.ahead else {"encode": self.encoding.encode}
            before["learn"] = begun(self.encoding.learn, generator(seed, "encoding"))
            if config.input_dropout:
                before["drop"] = nn.Dropout(config.input_dropout)
        return build_network(
            config,
            splits.outputs,
            generator(seed, "initialisation"),
            before=before,
            width=self.encoding.width if self.encoding is not None else 1,
            counts=self._counts(splits.train),
        )

    def _counts(self, train: Split) -> list[NDArray[np.int64]]:
        """How many rows have each category; a member of an ensemble may have rows of one that is unknown to
        the whole, and an unknown one is to say nothing."""
        counts = self.codebook.counts(train.categorical)
        for column in counts:
            column[UNKNOWN] = 0
        return counts


def _encoding(splits: Splits, y: NDArray[Any], recipe: Recipe) -> Encoding:
    config = recipe.model
    encoding = fit_encoding(
        config.encoding,
        splits.train.numeric,
        y,
        splits.task,
        generator(recipe.loop.seed, "encoding"),
        bins=config.bins,
        most_pairs=config.pairs,
        shared_scale=config.shared_scale,
    )
    if not any(column.missing for column in splits.numeric_columns):
        encoding = replace(encoding, fill=Fill(encoding.fill.values.numpy(), accepts_missing=False))
    if hasattr(encoding.learn, "rate_scale"):
        encoding.learn.rate_scale = config.encoding_rate  # type: ignore[assignment]
    return encoding


def _target(y: NDArray[Any], splits: Splits, logarithm: bool) -> NDArray[Any]:
    """The target, or its logarithm in float64."""
    if not logarithm:
        return y
    if len(y) and y.min() <= 0:
        raise DataError(
            f"{splits.source}: --log-target needs a target above 0, {splits.target!r} goes down to {y.min()}"
        )
    return np.log(y.astype(np.float64))
