"""Figure 1 of Ioffe & Szegedy (2015, "Batch Normalization"), on Fashion-MNIST, with our own loop and network.

Three hidden layers of 100 sigmoid units, batches of 60, plain gradient descent at a constant rate, weights
from a small Gaussian; once with Batch Normalization, once without. The paper took 50,000 steps on MNIST.

    python examples/batch_norm_paper.py DATA [--quick] [--deviation 0.01] [--rate 0.1] [-o figure.svg]

DATA is a folder with train.npz and test.npz: X (rows, 784) from 0 to 255, y the classes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from service.errors import FoldserveError
from training import extras
from training.comparison import pictures
from training.comparison.trials import Look, Run, Trial, shrink, watcher
from training.config import LoopConfig, ModelConfig
from training.errors import DataError, TrainingError
from training.loop import Epoch, Rows, Watch, fit, generator
from training.model import build_core

BATCH = 60
STEPS, QUICK_STEPS = 50_000, 3_000
LEVELS = (0.60, 0.70, 0.75, 0.80, 0.82, 0.84, 0.85, 0.86, 0.87, 0.88)
WATCHED = 2_000
"""Test rows of which the percentiles are taken, as well as the scores on the way; all of them would take
longer than training."""

CLASSES = 10


@dataclass(frozen=True)
class Setting:
    """What both networks have in common."""

    steps: int
    deviation: float
    rate: float
    seed: int


def rows(file: Path) -> Rows:
    """Pixels from 0 to 1.

    Raises:
        DataError: the file is not there, or holds something else.
    """
    try:
        with np.load(file) as held:
            X, y = held["X"], held["y"]
    except FileNotFoundError as error:
        raise DataError(f"{file} is not there: name a folder with train.npz and test.npz") from error
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{file} holds no arrays X and y: {error}") from error
    pixels = X.reshape(len(X), -1).astype(np.float32) / 255
    return Rows((torch.from_numpy(pixels),), torch.from_numpy(y.astype(np.int64)))


def trained(batch_norm: bool, train: Rows, test: Rows, setting: Setting, console: Console) -> Run:
    """One network, looked at a few hundred times."""
    model = ModelConfig(
        hidden=(100, 100, 100),
        activation="sigmoid",
        initialisation="small",
        batch_norm=batch_norm,
        dropout=0.0,
    )
    draws = generator(setting.seed, "initialisation")
    network = build_core(model, train.inputs[0].shape[1], CLASSES, draws)
    shrink(network, setting.deviation)
    loop = LoopConfig(
        epochs=max(1, round(setting.steps / math.ceil(len(train) / BATCH))),
        batch_size=BATCH,
        learning_rate=setting.rate,
        optimizer="sgd",
        schedule="constant",
        weight_decay=0.0,
        patience=None,
        warm_up=0.0,
        spike_guard=False,
        seed=setting.seed,
    )
    looks: list[Look] = []
    nothing = test.take(torch.arange(0))
    watch = Watch(max(1, setting.steps // 250), watcher(test, nothing, "classification", looks.append))
    name = "with BN" if batch_norm else "without BN"

    def tell(epoch: Epoch) -> None:
        if epoch.number % max(1, epoch.of // 10) == 0:
            console.print(f"{name}: epoch {epoch.number} of {epoch.of}, test accuracy {epoch.score:.4f}")

    trial, ended = Trial(batch_norm, "small", setting.rate, setting.seed), None
    try:
        # The test rows decide nothing but which state is kept in the end, which is not used.
        fit(network, train, test, "classification", loop, tell, watch=watch)
    except TrainingError as error:
        ended = str(error)
    return Run(trial, tuple(looks), ended)


def table(one: Run, other: Run) -> Table:
    """Steps to each level of test accuracy that one of them reaches."""
    shown = Table("test accuracy", box=None, header_style="bold", pad_edge=False)
    for heading in ("steps with BN", "without", "ratio"):
        shown.add_column(heading, justify="right")
    for level in LEVELS:
        steps = one.steps_to(level), other.steps_to(level)
        if any(map(math.isfinite, steps)):
            ratio = f"{steps[1] / steps[0]:.1f}" if all(map(math.isfinite, steps)) and steps[0] else ""
            shown.add_row(f"{level:.2f}", *map(_steps, steps), ratio)
    bests = [max(look.validation for look in run.looks) for run in (one, other)]
    shown.add_row("best", *(f"{best:.4f}" for best in bests), "")
    return shown


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if math.isfinite(steps) else "never"


def draw(one: Run, other: Run, setting: Setting, path: Path) -> None:
    """The three panels of the figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    for axes in (left, middle, right):
        pictures.plain(axes)
        axes.set_xlabel("steps")
        axes.xaxis.set_major_locator(_ticks())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value else "0")
    for run in (one, other):
        side = run.trial.batch_norm
        name = "with BN" if side else "without BN"
        x, y = [look.step for look in run.looks], [look.validation for look in run.looks]
        left.plot(x, y, color=pictures.COLOURS[side], linestyle=pictures.DASHES[side], label=name)
    left.set(ylabel="test accuracy", ylim=(0.0, 1.0))
    left.legend(frameon=False, loc="best", fontsize=9)
    left.set_title(f"(a) N(0, {setting.deviation:g}²), rate {setting.rate:g}", fontsize=9, loc="left")
    right.sharey(middle)
    pictures.bands((middle, right), (other, one))
    for axes, name in ((middle, "(b) without BN"), (right, "(c) with BN")):
        axes.set_title(f"{name}: input of a last-layer sigmoid", fontsize=9, loc="left")
    figure.savefig(path, format="svg")


def _ticks() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5, steps=[1, 2, 5, 10])


def arguments(words: list[str]) -> argparse.Namespace:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description="Figure 1 of the Batch Normalization paper.")
    parser.add_argument("data", type=Path, help="a folder with train.npz and test.npz")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS:,} steps, not {STEPS:,}")
    parser.add_argument("--steps", type=int, help="another number of steps, in whole epochs")
    parser.add_argument("--deviation", type=float, default=0.01, help="of the first weights [0.01]")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate [0.1]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("batch_norm_paper.svg"))
    return parser.parse_args(words)


def main() -> None:
    """Both networks, the table and the figure."""
    asked = arguments(sys.argv[1:])
    steps = asked.steps or (QUICK_STEPS if asked.quick else STEPS)
    setting, console = Setting(steps, asked.deviation, asked.rate, asked.seed), Console(highlight=False)
    try:
        extras.require("compare,train,cpu", "matplotlib.figure")
        train, test = rows(asked.data / "train.npz"), rows(asked.data / "test.npz")
        test = test.take(torch.arange(min(WATCHED, len(test))))
        begun = time.monotonic()
        one, other = (trained(side, train, test, setting, console) for side in (True, False))
    except FoldserveError as error:
        sys.exit(f"batch_norm_paper: {error}")
    console.print(
        f"{time.monotonic() - begun:.0f} s; weights from N(0, {setting.deviation:g}²), rate {setting.rate:g}"
    )
    console.print(table(one, other))
    draw(one, other, setting, asked.output)
    console.print(f"figure: {asked.output}")


if __name__ == "__main__":
    main()
