"""What is done to a trained network before it is folded: its target's unit, or its logits' temperature."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from training import calibration
from training.config import ModelConfig
from training.data import Moments, Splits
from training.loop.evaluation import predict
from training.model import Exponential, Network, TargetScale
from training.predictor import Predictor, build_predictor, head_of
from training.preparation import Preparation


def finished(
    network: Network, preparation: Preparation, splits: Splits, config: ModelConfig
) -> tuple[Predictor, dict[str, float]]:
    """The model around a network that is trained, and what was found on the way.

    Both change the network's head: constants that are left beside its weights would only add roundings.
    """
    found: dict[str, float] = {}
    if preparation.target is not None:
        last: list[tuple[str, nn.Module]] = [("target_scale", _target_scale(network, preparation.target))]
        last += [("exp", Exponential())] if preparation.logarithm else []
    else:
        if config.calibrate:
            found["temperature"] = _calibrate(network, preparation, splits)
        last = [("softmax", nn.Softmax(dim=-1))]
    return build_predictor(network, preparation.encoding, preparation.shapes, last), found


@torch.no_grad()
def _target_scale(network: Network, target: Moments) -> TargetScale:
    """Back to the target's unit, such that folding it loses nothing: its scale is a power of two, and the
    head's bias moves into its mean, so that no two constants are left to add and round."""
    head = head_of(network)
    mean = float(target.mean) + float(target.deviation) * float(head.bias.double())
    head.bias.zero_()
    return TargetScale(mean, float(target.deviation))


@torch.no_grad()
def _calibrate(network: Network, preparation: Preparation, splits: Splits) -> float:
    """Divide the head by the temperature that the validation rows ask for."""
    held = splits.validation
    if not len(held):
        return 1.0
    logits = predict(network.eval(), preparation.inputs(held)).numpy()
    found = calibration.temperature(logits, held.y.astype(np.int64), held.weight)
    head = head_of(network)
    rows = [network.categories.weight] if head is network.linear1 and network.has_categories else []
    for tensor in (head.weight, head.bias, *rows):
        tensor.copy_(tensor.double() / found)
    return found
