"""The flags of `foldserve train` that say how it trains, and the fields that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from training.config import LoopConfig
from training.errors import ConfigError
from training.flags import Flags, choices_of, fields_asked

Epochs = Annotated[int | None, typer.Option(help="passes over the rows [by their number]")]
BatchSize = Annotated[
    str | None,
    typer.Option(help="rows per step, or full; 1 for single rows [256, by the table]"),
]
Rate = Annotated[float | None, typer.Option("--lr", help="highest learning rate [5e-3]")]
WeightDecay = Annotated[float | None, typer.Option(help="on weights of linear layers [0.2 or 0.01]")]
Patience = Annotated[int | None, typer.Option(help="epochs without a better score [20]")]
Seed = Annotated[int, typer.Option(help="of every random choice")]
Optimizer = Annotated[str | None, typer.Option(help="adamw, muon or sgd [adamw]")]
Schedule = Annotated[
    str | None, typer.Option(help="of the rate: cosine, one-cycle, plateau or constant [cosine]")
]
WarmUp = Annotated[float | None, typer.Option(help="share of the steps in which the rate rises [0.05]")]
Ema = Annotated[float | None, typer.Option(help="keep an average of the weights, such as 0.99 [0.995]")]
ExactStatistics = Annotated[
    bool, typer.Option(help="normalise by the training rows' moments, not by running averages")
]
Mixup = Annotated[float | None, typer.Option(help="mix rows, by shares of Beta(a, a) [by the table]")]
LabelSmoothing = Annotated[float | None, typer.Option(help="probability shared by all classes [0]")]
Clip = Annotated[float | None, typer.Option(help="greatest norm of a gradient [none]")]
ClassWeight = Annotated[str | None, typer.Option(help="none or balanced [none]")]
RegressionLoss = Annotated[str | None, typer.Option("--loss", help="of a regression: mse or huber [mse]")]
SpikeGuard = Annotated[bool, typer.Option(help="skip steps whose loss or gradient leaps")]
Threads = Annotated[
    int | None, typer.Option(help="of one matrix product; 1 where others need the cores too [all cores]")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto]")]
Precision = Annotated[str | None, typer.Option(help="float32, or bf16 on hardware that has it [float32]")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with a run that was stopped")]
Ensemble = Annotated[int, typer.Option(help="networks, whose mean is the answer")]
RateFinder = Annotated[
    Path | None,
    typer.Option("--lr-finder", help="try all learning rates instead, plot them to this SVG file"),
]

FLAGS: Flags = {
    "epochs": (Epochs, None),
    "batch_size": (BatchSize, None),
    "learning_rate": (Rate, None),
    "weight_decay": (WeightDecay, None),
    "optimizer": (Optimizer, None),
    "schedule": (Schedule, None),
    "warm_up": (WarmUp, None),
    "ema": (Ema, None),
    "exact_statistics": (ExactStatistics, True),
    "mixup": (Mixup, None),
    "label_smoothing": (LabelSmoothing, None),
    "clip": (Clip, None),
    "class_weight": (ClassWeight, None),
    "loss": (RegressionLoss, None),
    "spike_guard": (SpikeGuard, True),
    "threads": (Threads, None),
    "device": (Device, None),
    "precision": (Precision, None),
    "patience": (Patience, None),
    "seed": (Seed, 0),
}
"""Parameter, annotation and default: each is a field of `LoopConfig`."""


def loop_fields(**given: Any) -> dict[str, Any]:
    """The fields of `LoopConfig` that were asked for.

    Raises:
        ConfigError: a flag has a value that it cannot have.
    """
    return fields_asked(FLAGS, given, choices_of(LoopConfig), batch_size=_size)


def _size(text: str) -> int | Literal["full"]:
    if text == "full":
        return "full"
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"--batch-size is {text!r}, expected a number or full") from error
