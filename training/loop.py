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
    torch.manual_seed(config.seed)  # dropout draws from the global generator
    order = torch.Generator().manual_seed(config.seed)
    X, y = _tensors(train, task)
    held = _tensors(validation, task) if len(validation) else (X, y)
    sample = X[:STATISTICS_ROWS]
    optimiser = _optimiser(core, config)
    size, epochs = config.batch_size_for(len(X)), config.epochs_for(len(X))
    rates = learning_rates(config.learning_rate, epochs * sum(1 for _ in batches(len(X), size)))
    history: list[Epoch] = []
    best: tuple[float, float] = (-math.inf, -math.inf)
    kept, best_number = copy.deepcopy(core.state_dict()), 0
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        loss = _train_epoch(core, X, y, task, size, optimiser, rates, order)
        reestimate(core, sample)
        held_loss, score = evaluate(core, *held, task)
        history.append(Epoch(number, epochs, loss, held_loss, score, time.perf_counter() - start))
        _check_finite(history[-1])
        observe(history[-1])
        if (score, -held_loss) > best:
            best, best_number = (score, -held_loss), number
            kept = copy.deepcopy(core.state_dict())
        if config.patience is not None and number - best_number >= config.patience:
            break
    core.load_state_dict(kept)
    reestimate_exactly(core, X)
    core.eval()
    return FitResult(tuple(history), best_number)


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


def _train_epoch(
    core: nn.Sequential,
    X: Tensor,
    y: Tensor,
    task: Task,
    size: int,
    optimiser: torch.optim.Optimizer,
    rates: Iterator[float],
    order: torch.Generator,
) -> float:
    core.train()
    permutation = torch.randperm(len(X), generator=order)
    total = torch.zeros(())
    for batch in batches(len(X), size):
        rows = permutation[batch]
        rate = next(rates)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(core(X.index_select(0, rows)), y.index_select(0, rows), task)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach() * len(rows)
    return float(total) / len(X)


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
