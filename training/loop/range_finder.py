"""A learning rate by trying all of them: the range test of Smith (2017, "Cyclical Learning Rates for Training
Neural Networks", section 3.3).

A copy of the network is trained for one short run in which the rate grows by the same factor at each step.
Where the smoothed loss is lowest the rate is about to be too high; a tenth of that one is safe as a constant
rate, and about a third of it as the peak of a schedule that falls to nothing, which is what is suggested.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from training import extras
from training.config import LoopConfig, Task
from training.errors import DataError
from training.loop.batches import batches
from training.loop.devices import choose
from training.loop.fit import prepared
from training.loop.losses import Loss
from training.loop.optimisers import Optimiser
from training.loop.rows import Rows
from training.loop.seeds import derived, generator

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 300
SMOOTHING = 0.95
BLOWN_UP = 4.0
"""Times the lowest loss: from there on higher rates tell nothing."""
SHARE = 0.3
"""Of the rate with the lowest loss."""


@dataclass(frozen=True)
class RateCurve:
    """Rates, what the loss was at each, and the rate that follows.

    Attributes:
        losses: smoothed.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_range(network: nn.Module, train: Rows, task: Task, config: LoopConfig) -> RateCurve:
    """Try all rates on a copy of the network, which itself stays as it is.

    Raises:
        DataError: fewer than 2 rows, or a number in them is not finite.
        ConfigError: the device is not there.
    """
    if len(train) < 2:
        raise DataError(f"{len(train)} training rows; Batch Normalization needs at least 2")
    train.check("training")
    device = choose(config)
    trial = copy.deepcopy(network).to(device).train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derived(config.seed, "dropout"))
        losses = list(_losses(trial, prepared(train.to(device), task, config), Loss.of(task, config), config))
    rates = [_rate(step) for step in range(len(losses))]
    return RateCurve(tuple(rates), tuple(losses), SHARE * rates[losses.index(min(losses))])


def _rate(step: int) -> float:
    return float(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)))


def _losses(network: nn.Module, train: Rows, loss: Loss, config: LoopConfig) -> Iterator[float]:
    """The smoothed loss of each step, until it is far above its lowest value."""
    optimiser = Optimiser(network, replace(config, learning_rate=1.0))
    mean, lowest = 0.0, math.inf
    for step, rows in enumerate(_batches(train, config)):
        optimiser.forget_gradients()
        value = loss(network(*rows.inputs), rows.y, rows.weight)
        value.backward()  # type: ignore[no-untyped-call]
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(value.detach())
        # Divided by the weight that the steps so far have: the first ones are not drawn towards 0.
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        lowest = min(lowest, smooth)
        if step and (not math.isfinite(smooth) or smooth > BLOWN_UP * lowest):
            return
        yield smooth
        optimiser.step(_rate(step))


def _batches(train: Rows, config: LoopConfig) -> Iterator[Rows]:
    """As many as there are steps, from one permutation after another."""
    order, left = generator(config.seed, "order"), STEPS
    while left:
        permutation = torch.randperm(len(train), generator=order).to(train.y.device)
        for batch in list(batches(len(train), config.batch_size_for(len(train))))[:left]:
            yield train.take(permutation[batch])
            left -= 1


def plot(curve: RateCurve, path: Path) -> None:
    """Write the curve as an SVG file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    extras.require("compare,train,cpu", "matplotlib.figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(curve.rates, curve.losses, color="#2563a8")
    axes.axvline(curve.suggestion, color="#c2571a", linestyle="--")
    axes.annotate(
        f"suggested: {curve.suggestion:.1e}",
        (curve.suggestion, 0.96),
        (6, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
    )
    axes.set(xscale="log", xlabel="learning rate", ylabel="smoothed training loss")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg")
