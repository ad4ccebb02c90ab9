"""Small tables and networks for the tests of the loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from training.config import ModelConfig
from training.loop import Rows
from training.model import build_core


def blobs(rows: int, seed: int = 0, apart: float = 4.0) -> Rows:
    """Two classes that a line separates almost."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, rows)
    X = generator.normal(size=(rows, 3)).astype(np.float32)
    X[:, 0] += apart * y
    return Rows((torch.from_numpy(X),), torch.from_numpy(y))


def plane(rows: int, seed: int = 0) -> Rows:
    """A number that depends on two columns, smoothly, with noise."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, 3)).astype(np.float32)
    y = (X[:, 0] - 2 * np.tanh(X[:, 1]) + 0.3 * generator.normal(size=rows)).astype(np.float32)
    return Rows((torch.from_numpy(X),), torch.from_numpy(y))


def core(outputs: int = 2, hidden: tuple[int, ...] = (8,), **model: object) -> nn.Sequential:
    """A network of three inputs."""
    config = ModelConfig(hidden=hidden, **model)  # type: ignore[arg-type]
    return build_core(config, 3, outputs, torch.Generator().manual_seed(0))
