import copy

import numpy as np
import pytest
import torch
from torch import nn

from training.config import ModelConfig, Moments
from training.model import BatchNorm, build_core
from training.statistics import CHUNK, reestimate, reestimate_exactly


@pytest.mark.parametrize("moments", ["feature", "all"])
def test_every_layer_gets_the_populations_moments(moments: Moments) -> None:
    config = ModelConfig(hidden=(6, 5, 4), moments=moments)
    core = build_core(config, 3, 2, torch.Generator().manual_seed(0))
    rows = torch.randn(2 * CHUNK + 17, 3, generator=torch.Generator().manual_seed(1)) * 2 + 1
    reestimate_exactly(core, rows)
    values = rows.double()
    axis = 0 if moments == "feature" else (0, 1)
    for layer in copy.deepcopy(core).double().eval():
        if isinstance(layer, BatchNorm):
            seen = values.detach().numpy()
            assert np.allclose(layer.running_mean.numpy(), seen.mean(axis), rtol=1e-6, atol=1e-6)
            assert np.allclose(layer.running_var.numpy(), seen.var(axis), rtol=1e-6)
        values = layer(values)


def test_a_network_normalised_by_its_population_has_standard_inputs_behind_each_norm() -> None:
    core = build_core(ModelConfig(hidden=(6,)), 3, 2, torch.Generator().manual_seed(0))
    rows = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    reestimate(core, rows)
    normalised = core[1].eval()(core[0](rows))
    assert torch.allclose(normalised.mean(0), torch.zeros(6), atol=1e-5)


def test_large_means_do_not_drown_small_deviations() -> None:
    """A naive sum of squares in float64 loses a deviation of 1e-4 beside a mean of 1e6."""
    core = build_core(ModelConfig(hidden=(1,)), 1, 1, torch.Generator())
    with torch.no_grad():
        core[0].weight.fill_(1.0)
    noise = torch.randn(3 * CHUNK, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-4
    rows = noise + 1e6
    core.double()
    reestimate(core, rows)
    assert float(core[1].running_var) == pytest.approx(float((rows - 1e6).var(correction=0)), rel=1e-6)


def test_the_mode_of_the_network_is_left_as_it_was() -> None:
    core = build_core(ModelConfig(hidden=(4,)), 2, 2, torch.Generator())
    reestimate(core.train(), torch.randn(10, 2))
    assert core.training
    reestimate(core.eval(), torch.randn(10, 2))
    assert not core.training


class _Branches(nn.Module):
    """Two inputs, a shortcut, and normalisations of both kinds, registered in another order than used."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.BatchNorm1d(4)
        self.table = nn.Embedding(3, 4)
        self.first = BatchNorm(4, 1e-3, 0.1, "feature")
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
        self.unused = nn.BatchNorm1d(4)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        h = numbers + self.table(codes)
        return self.head(h + self.last(torch.relu(self.inner(self.first(h)))))


@pytest.mark.parametrize("rows", [50, 2 * CHUNK + 17])
def test_any_module_gets_exact_moments_in_the_order_of_its_forward_pass(rows: int) -> None:
    torch.manual_seed(0)
    network = _Branches()
    inputs = (torch.randn(rows, 4) * 3 + 1, torch.randint(0, 3, (rows,)))
    reestimate_exactly(network, inputs)
    twin = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        h = inputs[0].double() + twin.table(inputs[1])
        seen = {"first": h, "last": torch.relu(twin.inner(twin.first(h)))}
    for name, values in seen.items():
        layer = getattr(network, name)
        assert np.allclose(layer.running_mean.numpy(), values.mean(0).numpy(), atol=1e-6)
        assert np.allclose(layer.running_var.numpy(), values.numpy().var(0), rtol=1e-5)
    assert torch.equal(network.unused.running_var, torch.ones(4))


def test_channels_of_pictures_are_normalised_over_rows_and_places() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2))
    rows = torch.randn(40, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    reestimate_exactly(network, rows)
    assert np.allclose(network[0].running_mean.numpy(), rows.double().mean((0, 2, 3)).numpy(), atol=1e-6)
    assert np.allclose(network[0].running_var.numpy(), rows.double().numpy().var((0, 2, 3)), rtol=1e-6)


def test_each_module_keeps_its_own_mode() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    network.train()
    network[1].eval()
    reestimate(network, torch.randn(10, 3))
    assert [layer.training for layer in network] == [True, False, True]
