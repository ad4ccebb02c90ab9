import copy
import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.config import LoopConfig, ModelConfig, Task
from training.errors import TrainingError
from training.loop import Rows, fit
from training.loop.gradients import Gradients
from training.loop.losses import Loss
from training.loop.optimisers import Optimiser
from training.loop.stack import Stack
from training.model import Network, Standardiser, build_core, build_network

ROWS, INPUTS = 53, 5


def data(outputs: int, *, weighted: bool = False) -> Rows:
    draws = torch.Generator().manual_seed(1)
    y = torch.randint(0, outputs, (ROWS,), generator=draws) if outputs > 1 else torch.randn(ROWS, 1)
    weight = torch.rand(ROWS, generator=draws) + 0.1 if weighted else None
    return Rows((torch.randn(ROWS, INPUTS, generator=draws),), y, weight)


def core(outputs: int, **model: object) -> nn.Sequential:
    config = ModelConfig(**({"hidden": (24, 17), "dropout": 0.0} | model))  # type: ignore[arg-type]
    return build_core(config, INPUTS, outputs, torch.Generator().manual_seed(0)).train()


def by_autograd(network: nn.Module, rows: Rows, loss: Loss) -> tuple[float, dict[str, Tensor]]:
    """As a loop in torch's tutorials has it."""
    network.zero_grad(set_to_none=True)
    value = loss(network(*rows.inputs), rows.y, rows.weight)
    value.backward()  # type: ignore[no-untyped-call]
    return float(value.detach()), {
        n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None
    }


def by_hand(network: nn.Module, rows: Rows, loss: Loss, **config: object) -> tuple[float, dict[str, Tensor]]:
    options = LoopConfig(**config)  # type: ignore[arg-type]
    optimiser = Optimiser(network, options)
    gradients = Gradients(network, loss, options, optimiser)
    gradients.look(whole_batches=True)
    assert gradients._stack is not None
    with torch.no_grad() if gradients.needs_autograd else torch.inference_mode():
        value = gradients.of(rows, 0)
    optimiser.gradients()
    return value, {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


def check(network: nn.Module, rows: Rows, loss: Loss, *, bits: bool) -> None:
    """Loss, gradients and running statistics of both ways."""
    twin = copy.deepcopy(network)
    torch.manual_seed(5)
    expected, theirs = by_autograd(twin, rows, loss)
    torch.manual_seed(5)
    found, ours = by_hand(network, rows, loss)
    assert found == (expected if bits else pytest.approx(expected, rel=1e-6))
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        if bits:
            assert torch.equal(ours[name], gradient), name
        scale = float(gradient.abs().max()) + 1e-3
        assert np.allclose(ours[name].numpy(), gradient.numpy(), rtol=1e-5, atol=2e-6 * scale), name
    buffers = zip(network.buffers(), twin.buffers(), strict=True)
    assert all(torch.equal(one, other) for one, other in buffers) or not bits


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid"])
@pytest.mark.parametrize("batch_norm", [True, False], ids=["norm", "plain"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_regressions_loss_and_gradients_have_the_bits_of_autograd(
    activation: str, batch_norm: bool, dropout: float
) -> None:
    network = core(1, activation=activation, batch_norm=batch_norm, dropout=dropout)
    check(network, data(1), Loss("regression"), bits=True)


@pytest.mark.parametrize("batch_norm", [True, False], ids=["norm", "plain"])
def test_the_residual_network_has_them_too(batch_norm: bool) -> None:
    network = core(1, residual=True, hidden=(16, 16), batch_norm=batch_norm, dropout=0.2)
    check(network, data(1), Loss("regression"), bits=True)


@pytest.mark.parametrize(
    ("classes", "smoothing", "weighted"), list(product([2, 3, 10, 20], [0.0, 0.1], [False, True]))
)
def test_a_classifications_are_autograds_up_to_rounding(
    classes: int, smoothing: float, weighted: bool
) -> None:
    check(core(classes), data(classes, weighted=weighted), Loss("classification", smoothing), bits=False)


@pytest.mark.parametrize(
    "loss", [Loss("regression", regression="huber"), Loss("regression")], ids=["huber", "mse"]
)
def test_weighted_and_hubers_loss_are_autograds(loss: Loss) -> None:
    check(core(1), data(1, weighted=True), loss, bits=True)


def table_network(**model: object) -> Network:
    config = ModelConfig(hidden=(24, 17), dropout=0.0, **model)  # type: ignore[arg-type]
    counts = [np.array([0, 20, 17]), np.array([30, 7])]
    before = {"encode": nn.Linear(INPUTS, 6)}
    return build_network(
        config, 3, torch.Generator().manual_seed(0), before=before, width=6, counts=counts
    ).train()


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_encodings_and_categories_in_front_are_left_to_autograd(mixup: float) -> None:
    draws = torch.Generator().manual_seed(2)
    rows = data(3, weighted=True)
    rows = Rows((rows.inputs[0], torch.randint(0, 5, (ROWS, 2), generator=draws)), rows.y, rows.weight)
    network, loss = table_network(), Loss("classification", 0.1)
    config = LoopConfig(mixup=mixup)
    twin = copy.deepcopy(network)
    expected = Gradients(twin, loss, config, Optimiser(twin, config)).loss(rows, 0)
    expected.backward()  # type: ignore[no-untyped-call]
    found, ours = by_hand(network, rows, loss, mixup=mixup)
    assert found == pytest.approx(float(expected.detach()), rel=1e-6)
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None
        assert np.allclose(ours[name].numpy(), parameter.grad.numpy(), rtol=1e-4, atol=1e-7), name


def test_standardised_numbers_are_passed_without_autograd_from_the_first_layer_on() -> None:
    standard = Standardiser(np.linspace(-1, 1, INPUTS), np.linspace(0.5, 2, INPUTS))
    before = {"learn": standard, "drop": nn.Dropout(0.2)}
    draws = torch.Generator().manual_seed(0)
    network = build_network(ModelConfig(hidden=(24, 17)), 1, draws, before=before, width=INPUTS).train()
    options = LoopConfig()
    gradients = Gradients(network, Loss("regression"), options, Optimiser(network, options))
    gradients.look(whole_batches=True)
    assert not gradients.needs_autograd
    check(network, data(1), Loss("regression"), bits=True)


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def test_what_a_stack_does_not_know_is_left_to_autograd() -> None:
    shared = nn.Linear(4, 4)
    frozen = nn.Linear(4, 4)
    frozen.bias.requires_grad_(False)
    one_moment = list(core(1, moments="all").children())
    for layers in ([nn.Linear(4, 4), Unknown()], [shared, nn.ReLU(), shared], [frozen], [], one_moment):
        assert Stack.of(layers) is None


def test_somebody_who_listens_hears_every_pass() -> None:
    network, config = core(1), LoopConfig()
    gradients = Gradients(network, Loss("regression"), config, Optimiser(network, config))
    heard: list[int] = []
    network[0].register_forward_hook(lambda _, __, out: heard.append(len(out)))
    gradients.look(whole_batches=True)
    gradients.of(data(1), 0)
    assert heard == [ROWS]


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_layer_whose_numbers_overflow_is_named(outputs: int) -> None:
    network = core(outputs, batch_norm=False)
    with torch.no_grad():
        network[2].weight.mul_(math.inf)
    task: Task = "classification" if outputs > 1 else "regression"
    with pytest.raises(TrainingError, match=r"^step 1 and .*the output of linear2 \(Linear\) is the first"):
        fit(network, data(outputs), data(outputs), task, LoopConfig(epochs=1, batch_size=2))


def test_after_a_fit_no_parameter_shares_its_memory() -> None:
    network = core(1)
    fit(network, data(1), data(1), "regression", LoopConfig(epochs=2, ema=0.9))
    storages = [parameter.untyped_storage() for parameter in network.parameters()]
    assert len({storage.data_ptr() for storage in storages}) == len(storages)
    sizes = [storage.nbytes() for storage in storages]
    assert sizes == [parameter.nbytes for parameter in network.parameters()]


def test_a_network_of_two_precisions_moves_as_with_torchs_optimiser() -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4), Widened(), nn.Linear(4, 3).double())

    ours, theirs, rows = network(), network(), data(3)
    rule = Optimiser(ours, LoopConfig(learning_rate=0.1, weight_decay=0.0))
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.0, fused=True)
    for _ in range(5):
        for one in (ours, theirs):
            one.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(one(*rows.inputs), rows.y).backward()  # type: ignore[no-untyped-call]
        rule.step(1.0)
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


class Widened(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()
