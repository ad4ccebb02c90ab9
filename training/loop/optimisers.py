"""Optimiser: AdamW for all parameters, or Muon for hidden weights and AdamW for the rest.

Muon is by Keller Jordan et al. (2024, "Muon: An optimizer for hidden layers in neural networks"): the
momentum of a weight matrix is replaced by the nearest orthogonal matrix, found by five Newton–Schulz steps.
The step is scaled as in Liu et al. (2025, "Muon is Scalable for LLM Training"), by 0.2·√max(rows, columns),
so that it is as long as AdamW's and the same learning rate suits both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.loop.groups import Group, groups

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Optimiser:
    """One or two optimisers as one, whose groups keep their own scale of the rate."""

    def __init__(self, network: nn.Module, config: LoopConfig) -> None:
        self._rate, self._decay = config.learning_rate, config.weight_decay
        everything = groups(network)
        self.parameters = [p for group in everything for p in group.parameters]
        hidden = [group for group in everything if group.orthogonal and config.optimizer == "muon"]
        rest = [group for group in everything if group not in hidden]
        self._parts: list[torch.optim.Optimizer] = []
        if hidden:
            self._parts.append(Muon([self._settings(group) for group in hidden]))
        if rest:
            settings = [self._settings(group) for group in rest]
            self._parts.append(torch.optim.AdamW(settings, lr=self._rate, fused=True))
        self._make_state()

    def _settings(self, group: Group) -> dict[str, Any]:
        return {
            "params": list(group.parameters),
            "weight_decay": self._decay * group.decay_scale,
            "lr": self._rate * group.rate_scale,
            "rate_scale": group.rate_scale,
        }

    def _make_state(self) -> None:
        """Let the optimisers make their tensors, which they do in their first step: by one that moves
        nothing. So the tensors are there from the start, and stay the same ones."""
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.step(0.0)
        self.forget_gradients()
        for tensor in self.tensors():
            tensor.zero_()

    def step(self, factor: float, momentum: float | None = None) -> None:
        """Move every parameter by its gradient, at a share of the highest rate."""
        rate = self._rate * factor
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * group["rate_scale"]
                if momentum is not None and "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
            part.step()

    def forget_gradients(self) -> None:
        """Let the next backward pass make new ones: adding to old ones would read and write them again."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """Those that the last backward pass made."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def tensors(self) -> list[Tensor]:
        """The optimisers' own state: moments and counts of steps."""
        states = [
            part.state[p] for part in self._parts for group in part.param_groups for p in group["params"]
        ]
        return [state[name] for state in states for name in sorted(state)]


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for matrices, with Nesterov's look ahead and decoupled decay.

    torch.optim.Muon computes in bfloat16, which most CPUs emulate; this one keeps float32.
    """

    def __init__(self, parameters: Any, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": 1e-3, "weight_decay": 0.0, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # noqa: ARG002 - as torch calls it
        """Move every matrix by its gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        direction = orthogonalised(gradient.lerp(state["momentum"], group["momentum"]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)


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
