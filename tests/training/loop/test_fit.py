import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.training.loop.tables import blobs, core, plane
from training.config import LoopConfig, ModelConfig
from training.errors import ConfigError, DataError
from training.loop import Epoch, FitResult, Rows, evaluate, fit, generator
from training.model import BatchNorm, build_core


def quick(**options: object) -> LoopConfig:
    return LoopConfig(**({"epochs": 2, "batch_size": 16} | options))  # type: ignore[arg-type]


def trained(config: LoopConfig, train: Rows | None = None, **model: object) -> nn.Sequential:
    network = core(**model)  # type: ignore[arg-type]
    fit(network, train or blobs(100), blobs(50, 1), "classification", config)
    return network


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_training_learns_and_reports_every_epoch() -> None:
    network, seen = core(), list[Epoch]()
    config = LoopConfig(epochs=20, batch_size=16, patience=None)
    result = fit(network, blobs(200), blobs(100, seed=1), "classification", config, seen.append)
    assert tuple(seen) == result.epochs
    assert [epoch.number for epoch in seen] == list(range(1, 21))
    assert result.epochs[result.best - 1].score > 0.8
    assert all(epoch.gradient_norm > 0 and epoch.rate > 0 for epoch in seen)
    assert all(0 < epoch.training_seconds < epoch.seconds for epoch in seen)
    assert not network.training


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_a_regression_learns_too(loss: str) -> None:
    config = quick(epochs=60, learning_rate=0.02, loss=loss)
    result = fit(core(1, dropout=0.0), plane(200), plane(100, 1), "regression", config)
    assert result.epochs[result.best - 1].score > 0.85


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "plateau", "constant"])
def test_every_optimiser_learns_with_every_schedule(optimizer: str, schedule: str) -> None:
    config = quick(epochs=15, optimizer=optimizer, schedule=schedule, ema=0.9, clip=1.0, label_smoothing=0.1)
    if optimizer == "sgd":
        config = replace(config, learning_rate=0.3)
    result = fit(core(hidden=(8, 8)), blobs(200), blobs(100, 1), "classification", config)
    assert result.epochs[result.best - 1].score > 0.9


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    networks = []
    for noise in range(2):
        torch.manual_seed(noise)
        networks.append(trained(quick(epochs=3, seed=4), dropout=0.3))
    assert same(*networks)


def test_another_seed_gives_another_network() -> None:
    assert not same(trained(quick(seed=0)), trained(quick(seed=1)))


def test_training_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    trained(quick(epochs=1), dropout=0.3)
    assert torch.equal(torch.rand(4), expected)


def test_each_purpose_has_draws_of_its_own() -> None:
    purposes = ("initialisation", "order", "dropout", "statistics")
    draws = [torch.rand(3, generator=generator(7, purpose)).tolist() for purpose in purposes]  # type: ignore[arg-type]
    assert len({tuple(draw) for draw in draws}) == 4


def test_patience_ends_the_loop_and_the_best_state_comes_back() -> None:
    network = core()
    config = quick(epochs=200, patience=3, learning_rate=0.1)
    held = blobs(50, seed=1)
    result = fit(network, blobs(100), held, "classification", config)
    assert len(result.epochs) == result.best + 3
    best = result.epochs[result.best - 1]
    assert all((best.score, -best.validation_loss) >= (e.score, -e.validation_loss) for e in result.epochs)
    loss, _ = evaluate(network, held, "classification")
    assert loss == pytest.approx(best.validation_loss, rel=1e-3)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_running_statistics_are_the_populations_in_the_end(ema: float) -> None:
    train = blobs(100)
    network = trained(quick(ema=ema), train)
    inside = network[0](train.inputs[0]).detach().double().numpy()
    assert np.allclose(network[1].running_mean.numpy(), inside.mean(0), atol=1e-6)
    assert np.allclose(network[1].running_var.numpy(), inside.var(0), rtol=1e-5)


def test_running_averages_are_kept_when_asked_for() -> None:
    train = blobs(100)
    network = trained(quick(exact_statistics=False), train)
    inside = network[0](train.inputs[0]).detach().numpy()
    assert not np.allclose(network[1].running_var.numpy(), inside.var(0), rtol=1e-3)


def test_the_average_of_the_weights_is_what_is_kept() -> None:
    assert not same(trained(quick()), trained(quick(ema=0.9)))


def test_without_validation_rows_the_training_rows_decide() -> None:
    empty = Rows((torch.empty(0, 3),), torch.empty(0, dtype=torch.int64))
    result = fit(core(), blobs(20), empty, "classification", quick())
    assert all(np.isfinite(epoch.validation_loss) for epoch in result.epochs)


def test_a_network_without_batch_norm_trains_as_well() -> None:
    assert not any(isinstance(layer, BatchNorm) for layer in trained(quick(), batch_norm=False))


def test_a_sorted_table_does_not_mislead_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["training.loop.fit"], "STATISTICS_ROWS", 50)
    rows = blobs(400)
    order = rows.inputs[0][:, 0].argsort()
    config = quick(epochs=10, learning_rate=0.02)
    result = fit(core(), rows.take(order), blobs(100, 1), "classification", config)
    assert result.epochs[-1].score > 0.9


def test_full_batch_takes_one_step_an_epoch() -> None:
    steps = []
    network = core()
    network.register_forward_hook(lambda m, _, out: steps.append(len(out)) if m.training else None)
    fit(network, blobs(70), blobs(10, 1), "classification", quick(epochs=3, batch_size="full"))
    assert steps == [70, 70, 70]


def test_single_sample_descent_learns_by_running_statistics_and_says_so() -> None:
    network = core(dropout=0.0)
    result = fit(network, blobs(200), blobs(100, 1), "classification", quick(epochs=4, batch_size=1))
    assert result.epochs[result.best - 1].score > 0.9
    assert any("running statistics" in warning for warning in result.warnings)


def test_small_batches_are_warned_about_and_large_ones_are_not() -> None:
    def warnings(size: int) -> tuple[str, ...]:
        rows = blobs(64)
        return fit(core(), rows, rows, "classification", quick(epochs=1, batch_size=size)).warnings

    assert warnings(15) == ("batches of 15 rows: the moments of fewer than 16 are unsteady",)
    assert warnings(16) == ()


def test_a_channel_that_hardly_varies_is_reported() -> None:
    network = core()
    with torch.no_grad():
        network[0].weight[:3] = 0.0
    config = quick(epochs=1, learning_rate=1e-6)
    result = fit(network, blobs(64), blobs(10, 1), "classification", config)
    assert any(warning.startswith("norm1: 3 channels hardly vary") for warning in result.warnings)


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(2, 300), size=st.integers(1, 64))
def test_any_number_of_rows_trains_in_any_batch_and_sees_each_row_once(rows: int, size: int) -> None:
    seen: list[torch.Tensor] = []
    network = core(hidden=(4,))
    table = Rows((torch.arange(rows * 3).reshape(-1, 3) / rows,), torch.arange(rows) % 2)
    handle = network.register_forward_pre_hook(lambda m, x: seen.append(x[0]) if m.training else None)
    fit(network, table, table, "classification", quick(epochs=1, batch_size=size))
    handle.remove()
    assert sorted(torch.cat(seen)[:, 0].tolist()) == table.inputs[0][:, 0].tolist()
    assert min(len(batch) for batch in seen) >= (1 if size == 1 else 2)


def test_one_row_is_refused() -> None:
    with pytest.raises(DataError, match="1 training rows; Batch Normalization needs at least 2"):
        fit(core(), blobs(1), blobs(1), "classification", quick())


def test_a_value_that_is_no_number_is_named_before_training() -> None:
    bad = blobs(50)
    bad.inputs[0][3, 1] = np.nan
    with pytest.raises(DataError, match="training row 3 holds a number that is not finite"):
        fit(core(), bad, blobs(20, 1), "classification", quick())


def test_weights_of_rows_decide_what_is_learnt() -> None:
    """The same inputs with both answers: the heavier one wins."""
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = torch.cat([torch.zeros(64), torch.ones(64)]).long()
    for heavy in (0, 1):
        weight = torch.where(y == heavy, 5.0, 1.0)
        rows = Rows((torch.cat([x, x]),), y, weight)
        network = core(dropout=0.0)
        fit(network, rows, rows, "classification", quick(epochs=10, learning_rate=0.02))
        assert (network(x).argmax(1) == heavy).float().mean() > 0.95


def test_balanced_classes_find_more_of_the_rare_one() -> None:
    rows = blobs(2000, apart=1.0)
    rare = (rows.y == 0) | (torch.arange(2000) % 20 == 0)
    rows = rows.take(rare.nonzero()[:, 0])

    def found(class_weight: str) -> float:
        network = core(dropout=0.0)
        fit(network, rows, rows, "classification", quick(epochs=10, class_weight=class_weight))
        return float((network(rows.inputs[0]).argmax(1)[rows.y == 1] == 1).float().mean())

    assert found("balanced") > found("none") + 0.3


def test_several_inputs_reach_the_network() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(3, 4)
            self.inner = core()

        def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
            return self.inner(numbers + self.table(codes).sum(1)[:, :3])

    rows = blobs(100)
    rows = Rows((rows.inputs[0], torch.arange(200).reshape(100, 2) % 3), rows.y)
    config = quick(epochs=10, ema=0.9, learning_rate=0.02)
    result = fit(Two(), rows, rows, "classification", config)
    assert result.epochs[-1].score > 0.9


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device is cuda, but this machine shows torch no GPU"):
        trained(quick(device="cuda"))


def test_bfloat16_is_refused_where_nothing_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    with pytest.raises(ConfigError, match="--precision is bf16, but this processor has no instructions"):
        trained(quick(precision="bf16", device="cpu"))


def test_in_bfloat16_a_network_learns_as_well_and_ends_with_the_same_bits_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slowly where the processor has no instructions for it, and as well."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    rows = blobs(400)

    def run(precision: str) -> tuple[nn.Module, float]:
        network = build_core(ModelConfig(hidden=(64, 64)), 3, 2, torch.Generator().manual_seed(0))
        config = quick(epochs=5, precision=precision, device="cpu")
        return network, fit(network, rows, rows, "classification", config).epochs[-1].score

    (plain, score), (rounded, lower), (again, _) = run("float32"), run("bf16"), run("bf16")
    assert lower >= score - 0.01 > 0.9
    assert torch.equal(rounded[4].weight, again[4].weight)
    assert not torch.equal(rounded[4].weight, plain[4].weight)
    assert all(p.dtype == torch.float32 for p in rounded.state_dict().values() if p.is_floating_point())


def test_gamma_beta_and_biases_do_not_decay() -> None:
    """With zero gradients only the decay moves a parameter."""
    network = build_core(ModelConfig(hidden=(8,), dropout=0.0), 3, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        network[-1].weight.zero_()
    weight = network[0].weight.detach().clone()
    flat = Rows((torch.zeros(8, 3),), torch.zeros(8))
    fit(network, flat, flat, "regression", quick(epochs=1, weight_decay=0.5, learning_rate=0.1))
    assert torch.equal(network[1].weight, torch.ones(8))
    assert torch.equal(network[1].bias, torch.zeros(8))
    assert torch.equal(network[-1].bias, torch.zeros(1))
    assert network[0].weight.abs().sum() < weight.abs().sum()


def test_seconds_per_epoch_is_a_median() -> None:
    epochs = tuple(Epoch(n, 3, 0, 0, 0, seconds) for n, seconds in enumerate((1.0, 9.0, 2.0), 1))
    assert FitResult(epochs, 1).seconds_per_epoch == 2.0
