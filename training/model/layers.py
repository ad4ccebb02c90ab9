"""The layers that are ours, and how a linear layer begins.

For each hidden layer, with weights W, running statistics and learned γ and β (Ioffe & Szegedy 2015):

    s1 = W·h        s2 = (s1 − mean) / √(var + ε)        s3 = γ·s2 + β        h' = act(s3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.config import Activation, Initialisation, ModelConfig, Moments

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

SMALL = 0.1
"""The deviation of weights that begin small whatever the width: Ioffe & Szegedy 2015, section 4.1, begin so
without a figure; this one is ours."""


class BatchNorm(nn.Module):
    """Batch Normalization over a batch of rows.

    Shape: (batch, features) → (batch, features). running_mean and running_var are (features,) for
    moments="feature" and () for moments="all".
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, eps: float, momentum: float, moments: Moments) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.moments = moments
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        shape = (features,) if moments == "feature" else ()
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training mode, by the running statistics in eval mode."""
        if self.moments == "feature":
            statistics = (self.running_mean, self.running_var)
            return functional.batch_norm(
                x, *statistics, self.weight, self.bias, self.training, self.momentum, self.eps
            )
        mean, var = self._moments_of(x) if self.training else (self.running_mean, self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias

    def _moments_of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of all elements; the running variance takes the unbiased one, as
        PyTorch's own layer does."""
        var, mean = torch.var_mean(x, correction=0)
        with torch.no_grad():
            unbiased = var * (x.numel() / max(x.numel() - 1, 1))
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(unbiased.detach(), self.momentum)
        return mean, var

    def extra_repr(self) -> str:
        """Features, ε and over what the moments are taken."""
        return f"{len(self.weight)}, eps={self.eps}, moments={self.moments}"


class Standardiser(nn.Module):
    """(x − mean) / scale, per feature.

    Shape: (batch, features) → (batch, features); mean and scale are (features,).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise."""
        return (x - self.mean) / self.scale


class TargetScale(nn.Module):
    """y·scale + mean: from the standardised target back to its own unit.

    Shape: (batch, 1) → (batch, 1).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([mean], dtype=torch.float32))
        self.register_buffer("scale", torch.tensor([scale], dtype=torch.float32))

    def forward(self, y: Tensor) -> Tensor:
        """Back to the target's unit."""
        return y * self.scale + self.mean


class Exponential(nn.Module):
    """eˣ: back from the logarithm of a target."""

    def forward(self, y: Tensor) -> Tensor:
        """Back to the target itself."""
        return torch.exp(y)


class Categories(nn.Module):
    """One learnt row per category, summed over the columns: a linear layer on indicators of categories.

    In training a row that no training row uses is never reached: that of unknown categories, and often that
    of missing ones. In eval mode each of them is the mean of its column's rows by their share of the training
    rows, which is what a layer on indicators less their shares gives: nothing is known, nothing is added.

    Shape: (batch, columns) of places in the table, int64 → (batch, width).
    """

    decay_scale = 1.0
    """It is the part of the first linear layer that sees categories, and decays as the rest of it does."""

    share: Tensor
    column: Tensor
    absent: Tensor

    def __init__(self, weight: Tensor, counts: Sequence[NDArray[np.int64]]) -> None:
        """Shape: weight (places, width); counts per column (its places,), training rows that have each."""
        super().__init__()
        self.weight = nn.Parameter(weight)
        shares = [column / max(column.sum(), 1) for column in counts]
        lengths = torch.tensor([len(column) for column in counts])
        self.register_buffer("share", torch.from_numpy(np.concatenate(shares)).to(weight.dtype))
        self.register_buffer("column", torch.arange(len(counts)).repeat_interleave(lengths))
        self.register_buffer("absent", torch.from_numpy(np.flatnonzero(np.concatenate(counts) == 0)))

    def forward(self, places: Tensor) -> Tensor:
        """The sum of the rows."""
        if self.training:
            return functional.embedding_bag(places, self.weight, mode="sum")
        return functional.embedding(places, self.table()).sum(dim=1)

    def table(self) -> Tensor:
        """All rows, those that training never reached filled in. Shape: (places, width)."""
        if not len(self.absent):
            return self.weight
        means = self.weight.new_zeros(int(self.column.max()) + 1, self.weight.shape[1])
        means = means.index_add(0, self.column, self.weight * self.share[:, None])
        return self.weight.index_copy(0, self.absent, means[self.column[self.absent]])


class Residual(nn.Module):
    """h + linear2(dropout(act(linear1(norm(h))))): the shortcut is left alone.

    Shape: (batch, width) → (batch, width).
    """

    def __init__(self, width: int, inner: int, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        if config.batch_norm:
            self.norm = BatchNorm(width, config.epsilon, config.momentum, config.moments)
        self.linear1 = dense(width, inner, config, generator, bias=True)
        self.act = ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout(config.dropout)
        self.linear2 = dense(inner, width, config, generator, bias=True)

    def forward(self, h: Tensor) -> Tensor:
        """One step beside the shortcut."""
        step = h
        for layer in self.children():
            step = layer(step)
        return h + step


def dense(
    inputs: int, outputs: int, config: ModelConfig, generator: torch.Generator, *, bias: bool
) -> nn.Linear:
    """A linear layer whose weights are drawn as the config says; its bias begins at 0."""
    # skip_init: the layer's own initialisation would draw from the global generator.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)  # type: ignore[no-untyped-call]
    _DRAWS[_initialisation(config)](layer.weight, generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def _initialisation(config: ModelConfig) -> Initialisation:
    """He for relu and gelu, Xavier for tanh and sigmoid, unless another is asked for."""
    if config.initialisation != "auto":
        return config.initialisation
    return "he" if config.activation in ("relu", "gelu") else "xavier"


_DRAWS: dict[Initialisation, Callable[[Tensor, torch.Generator], Tensor]] = {
    "he": lambda weight, draws: nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=draws),
    "xavier": lambda weight, draws: nn.init.xavier_normal_(weight, generator=draws),
    "lecun": lambda weight, draws: nn.init.kaiming_normal_(weight, nonlinearity="linear", generator=draws),
    "small": lambda weight, draws: nn.init.normal_(weight, std=SMALL, generator=draws),
}
