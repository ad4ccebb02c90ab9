import numpy as np
import pytest
import torch

from tests.training.encoding.reference import regions, waves
from training.encoding import Places
from training.encoding.places import FASTEST, FREQUENCIES, SLOWEST
from training.encoding.scales import Scales, robust_scales


def places(*pairs: tuple[int, int], seed: int = 0) -> Places:
    scales = robust_scales(regions()[0].T.astype(np.float64))
    return Places(pairs or ((1, 2),), scales, torch.Generator().manual_seed(seed))


def test_it_computes_waves_over_the_plane_of_each_pair() -> None:
    table = regions(50, seed=3)[0]
    for of in (places(), places((2, 0), (1, 2))):
        got = of(torch.from_numpy(table)).numpy()
        assert got.shape == (50, of.width)
        assert np.abs(got - waves(of, table.astype(np.float64))).max() < 2e-4


def test_waves_go_in_all_directions_and_have_all_lengths() -> None:
    x, y = places().angular[:, :FREQUENCIES].double().numpy() / (2 * np.pi)
    lengths = np.hypot(x, y)
    assert lengths.min() >= 0.999 * SLOWEST
    assert lengths.max() <= 1.001 * FASTEST
    assert 2 < np.median(lengths) < 8
    assert {(bool(a), bool(b)) for a, b in zip(x > 0, y > 0, strict=True)} == {
        (a, b) for a in (0, 1) for b in (0, 1)
    }


def test_nothing_is_below_nought_or_above_two_however_far_a_row_lies() -> None:
    largest = np.finfo(np.float32).max
    far = torch.tensor([[0.0, x, y] for x in (-largest, 0.0, largest) for y in (-largest, 1e-45, largest)])
    got = places()(far)
    assert torch.isfinite(got).all()
    assert (got >= 0).all()
    assert (got <= 2).all()


@pytest.mark.parametrize("scale", [1.2e-38, 3e38])
def test_any_scale_gives_finite_waves(scale: float) -> None:
    scales = Scales(np.zeros(2), np.full(2, scale))
    of = Places([(0, 1)], scales, torch.Generator().manual_seed(0))
    assert torch.isfinite(of(torch.tensor([[3e38, -3e38], [0.0, 1e-40]]))).all()


def test_the_generator_alone_draws_them() -> None:
    assert torch.equal(places().angular, places().angular)
    assert not torch.equal(places().angular, places(seed=1).angular)
