"""Fold a chain of PyTorch layers: every affine one moves into the linear layer before it or after it.

The rule for each affine, in the order of the chain: composed with the affines that follow it at once, then
into the linear layer before (rows of W); when there is none, into the linear layer after (columns of W).
Forward, a shift costs accuracy when it is large beside the spread of what it shifts; above `AMP_LIMIT` one
subtraction stays in front and the rest is folded.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from training.folding.affine import (
    AMP_LIMIT,
    Affine,
    Array,
    amplification,
    into_next,
    into_previous,
    to_float32,
)
from training.folding.report import FoldEntry, FoldError, FoldReport, Reason

_PASS_THROUGH = (nn.Identity, nn.Dropout, nn.AlphaDropout)
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softmax, nn.LeakyReLU, nn.ELU, nn.SiLU)


@runtime_checkable
class HasAffine(Protocol):
    """A layer that is affine in eval mode and says so."""

    def eval_affine(self) -> Affine:
        """y = s·x + t in float64."""


class Shift(nn.Module):
    """x − centre: what stays in front of a linear layer when a shift is too large to fold.

    Shape: (batch, features) → (batch, features).
    """

    centre: Tensor

    def __init__(self, centre: Array) -> None:
        super().__init__()
        self.register_buffer("centre", torch.from_numpy(to_float32(centre)))

    def forward(self, x: Tensor) -> Tensor:
        """Subtract."""
        return x - self.centre


@dataclass(frozen=True)
class FoldedModule:
    """The module without the folded layers, in eval mode, and what happened to each of them."""

    module: nn.Sequential
    report: FoldReport


@dataclass
class _Linear:
    """A linear layer on its way, in float64."""

    name: str
    weight: Array
    bias: Array


@dataclass
class _Affine:
    """One or several affine layers in a row, composed."""

    name: str
    kind: str
    affine: Affine
    centre: Array
    deviation: Array


@dataclass
class _Other:
    """A layer that is neither."""

    name: str
    module: nn.Module


_Step = _Linear | _Affine | _Other


@dataclass
class _Chain:
    """The chain being rewritten, and the entries so far."""

    steps: list[_Step]
    entries: list[FoldEntry] = field(default_factory=list)


def fold_module(module: nn.Sequential, amp_limit: float = AMP_LIMIT) -> FoldedModule:
    """Fold every affine layer of a chain. The module is not modified.

    Raises:
        FoldError: an affine layer has no linear neighbour, is in training mode, or has statistics that are
            not finite; the message names the layer and the reason.
    """
    layers = list(_flatten(module))
    chain = _Chain([step for name, layer in layers if (step := _step(name, layer)) is not None])
    _compose_neighbours(chain)
    for step in [step for step in chain.steps if isinstance(step, _Affine)]:
        _fold_one(chain, step, amp_limit)
    folded = nn.Sequential(OrderedDict((step.name, _module(step)) for step in chain.steps)).eval()
    report = FoldReport(
        entries=tuple(chain.entries),
        parameters_before=_size(module),
        parameters_after=_size(folded),
        layers_before=sum(not isinstance(layer, _PASS_THROUGH) for _, layer in layers),
        layers_after=len(chain.steps),
    )
    return FoldedModule(folded, report)


def _flatten(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    seen: set[int] = set()
    for name, child in module._modules.items():
        if child is None:
            continue
        path = f"{prefix}{name}"
        if id(child) in seen:
            raise FoldError(path, Reason.SHARED_MODULE, "the layer stands twice in the chain")
        seen.add(id(child))
        if isinstance(child, nn.Sequential):
            yield from _flatten(child, f"{path}_")
        else:
            yield path, child


def _step(name: str, layer: nn.Module) -> _Step | None:
    """What a layer is to the fold; None when eval mode passes through it."""
    if layer._forward_hooks or layer._forward_pre_hooks:
        raise FoldError(name, Reason.HOOKS, "a forward hook would no longer see what it saw")
    if isinstance(layer, _PASS_THROUGH):
        return None
    if isinstance(layer, nn.Linear):
        weight = _array(layer.weight)
        bias = _array(layer.bias) if layer.bias is not None else np.zeros(len(weight))
        return _Linear(name, weight, bias)
    if isinstance(layer, nn.BatchNorm1d | HasAffine):
        return _affine_step(name, layer)
    if isinstance(layer, _ELEMENTWISE):
        return _Other(name, copy.deepcopy(layer))
    raise FoldError(name, Reason.UNKNOWN_MODULE, f"{type(layer).__name__} is not a layer of a chain")


def _affine_step(name: str, layer: nn.BatchNorm1d | HasAffine) -> _Affine:
    if isinstance(layer, nn.Module) and layer.training:
        raise FoldError(name, Reason.TRAINING_MODE, "it normalises by the batch; call .eval() first")
    var = getattr(layer, "running_var", None)
    if isinstance(var, Tensor) and bool((var + getattr(layer, "eps", 0.0) <= 0).any()):
        raise FoldError(name, Reason.NEGATIVE_VARIANCE, "the square root of var + ε does not exist")
    with np.errstate(invalid="ignore", over="ignore"):
        affine = _torch_batch_norm(name, layer) if isinstance(layer, nn.BatchNorm1d) else layer.eval_affine()
    if not affine.is_finite:
        raise FoldError(name, Reason.NON_FINITE, "its statistics give infinite or undefined numbers")
    centre, deviation = _input_moments(layer, affine)
    return _Affine(name, type(layer).__name__, affine, centre, deviation)


def _torch_batch_norm(name: str, layer: nn.BatchNorm1d) -> Affine:
    if layer.running_mean is None or layer.running_var is None:
        raise FoldError(name, Reason.NO_RUNNING_STATISTICS, "track_running_stats is off")
    gamma = _array(layer.weight) if layer.weight is not None else np.ones(layer.num_features)
    beta = _array(layer.bias) if layer.bias is not None else np.zeros(layer.num_features)
    return Affine.batch_norm(gamma, beta, _array(layer.running_mean), _array(layer.running_var), layer.eps)


def _input_moments(layer: object, affine: Affine) -> tuple[Array, Array]:
    """What a normalisation says of its own input: mean and standard deviation of each channel."""
    running = (getattr(layer, "running_mean", None), getattr(layer, "running_var", None))
    if isinstance(running[0], Tensor) and isinstance(running[1], Tensor):
        mean, deviation = _array(running[0]), np.sqrt(_array(running[1]))
    else:
        scale = np.where(affine.scale == 0, 1.0, affine.scale)
        mean, deviation = -affine.shift / scale, 1.0 / np.abs(scale)
    ones = np.ones(affine.channels)
    return mean * ones, deviation * ones


def _compose_neighbours(chain: _Chain) -> None:
    """Affines that follow one another become one; only the last keeps the entry of its own."""
    composed: list[_Step] = []
    for step in chain.steps:
        before = composed[-1] if composed else None
        if isinstance(step, _Affine) and isinstance(before, _Affine):
            name, kind = f"{before.name}+{step.name}", f"{before.kind}+{step.kind}"
            composed[-1] = replace(before, name=name, kind=kind, affine=before.affine.then(step.affine))
        else:
            composed.append(step)
    chain.steps[:] = composed


def _fold_one(chain: _Chain, step: _Affine, amp_limit: float) -> None:
    index = chain.steps.index(step)
    before = chain.steps[index - 1] if index else None
    after = chain.steps[index + 1] if index + 1 < len(chain.steps) else None
    if isinstance(before, _Linear):
        _check_channels(step, before.name, len(before.bias))
        before.weight, before.bias = into_previous(before.weight, before.bias, step.affine)
        del chain.steps[index]
        _record(chain, step, before.name, "previous")
    elif isinstance(after, _Linear):
        _check_channels(step, after.name, after.weight.shape[1])
        _fold_forward(chain, step, after, index, amp_limit)
    else:
        raise FoldError(step.name, Reason.NO_LINEAR_NEIGHBOUR, "no linear layer stands before or after it")


def _fold_forward(chain: _Chain, step: _Affine, after: _Linear, index: int, amp_limit: float) -> None:
    weight, bias = into_next(after.weight, after.bias, step.affine)
    amp = amplification(weight, bias, step.centre, step.deviation)
    if amp <= amp_limit:
        del chain.steps[index]
        _record(chain, step, after.name, "next", amp)
    else:
        shift = Shift(step.centre)
        rest = step.affine.centred(_array(shift.centre))
        weight, bias = into_next(after.weight, after.bias, rest)
        chain.steps[index] = _Other(f"{step.name}_shift", shift)
        _record(chain, step, after.name, "split", amp, "one subtraction stays in front")
    after.weight, after.bias = weight, bias


def _record(
    chain: _Chain, step: _Affine, into: str, direction: str, amp: float | None = None, detail: str = ""
) -> None:
    entry = FoldEntry(step.name, step.kind, step.affine.channels, into, direction, amp, None, detail)
    chain.entries.append(entry)


def _check_channels(step: _Affine, linear: str, channels: int) -> None:
    if step.affine.channels != channels:
        detail = f"it has {step.affine.channels} channels, {linear} has {channels} there"
        raise FoldError(step.name, Reason.CHANNELS_DIFFER, detail)


def _module(step: _Step) -> nn.Module:
    if isinstance(step, _Other):
        return step.module
    assert isinstance(step, _Linear)  # noqa: S101 - every affine is folded or has raised
    outputs, inputs = step.weight.shape
    linear = nn.Linear(inputs, outputs)
    try:
        weight, bias = to_float32(step.weight), to_float32(step.bias)
    except OverflowError as error:
        raise FoldError(step.name, Reason.OUT_OF_RANGE, str(error)) from error
    linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return linear


def _size(module: nn.Module) -> int:
    return sum(tensor.numel() for tensor in module.state_dict().values())


def _array(tensor: Tensor) -> Array:
    return np.atleast_1d(tensor.detach().double().numpy())
