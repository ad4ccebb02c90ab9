"""The layer against its formula, written out in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from training.config import ModelConfig, Moments
from training.model import BatchNorm, build_core

BOTH: tuple[Moments, Moments] = ("feature", "all")


def random_norm(moments: Moments, generator: torch.Generator, eps: float = 1e-3) -> BatchNorm:
    """A layer whose four vectors are all away from their starting values."""
    layer = BatchNorm(5, eps, 0.1, moments)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
        layer.running_mean.normal_(generator=generator)
        layer.running_var.uniform_(0.01, 3, generator=generator)
    return layer


@pytest.mark.parametrize("moments", BOTH)
def test_training_mode_follows_the_formula(moments: Moments) -> None:
    generator = torch.Generator().manual_seed(1)
    layer = random_norm(moments, generator)
    x = torch.randn(7, 5, generator=generator) * 3 + 1
    axis = 0 if moments == "feature" else (0, 1)
    s1, gamma, beta = x.double().numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = gamma * (s1 - s1.mean(axis)) / np.sqrt(s1.var(axis) + 1e-3) + beta
    assert np.abs(layer(x).detach().numpy() - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("moments", BOTH)
def test_eval_mode_follows_the_formula(moments: Moments) -> None:
    generator = torch.Generator().manual_seed(2)
    layer = random_norm(moments, generator).eval()
    x = torch.randn(7, 5, generator=generator)
    mean, var = layer.running_mean.double().numpy(), layer.running_var.double().numpy()
    gamma, beta = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    expected = gamma * (x.double().numpy() - mean) / np.sqrt(var + 1e-3) + beta
    assert np.abs(layer(x).detach().numpy() - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("moments", BOTH)
def test_running_statistics_move_by_the_momentum_towards_the_batch(moments: Moments) -> None:
    layer = BatchNorm(3, 1e-3, 0.25, moments)
    x = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    layer(x)
    dim = 0 if moments == "feature" else (0, 1)
    assert torch.allclose(layer.running_mean, 0.25 * x.mean(dim))
    assert torch.allclose(layer.running_var, 0.75 + 0.25 * x.var(dim))


def test_one_moment_per_feature_is_what_pytorch_computes() -> None:
    ours, theirs = BatchNorm(4, 1e-5, 0.1, "feature"), nn.BatchNorm1d(4)
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(3))
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_epsilon_matters_where_the_variance_is_small() -> None:
    layers = [BatchNorm(1, eps, 0.1, "feature").eval() for eps in (1e-5, 1e-3)]
    for layer in layers:
        layer.running_var.fill_(1e-4)
    small, large = (layer(torch.ones(1, 1)).item() for layer in layers)
    assert small / large == pytest.approx(np.sqrt(1.1e-3 / 1.1e-4), rel=1e-5)


def test_hidden_layers_are_linear_without_bias_norm_activation() -> None:
    core = build_core(ModelConfig(hidden=(8, 4), activation="tanh"), 3, 2, torch.Generator())
    names = [type(layer).__name__ for layer in core]
    assert names == ["Linear", "BatchNorm", "Tanh", "Dropout"] * 2 + ["Linear"]
    linears = [layer for layer in core if isinstance(layer, nn.Linear)]
    assert [layer.bias is not None for layer in linears] == [False, False, True]


def test_without_batch_norm_every_linear_layer_has_a_bias() -> None:
    config = ModelConfig(hidden=(8,), batch_norm=False, dropout=0.0)
    core = build_core(config, 3, 2, torch.Generator())
    assert [type(layer).__name__ for layer in core] == ["Linear", "ReLU", "Linear"]
    assert all(layer.bias is not None for layer in core if isinstance(layer, nn.Linear))


def test_the_same_generator_builds_the_same_weights() -> None:
    cores = [build_core(ModelConfig(), 3, 2, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(core.parameters() for core in cores), strict=True))
