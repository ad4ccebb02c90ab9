import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.config import LoopConfig, ModelConfig
from training.data import Split
from training.errors import TrainingError
from training.loop import Epoch, batches, evaluate, fit, learning_rates
from training.model import BatchNorm, build_core


def split(X: np.ndarray, y: np.ndarray) -> Split:
    """Rows of numbers alone."""
    return Split(X, np.empty((len(X), 0), np.int64), y)


def blobs(rows: int, seed: int = 0) -> Split:
    """Two classes that a line separates almost."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, rows)
    X = generator.normal(size=(rows, 3)).astype(np.float32)
    X[:, 0] += 4 * y
    return split(X, y)


def core(outputs: int = 2, **model: object) -> torch.nn.Sequential:
    config = ModelConfig(hidden=(8,), **model)  # type: ignore[arg-type]
    return build_core(config, 3, outputs, torch.Generator().manual_seed(0))


@given(st.integers(2, 300), st.integers(1, 64))
def test_batches_cover_every_row_once_and_none_has_one_row(rows: int, size: int) -> None:
    slices = list(batches(rows, size))
    covered = [row for batch in slices for row in range(rows)[batch]]
    assert covered == list(range(rows))
    assert min(batch.stop - batch.start for batch in slices) >= 2
    assert max(batch.stop - batch.start for batch in slices) <= max(size, 2) + 1


@given(st.integers(1, 500))
def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing(steps: int) -> None:
    rates = list(learning_rates(0.5, steps))
    assert len(rates) == steps
    assert all(0 < rate <= 0.5 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_training_learns_and_reports_every_epoch() -> None:
    network, seen = core(), []
    config = LoopConfig(epochs=20, batch_size=16, patience=None)
    result = fit(network, blobs(200), blobs(100, seed=1), "classification", config, seen.append)
    assert tuple(seen) == result.epochs
    assert [epoch.number for epoch in seen] == list(range(1, 21))
    assert result.epochs[result.best - 1].score > 0.8
    assert not network.training


def test_a_regression_learns_too() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(300, 3)).astype(np.float32)
    y = (X[:, 0] - 2 * X[:, 1]).astype(np.float32)
    config = LoopConfig(epochs=60, batch_size=16, learning_rate=0.02)
    result = fit(core(1, dropout=0.0), split(X[:200], y[:200]), split(X[200:], y[200:]), "regression", config)
    assert result.epochs[result.best - 1].score > 0.9


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    networks = []
    for noise in range(2):
        torch.manual_seed(noise)
        network = core(dropout=0.3)
        fit(network, blobs(100), blobs(50, 1), "classification", LoopConfig(epochs=3, batch_size=16, seed=4))
        networks.append(network.state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_training_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(core(dropout=0.3), blobs(50), blobs(20, 1), "classification", LoopConfig(epochs=1, batch_size=16))
    assert torch.equal(torch.rand(4), expected)


def test_patience_ends_the_loop_and_the_best_state_comes_back() -> None:
    network = core()
    config = LoopConfig(epochs=200, batch_size=16, patience=3, learning_rate=0.1)
    train, held = blobs(100), blobs(50, seed=1)
    result = fit(network, train, held, "classification", config)
    assert len(result.epochs) == result.best + 3
    best = result.epochs[result.best - 1]
    assert all((best.score, -best.validation_loss) >= (e.score, -e.validation_loss) for e in result.epochs)
    loss, _ = evaluate(network, torch.from_numpy(held.numeric), torch.from_numpy(held.y), "classification")
    assert loss == pytest.approx(best.validation_loss, rel=1e-3)


def test_the_running_statistics_are_the_populations_in_the_end() -> None:
    network, train = core(), blobs(100)
    fit(network, train, blobs(50, 1), "classification", LoopConfig(epochs=2, batch_size=16))
    inside = network[0](torch.from_numpy(train.numeric)).detach().double().numpy()
    assert np.allclose(network[1].running_mean.numpy(), inside.mean(0), atol=1e-6)
    assert np.allclose(network[1].running_var.numpy(), inside.var(0), rtol=1e-5)


def test_gamma_beta_and_biases_do_not_decay() -> None:
    """With zero gradients only the decay moves a parameter."""
    network = build_core(ModelConfig(hidden=(8,), dropout=0.0), 3, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        network[-1].weight.zero_()
    weight = network[0].weight.detach().clone()
    flat = split(np.zeros((8, 3), np.float32), np.zeros(8, np.float32))
    config = LoopConfig(epochs=1, batch_size=8, weight_decay=0.5, learning_rate=0.1)
    fit(network, flat, flat, "regression", config)
    assert torch.equal(network[1].weight, torch.ones(8))
    assert torch.equal(network[1].bias, torch.zeros(8))
    assert torch.equal(network[-1].bias, torch.zeros(1))
    assert network[0].weight.abs().sum() < weight.abs().sum()


def test_without_validation_rows_the_training_rows_decide() -> None:
    empty = split(np.empty((0, 3), np.float32), np.empty(0, np.int64))
    result = fit(core(), blobs(20), empty, "classification", LoopConfig(epochs=2, batch_size=8))
    assert all(np.isfinite(epoch.validation_loss) for epoch in result.epochs)


def test_a_network_without_batch_norm_trains_as_well() -> None:
    network = core(batch_norm=False)
    fit(network, blobs(50), blobs(20, 1), "classification", LoopConfig(epochs=2, batch_size=8))
    assert not any(isinstance(layer, BatchNorm) for layer in network)


def test_a_loss_that_is_no_number_stops_with_the_epoch_and_a_hint() -> None:
    bad = blobs(50)
    bad.numeric[3, 1] = np.nan
    with pytest.raises(TrainingError, match=r"in epoch 1: try a lower --lr"):
        fit(core(), bad, blobs(20, 1), "classification", LoopConfig(epochs=2, batch_size=8))


def test_seconds_per_epoch_is_a_median() -> None:
    from training.loop import FitResult

    epochs = tuple(Epoch(n, 3, 0, 0, 0, seconds) for n, seconds in enumerate((1.0, 9.0, 2.0), 1))
    assert FitResult(epochs, 1).seconds_per_epoch == 2.0
