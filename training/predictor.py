"""Predictor: the whole unfolded model in eval mode, from raw numbers and places of categories to its answer.

    numbers → fill → encode → network: before → linear1 (+ categories) → … → head → softmax or target_scale

What is left of the network has no parameters, or parameters that no training changes; the network is what is
folded. Its layers are plain ones: whatever trained in a form of its own is written out.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.config import Task
from training.encoding import Encoding, Places, served
from training.ensemble import Encoders, Ensemble, members
from training.model import Categories, Network, Standardiser


class Shapes(NamedTuple):
    """How many numbers and categories a row has, and whether a number may be missing."""

    numeric: int
    categorical: int
    missing: bool


class Predictor(nn.Module):
    """Raw rows in, probabilities or values out.

    Shape: (batch, numeric) with NaN where missing and (batch, categorical) places in int64, or one of both →
    (batch, classes) or (batch, 1).
    """

    def __init__(self, encoder: nn.Module | None, network: nn.Module, shapes: Shapes) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.shapes = shapes

    def forward(self, *inputs: Tensor) -> Tensor:
        """Encode what is numeric, then the network."""
        return self.network(*self.encoded(*inputs))  # type: ignore[no-any-return]

    def encoded(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the network takes."""
        if not self.shapes.numeric:
            dtype = next(self.network.parameters()).dtype
            return no_numbers(inputs[0]).to(dtype), inputs[0]
        if self.encoder is None:
            return inputs
        numbers = self.encoder(inputs[0])
        return (*(numbers if isinstance(numbers, tuple) else (numbers,)), *inputs[1:])

    def examples(self) -> tuple[Tensor, ...]:
        """Two rows of each input."""
        numeric, categorical, _ = self.shapes
        inputs = [torch.zeros(2, numeric)] if numeric else []
        return tuple(inputs + ([torch.zeros(2, categorical, dtype=torch.int64)] if categorical else []))

    def with_network(self, network: nn.Module) -> Predictor:
        """The same around another network."""
        return Predictor(self.encoder, network, self.shapes)


def build_predictor(
    network: Network, encoding: Encoding | None, shapes: Shapes, last: Sequence[tuple[str, nn.Module]]
) -> Predictor:
    """The model around a trained network.

    Args:
        last: the layers behind the head, by name.
    """
    learnt = copy.deepcopy(network)
    plain = Network(
        OrderedDict(_written_out(learnt.get_submodule("learn")) if encoding is not None else ()),
        learnt.linear1,
        _rows(learnt.categories) if learnt.has_categories else None,
        OrderedDict([*learnt.named_rest().items(), *last]),
    )
    return Predictor(_encoder(encoding), plain, shapes).eval()


def mean_of(predictors: Sequence[Predictor]) -> Predictor:
    """The model that answers their mean; one is its own. Encoders that are the same become one."""
    first, *others = predictors
    if not others:
        return first
    shared = all(_same(first.encoder, other.encoder) for other in others)
    encoder = first.encoder if shared else Encoders([p.encoder for p in predictors if p.encoder is not None])
    mean = Ensemble([predictor.network for predictor in predictors], apart=not shared)
    return Predictor(encoder, mean, first.shapes).eval()


def each_of(predictor: Predictor) -> tuple[Predictor, ...]:
    """The models of which it answers the mean."""
    networks, encoder = members(predictor.network), predictor.encoder
    own = tuple(encoder.children()) if isinstance(encoder, Encoders) else (encoder,) * len(networks)
    pairs = zip(own, networks, strict=True)
    return tuple(Predictor(encoder, network, predictor.shapes).eval() for encoder, network in pairs)


def _same(one: nn.Module | None, other: nn.Module | None) -> bool:
    if one is None or other is None:
        return one is other
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def _encoder(encoding: Encoding | None) -> nn.Module | None:
    """What is done before the network; None where that is nothing."""
    if encoding is None:
        return None
    nothing = not encoding.fill.accepts_missing and isinstance(encoding.encode, nn.Identity)
    return None if nothing else nn.Sequential(encoding.fill, encoding.encode)


def _written_out(learn: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What numbers pass before the first linear layer, as plain layers by name."""
    layer = served(learn)
    parts = list(layer) if isinstance(layer, nn.Sequential) else [layer]
    for number, part in enumerate(part for part in parts if not isinstance(part, nn.Identity)):
        yield "standardiser" if isinstance(part, Standardiser) else f"encoding{number + 1}", part


def _rows(categories: nn.Module) -> nn.Embedding:
    """The rows of all categories, those that training lacks filled in, as a plain table."""
    assert isinstance(categories, Categories)  # noqa: S101 - build_network makes it
    table = categories.table().detach().clone()
    return nn.Embedding(table.shape[0], table.shape[1], _weight=table)


def no_numbers(places: Tensor) -> Tensor:
    """What stands for the numbers of a table that has none: a column of zeros, so that a bias has a layer.

    Shape: (batch, categorical) → (batch, 1), as places are never negative.
    """
    return (places[:, :1] < 0).float()


def places_of(predictor: Predictor) -> tuple[tuple[int, int], ...]:
    """The pairs of numeric columns that it, or some member, sees as places."""
    each = (part.pairs for part in predictor.modules() if isinstance(part, Places))
    return tuple(dict.fromkeys(pair for pairs in each for pair in pairs))


def head_of(network: Network) -> nn.Linear:
    """The last linear layer."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]


def linear_layers(predictor: Predictor) -> int:
    """How many linear layers numbers pass."""
    return sum(isinstance(layer, nn.Linear) for layer in predictor.network.modules())


def output_task(predictor: Predictor) -> Task:
    """What the model answers, by its last layer."""
    last = list(predictor.network.modules())[-1]
    return "classification" if isinstance(last, nn.Softmax) else "regression"
