"""How good a network is on rows that it does not learn from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.config import Task
from training.loop.losses import Loss
from training.loop.rows import Rows

CHUNK = 8192
"""Rows that pass through the network at once."""


@torch.no_grad()
def evaluate(network: nn.Module, rows: Rows, task: Task, loss: Loss | None = None) -> tuple[float, float]:
    """Loss and score in eval mode: accuracy, or R² for a regression; both weighted as the rows are."""
    network.eval()
    outputs = predict(network, rows.inputs)
    value = float((loss or Loss(task))(outputs, rows.y, rows.weight))
    if task == "classification":
        return value, float(_mean((outputs.argmax(1) == rows.y).double(), rows.weight))
    return value, _r2(outputs.double(), rows.y.double(), rows.weight)


def predict(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The network's answers, in float32. Shape: inputs (rows, ...) → (rows, outputs)."""
    chunks = zip(*(torch.split(tensor, CHUNK) for tensor in inputs), strict=True)
    outputs: list[Tensor] = [network(*chunk) for chunk in chunks]
    return torch.cat(outputs).float()


def _r2(outputs: Tensor, y: Tensor, weight: Tensor | None) -> float:
    """1 − squared error / variance of the target; a target without variance counts as one of variance 1."""
    error = float(_mean((outputs - y).square().mean(dim=1), weight))
    spread = float(_mean((y - _mean(y, weight)).square().mean(dim=1), weight))
    return 1.0 - error / (spread if len(y) > 1 and spread else 1.0)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Over the rows, weighted. Shape: (rows, ...) → (...)."""
    if weight is None:
        return values.mean(dim=0)
    share = weight.double() / weight.double().sum().clamp(min=torch.finfo(torch.float64).tiny)
    mean: Tensor = torch.tensordot(share, values, dims=1)
    return mean
