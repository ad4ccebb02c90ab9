"""Exact running statistics: what a normalisation sees over all training rows, once training is over.

Averages kept during training lag behind the weights and, on tables, ruin a good network. So each layer's
mean and variance are computed again over the training rows, layer by layer, every layer before it already
using its own exact statistics (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3).

It works for any module: hooks on its normalisations see their inputs, in the order in which a forward pass
reaches them. A layer that is reached twice gets the moments of what it sees first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.model import BatchNorm

CHUNK = 8192
"""Rows that pass through the network at once."""

NORMALISATIONS: tuple[type[nn.Module], ...] = (BatchNorm, _BatchNorm)

FLAT = 10.0
"""A channel whose variance is below this many ε is hardly more than its ε."""

Inputs = Tensor | Sequence[Tensor]


@torch.no_grad()
def reestimate_exactly(network: nn.Module, inputs: Inputs) -> None:
    """Set the running statistics of every normalisation to the population's, computed in float64.

    Shape: inputs (rows, ...), what the network takes, one tensor or several.
    """
    precise = copy.deepcopy(network).double()
    reestimate(precise, inputs)
    for layer, exact in zip(norms(network).values(), norms(precise).values(), strict=True):
        _mean_of(layer).copy_(_mean_of(exact))
        _variance_of(layer).copy_(_variance_of(exact))


@torch.no_grad()
def reestimate(network: nn.Module, inputs: Inputs) -> None:
    """The same in the precision of the network's parameters; only the sums are in float64."""
    if not norms(network):
        return
    tensors = _cast(network, (inputs,) if isinstance(inputs, Tensor) else tuple(inputs))
    with _evaluating(network):
        if len(tensors[0]) <= CHUNK:
            _in_one_pass(network, tensors)
        else:
            _layer_by_layer(network, tensors)


def norms(network: nn.Module) -> dict[str, nn.Module]:
    """The normalisations that keep running statistics, by name."""
    found = {name: layer for name, layer in network.named_modules() if isinstance(layer, NORMALISATIONS)}
    return {name: layer for name, layer in found.items() if layer.running_mean is not None}


def flat_channels(network: nn.Module) -> dict[str, int]:
    """How many channels of each normalisation hardly vary; their scale, γ/√ε, multiplies any drift."""
    counts = {
        name: int((_variance_of(layer) < FLAT * float(layer.eps)).sum())  # type: ignore[arg-type]
        for name, layer in norms(network).items()
    }
    return {name: count for name, count in counts.items() if count}


@dataclass
class _Population:
    """Mean and biased variance, merged chunk by chunk (Chan, Golub & LeVeque 1979)."""

    count: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def add(self, layer: nn.Module, values: Tensor) -> None:
        """Take in what the layer saw."""
        axes = _axes(layer, values)
        size = values.numel() // (1 if len(axes) == values.ndim else values.shape[1])
        var, centre = _moments(values, axes)
        shift = centre - self.mean.to(centre.device)
        total = self.count + size
        self.mean = self.mean.to(centre.device) + shift * (size / total)
        self.squares = self.squares.to(centre.device) + var * size + shift**2 * (self.count * size / total)
        self.count = total

    def give(self, layer: nn.Module) -> None:
        """Make them the layer's running statistics."""
        _mean_of(layer).copy_(self.mean)
        _variance_of(layer).copy_(self.squares / self.count)


def _moments(values: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Biased variance and mean in two passes, ten times as fast as torch.var_mean over rows of float64."""
    precise = values.double()
    centre = precise.mean(axes, keepdim=True)
    # A copy is ours to write over; new memory of this size would cost more than the arithmetic.
    apart = precise - centre if precise is values else precise.sub_(centre)
    return apart.square_().mean(axes), centre.reshape(apart.shape[1] if len(axes) < apart.ndim else ())


class _ReachedError(Exception):
    """A forward pass has come as far as was needed."""


def _in_one_pass(network: nn.Module, tensors: tuple[Tensor, ...]) -> None:
    """All rows at once: each layer gets its moments just before it uses them."""
    seen: set[nn.Module] = set()

    def look(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        if layer not in seen:
            seen.add(layer)
            population = _Population()
            population.add(layer, arguments[0])
            population.give(layer)

    with _hooked(norms(network).values(), look):
        network(*tensors)


def _layer_by_layer(network: nn.Module, tensors: tuple[Tensor, ...]) -> None:
    """All rows once per layer, as far as that layer."""
    for target in _in_order(network, tensors):
        population = _Population()

        def look(layer: nn.Module, arguments: tuple[Any, ...], sums: _Population = population) -> None:
            sums.add(layer, arguments[0])
            raise _ReachedError

        with _hooked([target], look):
            for chunk in zip(*(torch.split(tensor, CHUNK) for tensor in tensors), strict=True):
                with suppress(_ReachedError):
                    network(*chunk)
        population.give(target)


def _in_order(network: nn.Module, tensors: tuple[Tensor, ...]) -> list[nn.Module]:
    """The normalisations as a forward pass reaches them; one that it never reaches is left alone."""
    order: dict[nn.Module, None] = {}
    with _hooked(norms(network).values(), lambda layer, _: order.setdefault(layer)):
        network(*(tensor[:2] for tensor in tensors))
    return list(order)


@contextmanager
def _hooked(layers: Any, look: Callable[[nn.Module, tuple[Any, ...]], None]) -> Iterator[None]:
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """In eval mode; afterwards every module is in its own mode again."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _cast(network: nn.Module, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Floating rows in the precision of the parameters; codes stay integers."""
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    return tuple(tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors)


def _axes(layer: nn.Module, values: Tensor) -> list[int]:
    """What the moments are taken over: all but the channels, or everything."""
    if isinstance(layer, BatchNorm) and layer.moments == "all":
        return list(range(values.ndim))
    return [axis for axis in range(values.ndim) if axis != 1]


def _mean_of(layer: nn.Module) -> Tensor:
    return layer.running_mean  # type: ignore[return-value]


def _variance_of(layer: nn.Module) -> Tensor:
    return layer.running_var  # type: ignore[return-value]
