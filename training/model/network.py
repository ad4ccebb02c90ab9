"""Network: numbers and categories meet in the first linear layer, and the multilayer perceptron follows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import ModelConfig
from training.model.layers import ACTIVATIONS, BatchNorm, Categories, Residual, dense


class Network(nn.Module):
    """What is learnt, and what is folded: from encoded numbers and places of categories to its last layer.

    Its children stand in the order in which rows pass them: `before`, `linear1`, `categories` beside it, and
    the rest.

    Shape: (batch, encoded), and (batch, categorical columns) in int64 if there are any → (batch, outputs).
    """

    def __init__(
        self,
        before: Mapping[str, nn.Module],
        linear1: nn.Linear,
        categories: Categories | nn.Embedding | None,
        rest: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        self._before, self._rest = tuple(before), tuple(rest)
        for name, layer in before.items():
            self.add_module(name, layer)
        self.linear1, self.has_categories = linear1, categories is not None
        if categories is not None:
            self.categories = categories
        for name, layer in rest.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Tensor) -> Tensor:
        """All layers."""
        return self.rest(self.front(*inputs))

    def front(self, *inputs: Tensor) -> Tensor:
        """What the first linear layer gives; it is linear in indicators and in what `before` gives."""
        h = inputs[0]
        for name in self._before:
            h = self.get_submodule(name)(h)
        numbers: Tensor = self.linear1(h)
        return numbers + self._of_categories(inputs[1]) if self.has_categories else numbers

    def _of_categories(self, places: Tensor) -> Tensor:
        rows: Tensor = self.categories(places)
        return rows.sum(dim=1) if isinstance(self.categories, nn.Embedding) else rows

    def rest(self, h: Tensor) -> Tensor:
        """All layers behind the first linear one."""
        for name in self._rest:
            h = self.get_submodule(name)(h)
        return h

    def layers(self) -> Iterator[nn.Module]:
        """What numbers pass, in order; what stands for `categories` comes right behind `linear1`."""
        for name in (*self._before, "linear1", "categories", *self._rest):
            if hasattr(self, name):
                yield self.get_submodule(name)

    def named_rest(self) -> dict[str, nn.Module]:
        """The layers behind the first linear one, by name."""
        return {name: self.get_submodule(name) for name in self._rest}


def build_core(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """The layers of a network that takes numbers alone: standardised in, logits or a standardised value out.

    Shape: (batch, inputs) → (batch, outputs).
    """
    return nn.Sequential((_residual if config.residual else _plain)(config, inputs, outputs, generator))


def build_network(
    config: ModelConfig,
    outputs: int,
    generator: torch.Generator,
    *,
    before: Mapping[str, nn.Module] | None = None,
    width: int,
    counts: Sequence[NDArray[np.int64]] = (),
) -> Network:
    """The network of a table, untrained.

    Args:
        before: what encoded numbers pass before the first linear layer; it gives `width` numbers.
        counts: for each column of categories, the training rows that have each of its places.
    """
    places = sum(map(len, counts))
    core = build_core(config, width + places, outputs, generator)
    layers = OrderedDict(core.named_children())
    _, whole = layers.popitem(last=False)
    assert isinstance(whole, nn.Linear)  # noqa: S101 - build_core begins with it
    categories = Categories(whole.weight.detach()[:, width:].T.contiguous(), counts) if places else None
    return Network(before or {}, _numeric_part(whole, width), categories, layers)


def _numeric_part(whole: nn.Linear, width: int) -> nn.Linear:
    part: nn.Linear = nn.utils.skip_init(nn.Linear, width, whole.out_features, bias=whole.bias is not None)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        part.weight.copy_(whole.weight[:, :width])
        if whole.bias is not None:
            part.bias.copy_(whole.bias)
    return part


def _plain(
    config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator
) -> OrderedDict[str, nn.Module]:
    """Linear → BN → activation → dropout, and a head."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = inputs
    for number, hidden in enumerate(config.hidden, 1):
        layers[f"linear{number}"] = dense(width, hidden, config, generator, bias=not config.batch_norm)
        if config.batch_norm:
            layers[f"norm{number}"] = _norm(hidden, config)
        layers[f"{config.activation}{number}"] = ACTIVATIONS[config.activation]()
        if config.dropout:
            layers[f"dropout{number}"] = nn.Dropout(config.dropout)
        width = hidden
    layers["head"] = dense(width, outputs, config, generator, bias=True)
    return layers


def _residual(
    config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator
) -> OrderedDict[str, nn.Module]:
    """A linear layer, steps beside a shortcut of its width, a norm that the head takes."""
    width = config.hidden[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["linear1"] = dense(inputs, width, config, generator, bias=True)
    for number, inner in enumerate(config.hidden, 1):
        layers[f"block{number}"] = Residual(width, inner, config, generator)
    if config.batch_norm:
        layers["norm"] = _norm(width, config)
    layers["head"] = dense(width, outputs, config, generator, bias=True)
    return layers


def _norm(width: int, config: ModelConfig) -> BatchNorm:
    return BatchNorm(width, config.epsilon, config.momentum, config.moments)
