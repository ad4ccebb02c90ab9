import numpy as np
import pytest
import torch
from torch import nn

from tests.training.loop.tables import blobs, core
from training.config import LoopConfig
from training.loop.averaging import Average
from training.loop.groups import groups
from training.loop.memory import Block, blocks
from training.loop.optimisers import AdamW, Muon, Optimiser, length, orthogonalised


def parameters(seed: int = 0) -> list[nn.Parameter]:
    draws = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=draws)) for shape in ((7, 5), (5,), (33, 17), ())]


def block(members: list[nn.Parameter]) -> Block:
    ((found,), _, _) = blocks([members])
    return found


def test_adamw_is_torchs_to_the_bit() -> None:
    ours, theirs = parameters(), parameters()
    rule = AdamW(block(ours), 0.1)
    reference = torch.optim.AdamW(theirs, lr=0.0, weight_decay=0.1, fused=True)
    draws = torch.Generator().manual_seed(1)
    for step in range(30):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = other.grad = torch.randn(one.shape, generator=draws)
        rate, beta = 0.01 * (step + 1), 0.95 - 0.003 * step
        reference.param_groups[0].update(lr=rate, betas=(beta, 0.999))
        reference.step()
        rule.step(rate, beta)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_parameter_without_a_gradient_stays() -> None:
    one, *rest = parameters()
    before = one.detach().clone()
    rule = AdamW(block([one, *rest]), 0.1)
    for parameter in rest:
        parameter.grad = torch.ones_like(parameter)
    rule.step(0.1)
    assert torch.equal(one, before)
    assert all(bool(parameter.grad is not None) for parameter in rest)


@pytest.mark.parametrize("shape", [(20, 8), (8, 20), (9, 9)], ids=str)
def test_newton_and_schulz_find_nearly_the_nearest_orthogonal_matrix(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    found = orthogonalised(matrix).double().numpy()
    singular = np.linalg.svd(found, compute_uv=False)
    assert (singular > 0.4).all()
    assert (singular < 1.3).all()
    assert (found * (u @ v)).sum() / np.linalg.norm(found) / np.linalg.norm(u @ v) > 0.97


def test_muon_moves_in_the_direction_of_torchs_own() -> None:
    ours, theirs = (nn.Parameter(parameters()[2].detach().clone()) for _ in range(2))
    rule = Muon(block([ours]), 0.1)
    reference = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    draws = torch.Generator().manual_seed(1)
    for _ in range(10):
        ours.grad = theirs.grad = torch.randn(ours.shape, generator=draws)
        rule.step(0.01)
        reference.step()
    moved = (ours - parameters()[2]).detach(), (theirs - parameters()[2]).detach()
    # Theirs computes in bfloat16, of 8 bits.
    assert torch.nn.functional.cosine_similarity(moved[0].ravel(), moved[1].ravel(), dim=0) > 0.99
    assert moved[0].norm() == pytest.approx(float(moved[1].norm()), rel=0.05)


def test_muon_takes_hidden_weights_only() -> None:
    network = core(hidden=(6, 5))
    optimiser = Optimiser(network, LoopConfig(optimizer="muon"))
    kinds = {type(rule) for _, rule in optimiser._rules}
    assert kinds == {AdamW, Muon}
    hidden = [name for group in groups(network) if group.orthogonal for name in group.names]
    assert hidden == ["linear1.weight", "linear2.weight"]


def test_the_length_of_a_gradient_is_that_of_all_its_parts() -> None:
    parts = [parameter.detach().ravel() for parameter in parameters()]
    assert length(parts) == pytest.approx(float(torch.cat(parts).norm()), rel=1e-6)
    assert length([]) == 0.0


def test_only_matrices_decay_and_a_module_may_ask_for_a_rate_of_its_own() -> None:
    class Encoder(nn.Module):
        rate_scale, decay_scale = 5.0, 0.5

        def __init__(self) -> None:
            super().__init__()
            self.linear, self.bn = nn.Linear(3, 4), nn.BatchNorm1d(4)
            self.weight = nn.Parameter(torch.zeros(2, 3, 4))

    network = nn.Sequential(Encoder(), nn.Embedding(5, 4), nn.Linear(4, 2))
    treated = {name: (g.rate_scale, g.decay_scale) for g in groups(network) for name in g.names}
    assert treated == {
        "0.weight": (5.0, 0.5),
        "0.linear.weight": (5.0, 0.5),
        "0.linear.bias": (5.0, 0.0),
        "0.bn.weight": (5.0, 0.0),
        "0.bn.bias": (5.0, 0.0),
        "1.weight": (1.0, 0.0),
        "2.weight": (1.0, 1.0),
        "2.bias": (1.0, 0.0),
    }


def test_a_shared_parameter_is_moved_once_and_a_frozen_one_never() -> None:
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    two.bias.requires_grad_(False)
    names = [name for group in groups(nn.Sequential(one, two)) for name in group.names]
    assert sorted(names) == ["0.bias", "0.weight"]


def test_an_average_follows_its_formula() -> None:
    network = nn.Linear(2, 1)
    average = Average(network, 0.5)
    expected = network.weight.detach().clone()
    for step in range(1, 9):
        with torch.no_grad():
            network.weight.add_(1.0)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
    assert torch.allclose(average.network.weight, expected)


def test_descent_is_torchs_sgd() -> None:
    ours, theirs = core(dropout=0.0), core(dropout=0.0)
    config = LoopConfig(optimizer="sgd", learning_rate=0.1, weight_decay=0.0)
    descent = Optimiser(ours, config)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for step in range(5):
        rows = blobs(32, step)
        for network in (ours, theirs):
            network.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(*rows.inputs), rows.y).backward()  # type: ignore[no-untyped-call]
        descent.step(1.0)
        reference.step()
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name])
