"""What is done to trained networks before they are folded: the target's unit, or the logits' temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training import calibration
from training.config import ModelConfig
from training.data import Moments
from training.loop.evaluation import predict
from training.members import Member
from training.model import Exponential, Network, TargetScale
from training.parts import differ
from training.predictor import Predictor, build_predictor, head_of, mean_of
from training.preparation import Preparation


def finished(members: Sequence[Member], config: ModelConfig) -> tuple[Predictor, dict[str, float]]:
    """The model around networks that are trained, and what was found on the way.

    Unit and temperature change each network's head: constants that are left beside its weights would only add
    roundings.
    """
    found: dict[str, float] = {}
    if members[0].splits.task == "classification" and config.calibrate:
        found["temperature"] = _calibrate(members)
    return mean_of([_with_last(member.network, member.preparation) for member in members]), found


def _with_last(network: Network, preparation: Preparation) -> Predictor:
    """A network as a whole model: probabilities, or the target in its own unit."""
    last: list[tuple[str, nn.Module]] = [("softmax", nn.Softmax(dim=-1))]
    if preparation.target is not None:
        last = [("target_scale", _target_scale(network, preparation.target))]
        last += [("exp", Exponential())] if preparation.logarithm else []
    return build_predictor(network, preparation.encoding, preparation.shapes, last)


@torch.no_grad()
def _target_scale(network: Network, target: Moments) -> TargetScale:
    """Back to the target's unit, such that folding it loses nothing: its scale is a power of two, and the
    head's bias moves into its mean, so that no two constants are left to add and round."""
    head = head_of(network)
    mean = float(target.mean) + float(target.deviation) * float(head.bias.double())
    head.bias.zero_()
    return TargetScale(mean, float(target.deviation))


@torch.no_grad()
def _calibrate(members: Sequence[Member]) -> float:
    """Divide the heads by the temperature that the validation rows ask for.

    Members that have validation rows of their own are asked for these, as the other members know them.
    """
    held = [member.splits.validation for member in members]
    if not len(held[0]):
        return 1.0
    logits = [_logits(member) for member in members]
    if differ([member.splits for member in members]):
        weight = None if held[0].weight is None else np.concatenate([split.weight for split in held])
        found = calibration.temperature(
            np.concatenate(logits), np.concatenate([split.y for split in held]), weight
        )
    else:
        found = calibration.temperature(np.stack(logits), held[0].y, held[0].weight)
    for member in members:
        _cool(member.network, found)
    return found


def _logits(member: Member) -> NDArray[np.float32]:
    """For its validation rows. Shape: (rows, classes)."""
    logits: NDArray[np.float32] = predict(
        member.network.eval(), member.preparation.inputs(member.splits.validation)
    ).numpy()
    return logits


def _cool(network: Network, temperature: float) -> None:
    head = head_of(network)
    rows = [network.categories.weight] if head is network.linear1 and network.has_categories else []
    for tensor in (head.weight, head.bias, *rows):
        tensor.copy_(tensor.double() / temperature)
