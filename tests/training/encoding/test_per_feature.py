import numpy as np
import pytest
import torch

from tests.training.encoding.reference import fitted, learned, ordinary
from training.config import LoopConfig
from training.encoding import PerFeature, served
from training.loop.optimisers import Optimiser

SIZES = (3, 7, 1)


def layer(flags: int = 2) -> PerFeature:
    return PerFeature(SIZES, flags, torch.Generator().manual_seed(0))


def inputs(flags: int = 2, rows: int = 9) -> torch.Tensor:
    given = torch.rand(rows, sum(SIZES) + flags, generator=torch.Generator().manual_seed(1))
    given[:, sum(SIZES) :].round_()
    return given


def test_it_computes_a_linear_layer_and_relu_for_each_feature() -> None:
    table = ordinary()
    encoding = fitted("bins-relu", table)
    got = encoding.learn(encoding.encode(encoding.fill(torch.from_numpy(table))))
    assert got.shape == (len(table), encoding.width)
    assert np.abs(got.detach().numpy() - learned(encoding, table)).max() < 1e-5


@pytest.mark.parametrize("flags", [0, 2])
@pytest.mark.parametrize("sizes", [SIZES, (4, 4)], ids=["padded", "all-alike"])
def test_the_served_form_is_the_same_map(sizes: tuple[int, ...], flags: int) -> None:
    per_feature = PerFeature(sizes, flags, torch.Generator().manual_seed(0)).double()
    x = torch.rand(9, sum(sizes) + flags, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain = served(per_feature)
    assert [type(part).__name__ for part in plain] == ["Linear", "ReLU"]
    assert torch.allclose(plain(x), per_feature(x), rtol=1e-13, atol=1e-13)


def test_the_served_form_holds_the_very_numbers() -> None:
    per_feature = layer()
    weight, bias = (p.detach() for p in served(per_feature)[0].parameters())
    assert torch.equal(weight[16:32, 3:10], per_feature.weight[1].T)
    assert torch.equal(bias[16:32], per_feature.bias[1, 0])
    assert torch.equal(weight[48:], torch.eye(2, 13).flip(1).flip(0))
    assert weight.count_nonzero() == 16 * sum(SIZES) + 2


def test_weights_start_within_one_over_the_root_of_the_features_size() -> None:
    per_feature = layer()
    for j, size in enumerate(SIZES):
        for parameter in (per_feature.weight[j, :size], per_feature.bias[j]):
            assert parameter.abs().max() <= size**-0.5
            assert parameter.abs().max() > 0.7 * size**-0.5


def test_the_same_generator_gives_the_same_weights() -> None:
    assert torch.equal(layer().weight, layer().weight)


def test_all_weights_of_a_feature_get_a_gradient_and_the_padding_stays_0() -> None:
    per_feature = layer()
    optimiser = Optimiser(per_feature, LoopConfig(weight_decay=0.5))
    before = per_feature.weight.detach().clone()
    for _ in range(3):
        per_feature(inputs()).square().sum().backward()
        optimiser.step(1.0)
        optimiser.forget_gradients()
    for j, size in enumerate(SIZES):
        assert (per_feature.weight[j, size:] == 0).all()
        assert (per_feature.weight[j, :size] != before[j, :size]).any(1).all()
