"""What is done to trained networks before they are folded: the target's unit, or the logits' temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from training import calibration
from training.config import ModelConfig
from training.data import Moments, Splits
from training.ensemble import mean_of
from training.loop.evaluation import predict
from training.model import Exponential, Network, TargetScale
from training.predictor import Predictor, build_predictor, head_of
from training.preparation import Preparation


def finished(
    networks: Sequence[Network], preparation: Preparation, splits: Splits, config: ModelConfig
) -> tuple[Predictor, dict[str, float]]:
    """The model around networks that are trained, and what was found on the way.

    Unit and temperature change each network's head: constants that are left beside its weights would only add
    roundings.
    """
    found: dict[str, float] = {}
    if splits.task == "classification" and config.calibrate:
        found["temperature"] = _calibrate(networks, preparation, splits)
    answers = [_with_last(network, preparation) for network in networks]
    return answers[0].with_network(mean_of([answer.network for answer in answers])).eval(), found


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
def _calibrate(networks: Sequence[Network], preparation: Preparation, splits: Splits) -> float:
    """Divide the heads by the temperature that the validation rows ask for."""
    held = splits.validation
    if not len(held):
        return 1.0
    inputs = preparation.inputs(held)
    logits = np.stack([predict(network.eval(), inputs).numpy() for network in networks])
    found = calibration.temperature(logits, held.y.astype(np.int64), held.weight)
    for network in networks:
        _cool(network, found)
    return found


def _cool(network: Network, temperature: float) -> None:
    head = head_of(network)
    rows = [network.categories.weight] if head is network.linear1 and network.has_categories else []
    for tensor in (head.weight, head.bias, *rows):
        tensor.copy_(tensor.double() / temperature)
