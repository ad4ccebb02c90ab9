"""A comparison of a second or two, made once."""

from __future__ import annotations

from functools import cache

from training.comparison import Comparison, Grid, compare
from training.config import DataConfig, RunConfig

RATES = (0.002, 0.02)


def config(dataset: str = "wine", **loop: object) -> RunConfig:
    model = {"hidden": (8, 6), "encoding": "standard"}
    return RunConfig(DataConfig(dataset), "compare", model, {"epochs": 4, **loop})


@cache
def comparison() -> Comparison:
    """Wine, two seeds and two rates; nobody may change it."""
    return compare(config(), Grid(RATES, 2))


@cache
def diverged() -> Comparison:
    """One of the rates is absurd, and nothing guards the steps."""
    return compare(config(spike_guard=False), Grid((0.002, 1e30), 2))
