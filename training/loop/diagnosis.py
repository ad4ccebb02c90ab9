"""Where a number stopped being finite: the first layer, found by running the batch again with hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[[], Tensor]
"""One forward pass; its loss."""


def first_not_finite(network: nn.Module, run: Run) -> str:
    """Names what went wrong first: a layer's output, the loss, or a parameter's gradient."""
    found: list[str] = []
    with _watched(network, found):
        loss = run()
    if found:
        return f"the output of {found[0]} is the first that is not finite"
    if not bool(torch.isfinite(loss)):
        return f"every layer's output is finite, the loss is {float(loss.detach())}"
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    # Backwards, the last parameter comes first.
    for name, parameter in reversed(list(network.named_parameters())):
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return f"the gradient of {name} is the first that is not finite"
    return "run again, the same rows give finite numbers"


@contextmanager
def _watched(network: nn.Module, found: list[str]) -> Iterator[None]:
    """Write down the layers whose output is not finite, in the order of the pass."""

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(layer: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                found.append(f"{name or 'the network'} ({type(layer).__name__})")

        return look

    # A module is done after what is in it, so the innermost is named.
    handles = [layer.register_forward_hook(watch(name)) for name, layer in network.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
