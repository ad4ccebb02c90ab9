"""Optimiser: AdamW for all parameters, Muon for hidden weights and AdamW for the rest, or plain descent.

Muon is by Keller Jordan et al. (2024, "Muon: An optimizer for hidden layers in neural networks"): the
momentum of a weight matrix is replaced by the nearest orthogonal matrix, found by five Newton–Schulz steps.
The step is scaled as in Liu et al. (2025, "Muon is Scalable for LLM Training"), by 0.2·√max(rows, columns),
so that it is as long as AdamW's and the same learning rate suits both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from training.config import LoopConfig, OptimizerName
from training.loop.groups import Group, groups
from training.loop.memory import Block, blocks

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Rule(Protocol):
    """How the parameters of one group move."""

    def step(self, rate: float, momentum: float | None) -> None:
        """Move them by their gradients."""
        ...

    def tensors(self) -> list[Tensor]:
        """The state of the rule, which lives as long as it does."""
        ...


class Optimiser:
    """A rule for each group of parameters, with its own scale of the rate.

    Attributes:
        values: the parameters, flat; one tensor for each precision.
    """

    def __init__(self, network: nn.Module, config: LoopConfig) -> None:
        self._rate = config.learning_rate
        self._rules: list[tuple[float, Rule]] = []
        self._blocks: list[Block] = []
        self.values: list[Tensor] = []
        self._gradients: list[Tensor] = []
        for treated in _by_precision(network, config.optimizer).values():
            made, values, gradients = blocks(list(treated.values()))
            self._blocks += made
            self.values.append(values)
            self._gradients.append(gradients)
            for (rate, decay, kind), block in zip(treated, made, strict=True):
                self._rules.append((rate, kind(block, config.weight_decay * decay)))

    def step(self, factor: float, momentum: float | None = None) -> None:
        """Move every parameter by its gradient, at a share of the highest rate."""
        for scale, rule in self._rules:
            rule.step(self._rate * factor * scale, momentum)

    def forget_gradients(self, written: Collection[nn.Parameter] = ()) -> None:
        """Let the next backward pass make new ones: adding to old ones would read and write them again.

        Args:
            written: parameters whose gradients will be written over where they are.
        """
        for block in self._blocks:
            block.forget_gradients(written)

    def gradients(self) -> list[Tensor]:
        """Those that the last backward pass made, flat."""
        for block in self._blocks:
            block.collect()
        return self._gradients

    def tensors(self) -> list[Tensor]:
        """The parameters, and what the rules remember."""
        remembered = [tensor for _, rule in self._rules for tensor in rule.tensors()]
        return [*self.values, *remembered]


Kind = Callable[[Block, float], Rule]
Treated = dict[tuple[float, float, Kind], list[nn.Parameter]]


def _by_precision(network: nn.Module, name: OptimizerName) -> dict[torch.dtype, Treated]:
    """The parameters; those of one precision by rate, decay and rule."""
    found: dict[torch.dtype, Treated] = {}
    for group in groups(network):
        key = (group.rate_scale, group.decay_scale, _kind(name, group))
        for parameter in group.parameters:
            found.setdefault(parameter.dtype, {}).setdefault(key, []).append(parameter)
    return found


def _kind(name: OptimizerName, group: Group) -> Kind:
    if name == "sgd":
        return Descent
    return Muon if group.orthogonal and name == "muon" else AdamW


def length(gradients: Sequence[Tensor]) -> float:
    """The Euclidean norm of all of them together; each is flat."""
    if gradients and gradients[0].device.type == "cpu":
        # A dot product reads its values once, at the speed of memory.
        return math.sqrt(sum(float(torch.dot(values, values)) for values in gradients))
    return float(torch.nn.utils.get_total_norm(list(gradients)))


class AdamW:
    """Adam with decoupled decay (Loshchilov & Hutter 2019), by torch's own fused kernel.

    To the bit what torch.optim.AdamW(fused=True) computes; that class spends as long on its checks, at each
    step of a small network, as on the arithmetic.
    """

    EPSILON = 1e-8
    BETAS = (0.9, 0.999)

    def __init__(self, block: Block, decay: float) -> None:
        self._block, self._decay = block, decay
        self._means, self._squares = (torch.zeros_like(block.values) for _ in range(2))
        self._steps = torch.zeros((), device=block.values.device)
        self._whole = self._parts(block.everywhere)

    def step(self, rate: float, momentum: float | None = None) -> None:
        """Move the parameters that have a gradient."""
        places = self._block.collect()
        if not places:
            return
        lists = self._whole if places is self._block.everywhere else self._parts(places)
        self._steps.add_(1.0)
        torch._fused_adamw_(
            *(*lists, [], [self._steps] * len(places)),
            lr=rate,
            beta1=self.BETAS[0] if momentum is None else momentum,
            beta2=self.BETAS[1],
            weight_decay=self._decay,
            eps=self.EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _parts(self, places: list[slice]) -> list[list[Tensor]]:
        every = (self._block.values, self._block.gradients, self._means, self._squares)
        return [[tensor[place] for place in places] for tensor in every]

    def tensors(self) -> list[Tensor]:
        """Both moments and the count of steps."""
        return [self._means, self._squares, self._steps]


class Muon:
    """Orthogonalised momentum for matrices, with Nesterov's look ahead and decoupled decay.

    torch.optim.Muon computes in bfloat16, which many CPUs emulate; this one keeps float32.
    """

    MOMENTUM = 0.95

    def __init__(self, block: Block, decay: float) -> None:
        self._parameters, self._decay = block.parameters, decay
        self._momenta = [torch.zeros_like(parameter) for parameter in block.parameters]

    @torch.no_grad()
    def step(self, rate: float, momentum: float | None = None) -> None:  # noqa: ARG002 - AdamW's
        """Move every matrix that has a gradient."""
        for parameter, mean in zip(self._parameters, self._momenta, strict=True):
            if parameter.grad is not None:
                mean.lerp_(parameter.grad, 1 - self.MOMENTUM)
                direction = orthogonalised(parameter.grad.lerp(mean, self.MOMENTUM))
                parameter.mul_(1 - rate * self._decay)
                parameter.add_(direction, alpha=-rate * 0.2 * max(parameter.shape) ** 0.5)

    def tensors(self) -> list[Tensor]:
        """The momenta."""
        return self._momenta


class Descent:
    """Stochastic gradient descent without momentum, as in the experiments of Ioffe & Szegedy (2015)."""

    def __init__(self, block: Block, decay: float) -> None:
        self._block, self._decay = block, decay

    def step(self, rate: float, momentum: float | None = None) -> None:  # noqa: ARG002 - AdamW's
        """Move every parameter that has a gradient; decay is decoupled from it."""
        for place in self._block.collect():
            values = self._block.values[place]
            if self._decay:
                values.mul_(1 - rate * self._decay)
            values.add_(self._block.gradients[place], alpha=-rate)

    def tensors(self) -> list[Tensor]:
        """Nothing is remembered."""
        return []


def orthogonalised(matrix: Tensor) -> Tensor:
    """U·Vᵀ of matrix = U·S·Vᵀ, nearly: singular values come out between about 0.7 and 1.2.

    Shape: (rows, columns) → (rows, columns).
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
