"""A small trained run, made once: several test files look at it from different sides."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from training.config import DataConfig, RunConfig
from training.data import Splits, load
from training.held_out import HeldOut
from training.pipeline import Trained, train
from training.predictor import Predictor

Dataset = Literal["wine", "diabetes"]


def config(dataset: Dataset = "wine", models_dir: Path = Path("models"), **model: object) -> RunConfig:
    """A run of a second or two."""
    small = {"hidden": (16, 8), "encoding": "standard", **model}
    return RunConfig(DataConfig(dataset), dataset, small, {"epochs": 5}, models_dir)


@cache
def trained(dataset: Dataset = "wine") -> tuple[Splits, Trained]:
    """Splits and an unfolded model; nobody may change them."""
    run = config(dataset)
    splits = load(run.data, 0)
    return splits, train(splits, run)


def predictor(dataset: Dataset = "wine") -> Predictor:
    """The unfolded model."""
    return trained(dataset)[1].predictor


def held_out(dataset: Dataset = "wine") -> HeldOut:
    """Rows that training did not see."""
    return HeldOut.of(trained(dataset)[0], 0)
