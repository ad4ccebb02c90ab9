import copy

import numpy as np
import pytest
import torch

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
