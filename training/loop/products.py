"""Products: a linear layer's forward and backward pass, in float32 or with its products in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NARROW = 16
"""A product whose result has fewer columns takes half the time with rows and columns exchanged."""

WIDE = 64
"""From so many inputs and outputs on, a product in bfloat16 is worth the rounding of its factors."""


class Linear:
    """y = x Wᵀ + b; gW = gᵀ x, gb = Σ g, gx = g W.

    Shape: (rows, in_features) → (rows, out_features).
    """

    def __init__(self, layer: nn.Linear) -> None:
        self._weight, self._gradient = held(layer.weight)
        self._transposed = self._weight.t()
        self._has_bias = layer.bias is not None
        if self._has_bias:
            self._bias, self._bias_gradient = held(layer.bias)
        self._is_narrow = self._has_bias and 1 < layer.out_features < NARROW

    def forward(self, x: Tensor) -> Tensor:
        """What comes out."""
        self._x = x
        if not self._has_bias:
            return torch.mm(x, self._transposed)
        if self._is_narrow:
            return torch.addmm(self._bias[:, None], self._weight, x.t()).t()
        return torch.addmm(self._bias, x, self._transposed)

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        """Write the gradients of weight and bias; that of x, where it is wanted further on."""
        torch.mm(gradient.t(), self._x, out=self._gradient)
        if self._has_bias:
            torch.sum(gradient, 0, out=self._bias_gradient)
        return torch.mm(gradient, self._weight) if further else gradient


class LinearInBfloat16:
    """The same with x, W and g rounded to bfloat16 for the products, whose sums the processor makes in
    float32. Parameters, bias and what leaves the layer are float32, so that neither moments nor steps are
    rounded.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self._weight, self._gradient = held(layer.weight)
        self._rounded = torch.empty_like(self._weight, dtype=torch.bfloat16)
        self._has_bias = layer.bias is not None
        if self._has_bias:
            self._bias, self._bias_gradient = held(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """What comes out."""
        self._x = x.bfloat16()
        y = torch.mm(self._x, self._rounded.copy_(self._weight).t())
        return y + self._bias if self._has_bias else y.float()

    def backward(self, gradient: Tensor, *, further: bool) -> Tensor:
        """Write the gradients of weight and bias; that of x, where it is wanted further on."""
        rounded = gradient.bfloat16()
        self._gradient.copy_(torch.mm(rounded.t(), self._x))
        if self._has_bias:
            torch.sum(gradient, 0, out=self._bias_gradient)
        return torch.mm(rounded, self._rounded).float() if further else gradient


def fits_bfloat16(layer: nn.Linear) -> bool:
    """Not the head, nor a layer that sees few raw numbers: rounding costs most there, and gains nothing."""
    return layer.weight.dtype == torch.float32 and min(layer.in_features, layer.out_features) >= WIDE


def held(parameter: Tensor) -> tuple[Tensor, Tensor]:
    """The values of a parameter, and where its gradient is to be."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.detach(), parameter.grad
