"""Loss: what is minimised, and the weight of each row in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from training.config import LoopConfig, RegressionLoss, Task


@dataclass(frozen=True)
class Loss:
    """The mean over rows of cross-entropy, squared error, or Huber's loss.

    Weights are used as they are, and divided by nothing: with weights of mean 1 over all rows, the mean of
    a random batch is an unbiased estimate of the weighted mean over the table.

    Attributes:
        smoothing: the share of the probability that is spread over all classes (label smoothing).
        regression: "huber" is squared within one standard deviation of the target, linear beyond.
    """

    task: Task
    smoothing: float = 0.0
    regression: RegressionLoss = "mse"

    @cached_property
    def _hit(self) -> Tensor:
        """What the row's own class adds to the gradient. Shape: (1, 1)."""
        return torch.full((1, 1), self.smoothing - 1)

    @classmethod
    def of(cls, task: Task, config: LoopConfig) -> Loss:
        """What a run minimises."""
        return cls(task, config.label_smoothing, config.loss)

    def __call__(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Shape: outputs (rows, classes) and y (rows,), or both (rows, outputs); weight (rows,) → ()."""
        if weight is None:
            return self._loss(outputs, y, "mean")
        rows = self._loss(outputs, y, "none")
        return (rows * (weight if rows.ndim == 1 else weight[:, None])).mean()

    def with_gradient(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> tuple[float, Tensor]:
        """The loss, and its gradient by the outputs; shapes as above. To be used where autograd is off."""
        if self.task == "classification":
            return self._cross_entropy(outputs, y, weight)
        if weight is None and self.regression == "mse":
            difference = outputs - y
            return float((difference * difference).mean()), difference.mul_(2 / difference.numel())
        with torch.inference_mode(mode=False), torch.enable_grad():
            # Copies: what is made where autograd is off must not come into a graph.
            leaf = outputs.clone().requires_grad_()
            loss = self(leaf, y.clone(), None if weight is None else weight.clone())
            (gradient,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), gradient

    def least(self, first: Tensor, second: Tensor, mine: Tensor, other: Tensor) -> float:
        """The mean over rows of the least that an output's loss beside two targets can be, without smoothing.

        Of cross-entropy it is that of m / (m + o), times m + o; of squares m·o / (m + o) times the square of
        the distance d, and of Huber's loss half of that up to d = 1 + s / l, with the smaller and the larger
        of m and o, and s (d − ½ − s / 2l) beyond.

        Args:
            mine, other: the weights m and o of the losses beside the two targets.

        Shape: targets (rows,) or (rows, outputs); weights () or (rows,).
        """
        both = mine + other
        if self.task == "classification":
            entropy = torch.xlogy(both, both) - torch.xlogy(mine, mine) - torch.xlogy(other, other)
            return float((entropy * (first != second)).mean())
        if mine.ndim:
            mine, other, both = mine[:, None], other[:, None], both[:, None]
        distance = (first - second).abs()
        least = distance.square() * (mine * other / both)
        if self.regression == "huber":
            small, large = torch.minimum(mine, other), torch.maximum(mine, other)
            beyond = small * (distance - 0.5 - small / (2 * large))
            least = torch.where(distance <= 1 + small / large, least / 2, beyond)
        return float(least.mean())

    def _cross_entropy(self, outputs: Tensor, y: Tensor, weight: Tensor | None) -> tuple[float, Tensor]:
        """−Σ q log p, with q = 1 − ε at the row's class and ε / classes everywhere; its gradient is p − q.

        Classes are the rows here: torch's softmax of ten columns takes fifteen times as long as of ten rows.
        """
        logs, classes = torch.log_softmax(outputs.t(), 0), y.unsqueeze(0)
        losses = logs.gather(0, classes)
        if self.smoothing:
            losses = torch.lerp(losses, logs.mean(0), self.smoothing)
        gradient = logs.exp_().scatter_add_(0, classes, self._hit.expand(1, len(y)))
        if self.smoothing:
            gradient -= self.smoothing / len(logs)
        if weight is None:
            return -float(losses.mean()), gradient.div_(len(y)).t()
        return -float((losses * weight).mean()), gradient.mul_(weight / len(y)).t()

    def _loss(self, outputs: Tensor, y: Tensor, reduction: str) -> Tensor:
        if self.task == "classification":
            return functional.cross_entropy(outputs, y, label_smoothing=self.smoothing, reduction=reduction)
        if self.regression == "huber":
            return functional.huber_loss(outputs, y, reduction=reduction)
        return functional.mse_loss(outputs, y, reduction=reduction)


def class_weights(y: Tensor) -> Tensor:
    """rows / (classes · rows of the class): every class weighs the same ("balanced").

    A class without rows has weight 1. Shape: (rows,) class indices → (classes,).
    """
    counts = torch.bincount(y).double()
    present = counts > 0
    balanced = len(y) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, balanced, 1.0).float()


def row_weights(y: Tensor, weight: Tensor | None, by_class: Tensor | None) -> Tensor | None:
    """Sample weight times class weight, scaled to mean 1; None where neither is given."""
    if not len(y) or (weight is None and by_class is None):
        return weight
    if by_class is not None:
        # A class that only validation has weighs 1.
        unseen = by_class.new_ones(max(0, int(y.max()) + 1 - len(by_class)))
        of_class = torch.cat([by_class, unseen])[y]
        weight = of_class if weight is None else weight * of_class
    assert weight is not None  # noqa: S101 - one of both was given
    return (weight / weight.double().mean()).float()
