"""Block: parameters that are treated alike, and their gradients, each in one piece of memory.

What is done to every weight, such as a step of AdamW, is then one call for all of them; eight calls for
eight small tensors cost more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

ALIGNED = 64
"""Bytes: every tensor begins where a vector register and a line of the cache begin."""


def united(tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A copy of all of them in one flat tensor, zeros between them; and the views that stand for each."""
    places = list(_places(tensors))
    first = tensors[0]
    whole = torch.zeros(places[-1].stop, dtype=first.dtype, device=first.device)
    views = [whole[place].view(tensor.shape) for place, tensor in zip(places, tensors, strict=True)]
    torch._foreach_copy_(views, [tensor.detach() for tensor in tensors])
    return whole, views


def _places(tensors: Sequence[Tensor]) -> Iterator[slice]:
    start = 0
    for tensor in tensors:
        yield slice(start, start + tensor.numel())
        step = max(ALIGNED // tensor.element_size(), 1)
        start += -(-tensor.numel() // step) * step


def rehouse(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Let parameters live in one flat tensor, which is returned."""
    whole, views = united(parameters)
    for parameter, view in zip(parameters, views, strict=True):
        parameter.data = view
    return whole


def twins(live: Iterable[nn.Parameter], others: Iterable[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
    """Let the others lie in memory as the live ones do; the pieces of both, flat."""
    pieces: dict[int, tuple[Tensor, Tensor]] = {}
    for one, other in zip(live, others, strict=True):
        storage = one.untyped_storage()
        if storage.data_ptr() not in pieces:
            piece = one.new_empty(0).detach().set_(storage)  # type: ignore[call-overload]
            pieces[storage.data_ptr()] = piece, piece.clone()
        _, twin = pieces[storage.data_ptr()]
        other.data = twin.as_strided(one.shape, one.stride(), one.storage_offset())
    return [one for one, _ in pieces.values()], [other for _, other in pieces.values()]


def separate(network: nn.Module) -> None:
    """Give every parameter memory of its own again, and no gradient."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
        parameter.grad = None


class Block:
    """Parameters, and where their gradients are kept.

    Attributes:
        parameters: they live in `values` from now on.
        values, gradients: flat.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.values = rehouse(self.parameters)
        self.gradients, self._views = united([torch.zeros_like(p) for p in self.parameters])
        self._all = [slice(0, len(self.values))]
        self._each = list(_places(self.parameters))

    def forget_gradients(self, written: Collection[nn.Parameter]) -> None:
        """No gradient; for those that will be written over, its place in `gradients`."""
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view if parameter in written else None

    def collect(self) -> list[slice]:
        """Take in gradients that are elsewhere; the places in which there is a gradient."""
        missing = False
        for parameter, view in zip(self.parameters, self._views, strict=True):
            gradient = parameter.grad
            if gradient is None:
                view.zero_()
                missing = True
            elif gradient is not view:
                view.copy_(gradient)
                parameter.grad = view
        if not missing:
            return self._all
        pairs = zip(self.parameters, self._each, strict=True)
        return [place for parameter, place in pairs if parameter.grad is not None]
