import numpy as np
import torch

from tests.training.encoding.reference import fitted, learned, ordinary
from training.encoding import Periodic, served


def test_it_computes_sines_and_cosines_and_a_layer_for_each_feature() -> None:
    table = ordinary()
    encoding = fitted("periodic", table)
    got = encoding.learn(encoding.encode(encoding.fill(torch.from_numpy(table))))
    assert got.shape == (len(table), encoding.width)
    assert np.abs(got.detach().numpy() - learned(encoding, table)).max() < 2e-5


def test_frequencies_start_with_their_deviation() -> None:
    waves = Periodic(200, 0, torch.Generator().manual_seed(0))[0]
    assert waves.frequencies.shape == (200, 24)
    assert 0.28 < waves.frequencies.std() < 0.32


def test_frequencies_learn() -> None:
    learn = Periodic(2, 1, torch.Generator().manual_seed(0))
    learn(torch.rand(5, 3, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    assert (learn[0].frequencies.grad != 0).any(1).all()


def test_the_served_form_is_the_same_map() -> None:
    learn = Periodic(3, 2, torch.Generator().manual_seed(0)).double()
    x = torch.rand(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain = served(learn)
    assert [type(part).__name__ for part in plain] == ["Sinusoids", "Linear", "ReLU"]
    assert torch.allclose(plain(x), learn(x), rtol=1e-12, atol=1e-13)
