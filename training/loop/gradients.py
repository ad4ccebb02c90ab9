"""Gradients: loss and gradients of one batch, by a `Stack` where the network has one, else by autograd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.loop.devices import lower_precision
from training.loop.losses import Loss
from training.loop.mixing import Mixing
from training.loop.optimisers import Optimiser
from training.loop.rows import Rows
from training.loop.stack import Stack
from training.model import Network


class Gradients:
    """What moves a network, left in its parameters' `grad`."""

    def __init__(self, network: nn.Module, loss: Loss, config: LoopConfig, optimiser: Optimiser) -> None:
        self._network, self._loss, self._optimiser = network, loss, optimiser
        self._precision = config.precision
        self._mixing = Mixing(network, config) if config.mixup else None
        self._stack: Stack | None = None
        self._has_front = False

    def look(self, *, whole_batches: bool) -> None:
        """See before an epoch whether the passes can be made without autograd: not where somebody listens
        to them, nor where norms use running statistics."""
        listened = any(
            m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in self._network.modules()
        )
        self._stack, self._has_front = None, False
        if not whole_batches or listened:
            return
        for layers, has_front in self._parts():
            self._optimiser.forget_gradients({p for layer in layers for p in layer.parameters()})
            self._stack, self._has_front = Stack.of(layers, self._precision), has_front
            if self._stack is not None:
                return

    def _parts(self) -> Iterator[tuple[list[nn.Module], bool]]:
        """What a stack might pass, the longest first, and whether autograd follows a front before it."""
        network = self._network
        if type(network) is nn.Sequential:
            yield [layer for layer in network._modules.values() if layer], False
        if type(network) is Network:
            if self._mixing is None and not network.has_categories:
                yield list(network.layers()), False
            yield list(network.named_rest().values()), True

    @property
    def needs_autograd(self) -> bool:
        """Whether a part of a pass has to be followed by autograd."""
        return self._stack is None or self._has_front

    def of(self, rows: Rows, step: int) -> float:
        """Make them; the loss."""
        if self._stack is None:
            self._optimiser.forget_gradients()
            with torch.enable_grad():
                loss = self.loss(rows, step)
                loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())
        if self._has_front:
            return self._behind_front(self._stack, rows, step)
        return self._by_stack(self._stack, rows.inputs[0], rows, step)[0]

    def _behind_front(self, stack: Stack, rows: Rows, step: int) -> float:
        self._optimiser.forget_gradients(stack.parameters)
        with torch.enable_grad():
            front = self._front(rows, step)
        loss, gradient = self._by_stack(stack, front.detach(), rows, step)
        front.backward(gradient)  # type: ignore[no-untyped-call]
        return loss

    def _by_stack(self, stack: Stack, front: Tensor, rows: Rows, step: int) -> tuple[float, Tensor]:
        outputs = stack.forward(front)
        if self._mixing:
            loss, gradient = self._mixing.with_gradient(outputs, rows, step, self._loss)
        else:
            loss, gradient = self._loss.with_gradient(outputs, rows.y, rows.weight)
        gradient = stack.backward(gradient, further=self._has_front)
        return loss, gradient

    def least(self, rows: Rows, step: int) -> float:
        """The loss that is there whatever the network answers, as rows are mixed."""
        return self._mixing.least(rows, step, self._loss) if self._mixing and len(rows) > 1 else 0.0

    def loss(self, rows: Rows, step: int) -> Tensor:
        """A forward pass that autograd follows."""
        lower = self._precision == "bf16"
        with lower_precision(self._network, rows.y.device) if lower else nullcontext():
            if self._mixing and len(rows) > 1:
                assert isinstance(self._network, Network)  # noqa: S101 - mixing refuses others
                outputs = self._network.rest(self._mixing.front(rows, step))
            else:
                outputs = self._network(*rows.inputs)
        if self._mixing and len(rows) > 1:
            return self._mixing.loss(outputs.float(), rows, step, self._loss)
        return self._loss(outputs.float(), rows.y, rows.weight)

    def _front(self, rows: Rows, step: int) -> Tensor:
        if self._mixing:
            return self._mixing.front(rows, step)
        assert isinstance(self._network, Network)  # noqa: S101 - others have no front
        return self._network.front(*rows.inputs)
