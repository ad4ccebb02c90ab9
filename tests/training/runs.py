"""A small trained run, made once: several test files look at it from different sides."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from training.config import DataConfig, LoopConfig, ModelConfig, RunConfig
from training.data import Splits, load
from training.pipeline import Trained, train

Dataset = Literal["wine", "diabetes"]


def config(dataset: Dataset = "wine", models_dir: Path = Path("models"), **model: object) -> RunConfig:
    """A run of a second or two."""
    small = ModelConfig(hidden=(16, 8), **model)  # type: ignore[arg-type]
    return RunConfig(DataConfig(dataset), dataset, small, LoopConfig(epochs=5), models_dir)


@cache
def trained(dataset: Dataset = "wine") -> tuple[Splits, Trained]:
    """Splits and an unfolded model; nobody may change them."""
    run = config(dataset)
    splits = load(run.data, 0)
    return splits, train(splits, run)


def predictor(dataset: Dataset = "wine") -> nn.Sequential:
    """The unfolded model."""
    return trained(dataset)[1].predictor


def rows(dataset: Dataset = "wine") -> np.ndarray:
    """Rows that training did not see."""
    return trained(dataset)[0].test.numeric
