"""What is inside a trained network: the statistics of its normalisations, and units that never answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.codebook import Codebook
from training.data import Split
from training.predictor import Predictor
from training.report.answers import model_inputs
from training.statistics import flat_channels, norms

MOST_ROWS = 32_768
"""Rows that pass through the network to see which units never answer: some do for a few rows alone, as in a
column of which hardly any differ from 0."""

AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class NormStatistics:
    """One normalisation.

    Attributes:
        flat: channels that hardly vary, whose variance is below ten times ε.

    Shape: variance (channels,), or () with one for all of them; scale (channels,), its γ.
    """

    name: str
    variance: NDArray[np.float64]
    scale: NDArray[np.float64]
    flat: int


@dataclass(frozen=True)
class Activity:
    """The units of one ReLU.

    Attributes:
        dead: those that are 0 for each of the rows.
    """

    name: str
    units: int
    dead: int
    rows: int


def statistics(predictor: Predictor) -> tuple[NormStatistics, ...]:
    """Of every normalisation, in the network's order."""
    flat = flat_channels(predictor.network)
    return tuple(
        NormStatistics(name, _array(layer.running_var), _array(layer.weight), flat.get(name, 0))
        for name, layer in norms(predictor.network).items()
    )


@torch.no_grad()
def activities(predictor: Predictor, codebook: Codebook, split: Split) -> tuple[Activity, ...]:
    """Of every ReLU, on training rows drawn by chance."""
    rows = split.rows(np.random.default_rng(0).permutation(len(split))[:MOST_ROWS])
    relus = {name: layer for name, layer in predictor.network.named_modules() if isinstance(layer, nn.ReLU)}
    with _watched(relus) as highest:
        for start in range(0, len(rows), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            predictor(*model_inputs(predictor, codebook, rows.numeric[some], rows.categorical[some]))
    return tuple(
        Activity(name, most.numel(), int((most <= 0).sum()), len(rows)) for name, most in highest.items()
    )


@contextmanager
def _watched(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """The highest output of each unit over the rows that pass meanwhile, by the name of its layer."""
    highest: dict[str, Tensor] = {}

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def look(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            most = output.amax(dim=0)
            highest[name] = torch.maximum(highest[name], most) if name in highest else most

        return layer.register_forward_hook(look)

    handles = [watch(name, layer) for name, layer in layers.items()]
    try:
        yield highest
    finally:
        for handle in handles:
            handle.remove()


def _array(values: object) -> NDArray[np.float64]:
    assert isinstance(values, Tensor)  # noqa: S101 - a normalisation that keeps statistics has them
    found: NDArray[np.float64] = values.detach().double().numpy()
    return found
