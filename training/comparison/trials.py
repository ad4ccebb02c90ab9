"""A trial: one network trained under the common budget, looked at on the way."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from training.config import LoopConfig, ModelConfig, Task
from training.data import Split, Splits
from training.defaults import Recipe
from training.errors import TrainingError
from training.loop import Rows, Watch, batches, evaluate, fit
from training.loop.fit import prepared
from training.model import Categories, Network
from training.model.layers import ACTIVATIONS, SMALL
from training.preparation import Preparation

Start = Literal["usual", "small"]
"""How weights begin: as the recipe says, or from a Gaussian too small for its layer."""

SMALL_DEVIATION = 0.01
"""Of that Gaussian: at a hundred inputs a layer hands on a tenth of what it gets."""

UNIT = 0
"""The unit of the last hidden layer that is watched: fixed beforehand, as all of them begin alike."""

PERCENTILES = (15, 50, 85)
"""Those of Ioffe & Szegedy (2015), figure 1."""

MOST_ROWS = 8192
"""Held-out rows that a look takes of each kind."""


@dataclass(frozen=True)
class Trial:
    """What is trained."""

    batch_norm: bool
    start: Start
    rate: float
    seed: int


@dataclass(frozen=True)
class Look:
    """What was seen after some steps.

    Attributes:
        validation, test: accuracy, or R² for a regression; test is NaN without test rows.
        loss: of the validation rows.
        unit: percentiles of the input of one unit's activation over the validation rows.
    """

    step: int
    loss: float
    validation: float
    test: float
    unit: tuple[float, ...] = ()


@dataclass(frozen=True)
class Run:
    """A trial and what came of it.

    Attributes:
        diverged: the sentence that ended it; None for a run that came to its end.
    """

    trial: Trial
    looks: tuple[Look, ...]
    diverged: str | None = None

    @property
    def best(self) -> Look | None:
        """The highest validation score, among equal ones the lowest loss; None for a run that diverged."""
        if self.diverged is not None or not self.looks:
            return None
        return max(self.looks, key=lambda look: (look.validation, -look.loss))

    def steps_to(self, score: float) -> float:
        """Steps to the first look with at least this score; infinite where there is none."""
        return next((float(look.step) for look in self.looks if look.validation >= score), math.inf)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all trials share: the rows, how they are prepared, the choices, how often is looked.

    Attributes:
        every: steps between two looks.
    """

    preparation: Preparation
    splits: Splits
    recipe: Recipe
    train: Rows
    validation: Rows
    test: Rows
    every: int

    @classmethod
    def of(cls, splits: Splits, recipe: Recipe, every: int) -> Bench:
        """With at most `MOST_ROWS` validation and test rows, taken by chance where there are more."""
        preparation = Preparation.of(splits, recipe)
        held = [_some(split, recipe.loop.seed) for split in (splits.validation, splits.test)]
        train, validation, test = (preparation.rows(split, splits) for split in (splits.train, *held))
        return cls(preparation, splits, recipe, train, validation, test, every)

    def run(self, trial: Trial) -> Run:
        """Train it; a loss that is no finite number any more is a result, too."""
        loop = replace(self.recipe.loop, learning_rate=trial.rate, seed=trial.seed)
        looks: list[Look] = []
        task = self.splits.task
        held, test = (prepared(rows, task, loop, self.train) for rows in (self.validation, self.test))
        watch = Watch(self.every, watcher(held, test, task, looks.append))
        try:
            fit(self._network(trial), self.train, self.validation, task, loop, watch=watch)
        except TrainingError as error:
            if type(error) is not TrainingError:
                raise
            return Run(trial, tuple(looks), str(error))
        return Run(trial, tuple(looks))

    def _network(self, trial: Trial) -> Network:
        small = {"initialisation": "small"} if trial.start == "small" else {}
        model: ModelConfig = replace(self.recipe.model, batch_norm=trial.batch_norm, **small)  # type: ignore[arg-type]
        # What the encoding learns belongs to the preparation: each trial begins with a copy of its own.
        network = copy.deepcopy(self.preparation.network(model, self.splits, trial.seed))
        if trial.start == "small":
            shrink(network, SMALL_DEVIATION)
        return network


def watcher(
    validation: Rows, test: Rows, task: Task, tell: Callable[[Look], None]
) -> Callable[[int, nn.Module], None]:
    """What a `Watch` calls: scores on held-out rows, as `prepared` gives them, and one unit's input."""

    def look(step: int, network: nn.Module) -> None:
        device = next(network.parameters()).device
        seen, unit = validation.to(device), list[Tensor]()
        with _listening(network, unit):
            loss, score = evaluate(network, seen, task)
        held = evaluate(network, test.to(device), task)[1] if len(test) else math.nan
        tell(Look(step, loss, score, held, _percentiles(unit)))

    return look


@torch.no_grad()
def shrink(network: nn.Module, deviation: float) -> None:
    """Bring weights that were drawn with `SMALL` to another deviation; the encoding's own stay."""
    for layer in _behind_encoding(network):
        if isinstance(layer, nn.Linear | Categories):
            layer.weight.mul_(deviation / SMALL)


def total_steps(loop: LoopConfig, rows: int) -> int:
    """Of one trial."""
    size = loop.batch_size_for(rows)
    per_epoch = rows if size == 1 else sum(1 for _ in batches(rows, size))
    return loop.epochs * per_epoch


def _behind_encoding(network: nn.Module) -> Iterator[nn.Module]:
    for name, layer in network.named_modules():
        if not name.startswith(("encode", "learn")):
            yield layer


def _some(split: Split, seed: int) -> Split:
    if len(split) <= MOST_ROWS:
        return split
    return split.rows(np.random.default_rng(seed).permutation(len(split))[:MOST_ROWS])


@contextmanager
def _listening(network: nn.Module, kept: list[Tensor]) -> Iterator[None]:
    """Keep what the watched unit of the last activation gets."""
    kinds = tuple(kind for kind in ACTIVATIONS.values() if isinstance(kind, type))
    layers = [layer for layer in _behind_encoding(network) if isinstance(layer, kinds)][-1:]
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0][:, UNIT].float().cpu()))
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _percentiles(parts: list[Tensor]) -> tuple[float, ...]:
    if not parts:
        return ()
    values = torch.cat(parts).double().numpy()
    if not np.isfinite(values).all():
        return (math.nan,) * len(PERCENTILES)
    return tuple(float(value) for value in np.percentile(values, PERCENTILES))
