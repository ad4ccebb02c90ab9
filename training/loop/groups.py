"""Which parameters decay, and at which rate each learns.

A module may say so for itself and what is in it, by two attributes; the innermost that has one decides:

    rate_scale   times the learning rate; 5.0 suits a linear layer per feature
    decay_scale  times the weight decay; 0.0 for no decay
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from training.statistics import NORMALISATIONS


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that are treated alike.

    Attributes:
        orthogonal: whether Muon may take them: weights of hidden linear layers.
    """

    parameters: tuple[nn.Parameter, ...]
    names: tuple[str, ...]
    rate_scale: float
    decay_scale: float
    orthogonal: bool


def groups(network: nn.Module) -> tuple[Group, ...]:
    """The trainable parameters by treatment: γ, β, biases and embeddings do not decay."""
    head = next((layer for layer in reversed(list(network.modules())) if isinstance(layer, nn.Linear)), None)
    found: dict[tuple[float, float, bool], list[tuple[str, nn.Parameter]]] = {}
    for owner, (rate, decay), name, parameter in _owned(network, "", (1.0, None), set()):
        hidden = isinstance(owner, nn.Linear) and owner is not head and parameter.ndim == 2
        # What is one number per unit has no direction to shrink in, whatever its module says.
        scale = decay if decay is not None and parameter.ndim > 1 else _default_decay(owner, parameter)
        found.setdefault((rate, scale, hidden), []).append((name, parameter))
    return tuple(
        Group(tuple(p for _, p in members), tuple(name for name, _ in members), *treatment)
        for treatment, members in found.items()
    )


_Scales = tuple[float, float | None]


def _owned(
    module: nn.Module, prefix: str, scales: _Scales, seen: set[int]
) -> Iterator[tuple[nn.Module, _Scales, str, nn.Parameter]]:
    """Every trainable parameter once, with its module and the scales that hold for it."""
    decay = getattr(module, "decay_scale", scales[1])
    scales = (float(getattr(module, "rate_scale", scales[0])), None if decay is None else float(decay))
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.requires_grad and id(parameter) not in seen:
            seen.add(id(parameter))
            yield module, scales, prefix + name, parameter
    for name, child in module.named_children():
        yield from _owned(child, f"{prefix}{name}.", scales, seen)


def _default_decay(owner: nn.Module, parameter: nn.Parameter) -> float:
    flat = parameter.ndim < 2
    return 0.0 if flat or isinstance(owner, (nn.Embedding, nn.EmbeddingBag, *NORMALISATIONS)) else 1.0
