"""Private copies: everything the folder traces, runs or widens is a copy, the user's module is only read."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

Inputs = tuple[Any, ...]


def twin(module: nn.Module) -> nn.Module:
    """A deep copy. Tensors that are results of a computation (an old-style `weight_norm` keeps one) are
    copied detached, since torch refuses to deep-copy them."""
    memo: dict[int, Any] = {}
    for child in module.modules():
        for value in vars(child).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)


def doubled(values: Any) -> Any:
    """Inputs with every floating tensor in float64."""
    return pytree.tree_map_only(
        torch.Tensor, lambda t: t.detach().double() if t.is_floating_point() else t.detach().clone(), values
    )


def run(module: nn.Module, inputs: Inputs) -> Any:
    """One call without gradients, with the same random numbers each time, on a copy of the inputs."""
    fresh = pytree.tree_map_only(torch.Tensor, lambda t: t.detach().clone(), inputs)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return module(*fresh)


def resized(inputs: Inputs, size: int) -> Inputs:
    """The same inputs with another batch size: every tensor as long as the first one is cut or repeated."""
    length = batch_size(inputs)
    if length is None:
        return inputs

    def resize(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or tensor.shape[0] != length or length == 0:
            return tensor
        return tensor.detach()[torch.arange(size, device=tensor.device) % length]

    return pytree.tree_map_only(torch.Tensor, resize, inputs)  # type: ignore[no-any-return]


def batch_size(inputs: Inputs) -> int | None:
    """The length of the first tensor, or None when there is none with an axis."""
    for leaf in pytree.tree_leaves(inputs):
        if isinstance(leaf, torch.Tensor) and leaf.dim():
            return int(leaf.shape[0])
    return None
