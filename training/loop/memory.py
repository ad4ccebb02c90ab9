"""Block: parameters that are treated alike, and their gradients, in one piece of memory.

What is done to every weight, such as a step of AdamW, is then one call for all of them; eight calls for
eight small tensors cost more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

ALIGNED = 64
"""Bytes: every tensor begins where a vector register and a line of the cache begin."""


def _runs(tensors: Sequence[Tensor], places: Sequence[slice]) -> Iterator[slice]:
    """Places, united where one ends in a full vector and the next begins."""
    run: slice | None = None
    for tensor, place in zip(tensors, places, strict=True):
        if tensor.numel() * tensor.element_size() % ALIGNED:
            yield place
            continue
        if run and run.stop != place.start:
            yield run
            run = None
        run = slice(run.start if run else place.start, place.stop)
    if run:
        yield run


def rehouse(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Let parameters live in one flat tensor, which is returned; between them it has zeros."""
    places, first = list(_places(parameters)), parameters[0]
    whole = torch.zeros(places[-1].stop, dtype=first.dtype, device=first.device)
    for parameter, place in zip(parameters, places, strict=True):
        view = whole[place].view(parameter.shape)
        parameter.data = view.copy_(parameter.detach())
    return whole


def _places(tensors: Sequence[Tensor]) -> Iterator[slice]:
    start = 0
    for tensor in tensors:
        yield slice(start, start + tensor.numel())
        step = max(ALIGNED // tensor.element_size(), 1)
        start += -(-tensor.numel() // step) * step


def twins(live: Iterable[nn.Parameter], others: Iterable[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
    """Let the others lie in memory as the live ones do; the pieces of both, flat."""
    pieces: dict[int, tuple[Tensor, Tensor]] = {}
    for one, other in zip(live, others, strict=True):
        storage = one.untyped_storage()
        if storage.data_ptr() not in pieces:
            piece = one.new_empty(0).detach().set_(storage)
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
    """Parameters that are treated alike, and where their gradients are kept.

    Attributes:
        values, gradients: flat.
        everywhere: the places of all of them, as few as give each number what it would get alone: a kernel
            rounds the last few of a tensor, which fill no vector, in another way.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], values: Tensor, gradients: Tensor) -> None:
        self.parameters, self.values, self.gradients = list(parameters), values, gradients
        self._each = list(_places(self.parameters))
        pairs = zip(self.parameters, self._each, strict=True)
        self._views = [gradients[place].view(parameter.shape) for parameter, place in pairs]
        self.everywhere = list(_runs(self.parameters, self._each))
        self._is_written = False

    def forget_gradients(self, written: Collection[nn.Parameter]) -> None:
        """No gradient; for those that will be written over, its place in `gradients`."""
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view if parameter in written else None
        self._is_written = all(parameter in written for parameter in self.parameters)

    def collect(self) -> list[slice]:
        """Take in gradients that are elsewhere; the places in which there is a gradient."""
        if self._is_written:
            return self.everywhere
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
            return self.everywhere
        pairs = zip(self.parameters, self._each, strict=True)
        return [place for parameter, place in pairs if parameter.grad is not None]


def blocks(parts: Sequence[Sequence[nn.Parameter]]) -> tuple[list[Block], Tensor, Tensor]:
    """A block for each part, one behind the other; all values and all gradients, flat."""
    everything = [parameter for part in parts for parameter in part]
    values = rehouse(everything)
    gradients = torch.zeros_like(values)
    starts = [place.start for place in _places(everything)] + [len(values)]
    found, first = [], 0
    for part in parts:
        place = slice(starts[first], starts[first + len(part)])
        found.append(Block(part, values[place], gradients[place]))
        first += len(part)
    return found, values, gradients
