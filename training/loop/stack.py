"""Stack: the forward and the backward pass of a plain stack of layers, written out.

For networks of this size autograd's bookkeeping costs as much as its smaller kernels. Here the same kernels
are called in the same order, so that gradients have autograd's bits (those of a head for several classes
autograd's up to rounding), and every gradient is written to where the optimiser wants it. With s for the sum
over the rows and g for the gradient that comes from behind:

    Linear      see `training.loop.products`
    activation, dropout             gx = g · act′(x), g · mask / (1 − p)
    BatchNorm   by torch's own kernels, which keep mean and 1 / √(var + ε) of the forward pass
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.config import Precision
from training.loop.products import Linear, LinearInBfloat16, fits_bfloat16, held
from training.model import BatchNorm, Residual, Standardiser

kernels = torch.ops.aten


class Step(Protocol):
    """One layer of the stack; it keeps what its backward pass needs."""

    def forward(self, x: Tensor) -> Tensor:
        """What comes out."""
        ...

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        """Write the gradients of the parameters; that of what came in, where it is wanted further on."""
        ...


class Stack:
    """Layers one behind the other, in training mode; to be used where autograd is off.

    Attributes:
        parameters: of all its layers. Their gradients are written to where `grad` was when the stack was
            made.
    """

    def __init__(self, steps: list[Step], parameters: frozenset[nn.Parameter]) -> None:
        self._steps, self.parameters = steps, parameters

    @classmethod
    def of(cls, layers: Iterable[nn.Module], precision: Precision = "float32") -> Stack | None:
        """None where a layer is not one of those known here, is frozen, or stands in two places.

        Args:
            precision: of the products of linear layers that `fits_bfloat16`; all else is in float32.
        """
        layers = list(layers)
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        shared = len({id(parameter) for parameter in parameters}) < len(parameters)
        if (
            shared
            or not parameters
            or not all(p.requires_grad and p.device.type == "cpu" for p in parameters)
        ):
            return None
        steps = [_step(layer, precision) for layer in layers if not _passes(layer)]
        known = [step for step in steps if step is not None]
        return cls(known, frozenset(parameters)) if len(known) == len(steps) else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (rows, inputs) → (rows, outputs)."""
        for step in self._steps:
            x = step.forward(x)
        return x

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        """Write every parameter's gradient into its `grad`; that of the inputs, where it is wanted.

        Shape: (rows, outputs) → (rows, inputs).
        """
        for place, step in reversed(list(enumerate(self._steps))):
            gradient = step.backward(gradient, further=further or place > 0)
        return gradient


def _passes(layer: nn.Module) -> bool:
    """Whether a layer leaves all as it is."""
    return type(layer) is nn.Identity or (type(layer) is nn.Dropout and layer.p == 0)


def _step(layer: nn.Module, precision: Precision) -> Step | None:
    if type(layer) is Residual:
        inner = Stack.of(layer.children(), precision)
        return _Shortcut(inner) if inner else None
    if precision == "bf16" and type(layer) is nn.Linear and fits_bfloat16(layer):
        return LinearInBfloat16(layer)
    make = _STEPS.get(type(layer))
    return make(layer) if make else None


class _BatchNorm:
    def __init__(self, layer: BatchNorm) -> None:
        self._weight, of_weight = held(layer.weight)
        self._bias, of_bias = held(layer.bias)
        self._gradients = (of_weight, of_bias)
        self._running = (layer.running_mean, layer.running_var)
        self._momentum, self._eps = layer.momentum, layer.eps

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        y, self._mean, self._scale = torch.native_batch_norm(
            x, self._weight, self._bias, *self._running, True, self._momentum, self._eps
        )
        return y

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        gradient, weight, bias = kernels.native_batch_norm_backward.default(
            *(gradient, self._x, self._weight, *self._running, self._mean, self._scale),
            *(True, self._eps, (further, True, True)),
        )
        torch._foreach_copy_(self._gradients, (weight, bias))
        return gradient


class _Standardise:
    """In front of all others; it has no parameters."""

    def __init__(self, layer: Standardiser) -> None:
        self._mean, self._scale = layer.mean, layer.scale

    def forward(self, x: Tensor) -> Tensor:
        return (x - self._mean).div_(self._scale)

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        return gradient / self._scale if further else gradient


class _Activation:
    """By a kernel forward, and one backward that sees what came in or what came out."""

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        backward: Callable[[Tensor, Tensor], Tensor],
        *,
        sees_input: bool = False,
    ) -> None:
        self._forward, self._backward, self._sees_input = forward, backward, sees_input

    def forward(self, x: Tensor) -> Tensor:
        y = self._forward(x)
        self._seen = x if self._sees_input else y
        return y

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        return self._backward(gradient, self._seen) if further else gradient


class _Relu:
    """In place: what comes in and the gradient from behind are needed by nobody else."""

    def forward(self, x: Tensor) -> Tensor:
        self._y = x.clamp_min_(0)
        return self._y

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        if not further:
            return gradient
        kernels.threshold_backward.grad_input(gradient, self._y, 0, grad_input=gradient)
        return gradient


class _Dropout:
    def __init__(self, layer: nn.Dropout) -> None:
        self._share = 1 - layer.p

    def forward(self, x: Tensor) -> Tensor:
        self._mask = torch.empty_like(x).bernoulli_(self._share).div_(self._share)
        return x * self._mask

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        return gradient * self._mask if further else gradient


class _Shortcut:
    """Steps beside the shortcut: y = x + step(x)."""

    def __init__(self, steps: Stack) -> None:
        self._beside = steps

    def forward(self, x: Tensor) -> Tensor:
        return x + self._beside.forward(x)

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        beside = self._beside.backward(gradient, further=further)
        return gradient + beside if further else gradient


def _norm(layer: BatchNorm) -> Step | None:
    return _BatchNorm(layer) if layer.moments == "feature" else None


def _gelu(layer: nn.GELU) -> Step:
    backward = partial(kernels.gelu_backward.default, approximate=layer.approximate)
    return _Activation(layer, backward, sees_input=True)


_STEPS: dict[type[nn.Module], Callable[[Any], Step | None]] = {
    nn.Linear: Linear,
    Standardiser: _Standardise,
    BatchNorm: _norm,
    nn.ReLU: lambda _: _Relu(),
    nn.Tanh: lambda _: _Activation(torch.tanh, kernels.tanh_backward.default),
    nn.Sigmoid: lambda _: _Activation(torch.sigmoid, kernels.sigmoid_backward.default),
    nn.GELU: _gelu,
    nn.Dropout: lambda layer: _Dropout(layer) if 0 < layer.p < 1 else None,
}
