"""fit(core, splits, config) → FitResult: whole tensors in memory, one permutation an epoch, slices of it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import LoopConfig, Task
from training.data import Split
from training.errors import TrainingError
from training.model import BatchNorm
from training.statistics import reestimate, reestimate_exactly

STATISTICS_ROWS = 4096
"""Rows over which the statistics are re-estimated before each validation; after training it is all rows."""

WARM_UP = 0.2
"""The share of the steps in which the learning rate rises."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the rows gave.

    Attributes:
        train_loss: the mean over its steps, with dropout and batch statistics.
        score: validation accuracy, or R² for a regression; higher is better.
    """

    number: int
    of: int
    train_loss: float
    validation_loss: float
    score: float
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """The history of a fit; the core itself holds the best state.

    Attributes:
        best: the number of the epoch whose state was kept.
    """

    epochs: tuple[Epoch, ...]
    best: int

    @property
    def seconds_per_epoch(self) -> float:
        """The median over the epochs, validation included."""
        return float(np.median([epoch.seconds for epoch in self.epochs]))


Observer = Callable[[Epoch], None]


def fit(
    core: nn.Sequential,
    train: Split,
    validation: Split,
    task: Task,
    config: LoopConfig,
    observe: Observer = lambda _: None,
) -> FitResult:
    """Train the core in place, keep its best state, and give it exact statistics over the training rows.

    Shape: train.X and validation.X (rows, features), standardised; y class indices or standardised values.

    Raises:
        TrainingError: the loss is not a finite number any more.
    """
    data = _tensors(train, task)
    held_out = _tensors(validation, task) if len(validation) else data
    order = torch.Generator().manual_seed(config.seed)
    size, epochs = config.batch_size_for(len(train)), config.epochs_for(len(train))
    steps = epochs * sum(1 for _ in batches(len(train), size))
    trainer = _Trainer(
        core, task, size, _optimiser(core, config), learning_rates(config.learning_rate, steps)
    )
    history: list[Epoch] = []
    best = _Best(core)
    # Dropout draws from the global generator: a fork of it, so that nobody else's draws change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for number in range(1, epochs + 1):
            start = time.perf_counter()
            loss = trainer.epoch(*data, order)
            reestimate(core, data[0][:STATISTICS_ROWS])
            held_loss, score = evaluate(core, *held_out, task)
            history.append(Epoch(number, epochs, loss, held_loss, score, time.perf_counter() - start))
            _check_finite(history[-1])
            observe(history[-1])
            best.consider(history[-1])
            if config.patience is not None and number - best.number >= config.patience:
                break
    core.load_state_dict(best.state)
    reestimate_exactly(core, data[0])
    core.eval()
    return FitResult(tuple(history), best.number)


def batches(rows: int, size: int) -> Iterator[slice]:
    """Slices that cover all rows once, none shorter than 2: a tail of one row joins the batch before it."""
    size = max(size, 2)
    start = 0
    while start < rows:
        stop = rows if rows - (start + size) < 2 else start + size
        yield slice(start, stop)
        start = stop


def learning_rates(highest: float, steps: int) -> Iterator[float]:
    """One cycle: a linear rise, then half a cosine down to nothing (Smith & Topin 2018)."""
    rising = max(1, round(WARM_UP * steps))
    for step in range(steps):
        if step < rising:
            yield highest * (step + 1) / rising
        else:
            yield highest * 0.5 * (1 + math.cos(math.pi * (step - rising + 1) / (steps - rising + 1)))


@torch.no_grad()
def evaluate(core: nn.Module, X: Tensor, y: Tensor, task: Task) -> tuple[float, float]:
    """Loss and score in eval mode: accuracy, or R² for a regression."""
    core.eval()
    outputs = torch.cat([core(chunk) for chunk in torch.split(X, 8192)])
    loss = float(_loss(outputs, y, task))
    if task == "classification":
        return loss, float((outputs.argmax(1) == y).double().mean())
    spread = float(y.double().var(correction=0)) if len(y) > 1 else 1.0
    return loss, 1.0 - loss / (spread or 1.0)


class _Best:
    """The best state so far: by score, and among equal scores by validation loss."""

    def __init__(self, core: nn.Module) -> None:
        self._core = core
        self._key = (-math.inf, -math.inf)
        self.number = 0
        self.state = copy.deepcopy(core.state_dict())

    def consider(self, epoch: Epoch) -> None:
        """Keep the core's state if the epoch was the best."""
        key = (epoch.score, -epoch.validation_loss)
        if key > self._key:
            self._key, self.number = key, epoch.number
            self.state = copy.deepcopy(self._core.state_dict())


@dataclass
class _Trainer:
    """What one epoch after another needs."""

    core: nn.Sequential
    task: Task
    batch_size: int
    optimiser: torch.optim.Optimizer
    rates: Iterator[float]

    def epoch(self, X: Tensor, y: Tensor, order: torch.Generator) -> float:
        """One pass over all rows in a new order; the mean loss of its steps."""
        self.core.train()
        permutation = torch.randperm(len(X), generator=order)
        # One addition per step on the device; reading the number would wait for every step.
        total = torch.zeros((), dtype=torch.float64)
        for batch in batches(len(X), self.batch_size):
            rows = permutation[batch]
            total += self._step(X.index_select(0, rows), y.index_select(0, rows)) * len(rows)
        return float(total) / len(X)

    def _step(self, X: Tensor, y: Tensor) -> Tensor:
        rate = next(self.rates)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss = _loss(self.core(X), y, self.task)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.detach()


def _loss(outputs: Tensor, y: Tensor, task: Task) -> Tensor:
    if task == "classification":
        return functional.cross_entropy(outputs, y)
    return functional.mse_loss(outputs, y)


def _tensors(split: Split, task: Task) -> tuple[Tensor, Tensor]:
    y = torch.from_numpy(split.y)
    return torch.from_numpy(split.X), y if task == "classification" else y[:, None]


def _optimiser(core: nn.Sequential, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW that decays the weights of linear layers, never γ, β or biases."""
    weights = [layer.weight for layer in core if isinstance(layer, nn.Linear)]
    others = [layer.bias for layer in core if isinstance(layer, nn.Linear) and layer.bias is not None]
    others += [p for layer in core if isinstance(layer, BatchNorm) for p in layer.parameters()]
    groups = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _check_finite(epoch: Epoch) -> None:
    if not math.isfinite(epoch.train_loss) or not math.isfinite(epoch.validation_loss):
        raise TrainingError(f"the loss is {epoch.train_loss} in epoch {epoch.number}: try a lower --lr")
