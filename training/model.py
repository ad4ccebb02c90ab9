"""The multilayer perceptron with Batch Normalization, and the two affine maps around it.

For each hidden layer, with weights W, running statistics and learned γ and β (Ioffe & Szegedy 2015):

    s1 = W·h        s2 = (s1 − mean) / √(var + ε)        s3 = γ·s2 + β        h' = act(s3)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.config import Activation, ModelConfig, Moments, Task

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


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


def build_core(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """The trainable part: standardised features in, logits or a standardised value out.

    Shape: (batch, inputs) → (batch, outputs).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = inputs
    for number, hidden in enumerate(config.hidden, 1):
        layers[f"linear{number}"] = _linear(width, hidden, config, generator, bias=not config.batch_norm)
        if config.batch_norm:
            layers[f"norm{number}"] = BatchNorm(hidden, config.epsilon, config.momentum, config.moments)
        layers[f"{config.activation}{number}"] = ACTIVATIONS[config.activation]()
        if config.dropout:
            layers[f"dropout{number}"] = nn.Dropout(config.dropout)
        width = hidden
    layers["head"] = _linear(width, outputs, config, generator, bias=True)
    return nn.Sequential(layers)


def build_predictor(core: nn.Sequential, before: Standardiser, after: TargetScale | None) -> nn.Sequential:
    """The whole unfolded model in eval mode: raw features in, probabilities or a value out.

    Shape: (batch, features) → (batch, classes), or (batch, 1) for a regression.
    """
    last = ("softmax", nn.Softmax(dim=-1)) if after is None else ("target_scale", after)
    layers = OrderedDict([("standardiser", before), *core.named_children(), last])
    return nn.Sequential(layers).eval()


def output_task(predictor: nn.Sequential) -> Task:
    """What the model answers, by its last layer."""
    return "classification" if isinstance(predictor[-1], nn.Softmax) else "regression"


def _linear(
    inputs: int, outputs: int, config: ModelConfig, generator: torch.Generator, *, bias: bool
) -> nn.Linear:
    """A linear layer with variance-scaled weights: He for relu and gelu, Xavier for tanh and sigmoid."""
    # skip_init: the layer's own initialisation would draw from the global generator.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)  # type: ignore[no-untyped-call]
    if config.activation in ("relu", "gelu"):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_normal_(layer.weight, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
