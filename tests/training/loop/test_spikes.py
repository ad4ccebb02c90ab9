"""What goes wrong for a while must not be seen in the end."""

import math
import sys
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from tests.training.loop.tables import blobs, core, plane
from training.config import LoopConfig
from training.errors import TrainingError
from training.loop import Epoch, FitResult, Rows, fit
from training.loop.optimisers import Optimiser
from training.loop.schedules import Cosine
from training.loop.spikes import FIRST, SpikeGuard, Verdict

TABLES = {
    "classification": (blobs(1500, apart=2.5), blobs(500, 1, apart=2.5), 2),
    "regression": (plane(4000), plane(1000, 1), 1),
}
EPOCHS = {"classification": 12, "regression": 6}
"""Some 500 steps each."""

EARLY, LATE = 200, 420


class Faulty(nn.Module):
    """A network whose answers are spoilt in some of its training steps."""

    def __init__(self, inner: nn.Module, steps: range, factor: float) -> None:
        super().__init__()
        self.inner, self.bad, self.factor, self.calls = inner, steps, factor, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.inner(x)
        if self.training:
            self.calls += 1
            if self.calls in self.bad:
                return outputs * self.factor
        return outputs


class Ended(NamedTuple):
    """How a run ended: by the network that is kept, and by the last epoch, so that a fault is not forgotten
    with the epochs behind it. Accuracy, or the root of the mean squared error."""

    result: FitResult
    kept: float
    last: float


def run(task: str, bad: range = range(0), factor: float = 1.0, **options: object) -> Ended:
    train, held, outputs = TABLES[task]
    network = Faulty(core(outputs, hidden=(32, 32)), bad, factor)
    sizes = {"epochs": EPOCHS[task], "batch_size": 32 if task == "classification" else 48}
    config = LoopConfig(**(sizes | options))  # type: ignore[arg-type]
    result = fit(network, train, held, task, config)  # type: ignore[arg-type]
    with torch.no_grad():
        answers = network(*held.inputs)
    last = result.epochs[-1]
    if task == "classification":
        return Ended(result, float((answers.argmax(1) == held.y).double().mean()), last.score)
    error = float((answers[:, 0] - held.y).square().mean().sqrt())
    return Ended(result, error, math.sqrt(last.validation_loss))


def assert_within_a_hundredth(task: str, found: Ended, clean: Ended) -> None:
    """Of the clean run's validation metric."""
    for value, wanted in ((found.kept, clean.kept), (found.last, clean.kept)):
        assert value >= 0.99 * wanted if task == "classification" else value <= 1.01 * wanted


@pytest.fixture(scope="module")
def clean() -> dict[str, Ended]:
    return {task: run(task) for task in TABLES}


@pytest.mark.parametrize("task", TABLES)
def test_a_clean_run_is_left_alone(task: str) -> None:
    incidents = run(task).result.incidents
    assert incidents.skipped <= 1
    assert incidents.rollbacks == 0


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("factor", [1e4, math.nan, math.inf], ids=str)
@pytest.mark.parametrize(("start", "steps"), [(EARLY, 1), (EARLY, 6), (LATE, 6)])
def test_spoilt_steps_are_skipped_and_cost_nothing(
    task: str, factor: float, start: int, steps: int, clean: dict[str, Ended]
) -> None:
    ended = run(task, range(start, start + steps), factor)
    result = ended.result
    assert result.incidents.skipped >= steps
    assert (result.incidents.not_finite >= steps) == (not math.isfinite(factor))
    assert_within_a_hundredth(task, ended, clean[task])
    assert any("were skipped" in warning for warning in result.warnings)


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("start", [EARLY, LATE], ids=["early", "late"])
@pytest.mark.parametrize("steps", [1, 10, 40])
def test_a_hundredfold_rate_for_a_while_is_made_good(
    task: str, steps: int, start: int, clean: dict[str, Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Optimiser.step, count()

    def step(self: Optimiser, factor: float, momentum: float | None = None) -> None:
        honest(self, factor * (100.0 if start <= next(calls) < start + steps else 1.0), momentum)

    monkeypatch.setattr(Optimiser, "step", step)
    assert_within_a_hundredth(task, run(task), clean[task])


class _StoppedError(Exception):
    pass


def test_a_run_that_is_stopped_after_a_fault_resumes_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train, held, outputs = TABLES["classification"]
    config = LoopConfig(epochs=6, batch_size=32, ema=0.9)
    honest = Optimiser.step

    def faulty() -> None:
        calls = count()

        def step(self: Optimiser, factor: float, momentum: float | None = None) -> None:
            honest(self, factor * (100.0 if 100 <= next(calls) < 110 else 1.0), momentum)

        monkeypatch.setattr(Optimiser, "step", step)

    def stop(epoch: Epoch) -> None:
        if epoch.number == 4:
            raise _StoppedError

    monkeypatch.setattr(sys.modules["training.loop.fit"], "CHECKPOINT_SECONDS", 0.0)
    faulty()
    whole = core(outputs)
    expected = fit(whole, train, held, "classification", config)
    faulty()
    with pytest.raises(_StoppedError):
        fit(core(outputs), train, held, "classification", config, stop, tmp_path / "state")
    monkeypatch.setattr(Optimiser, "step", honest)
    network = core(outputs)
    found = fit(network, train, held, "classification", config, checkpoint=tmp_path / "state", resume=True)
    assert expected.incidents.rollbacks > 0
    assert len(expected.epochs) > config.epochs
    assert [e.train_loss for e in found.epochs] == [e.train_loss for e in expected.epochs]
    assert all(torch.equal(network.state_dict()[k], v) for k, v in whole.state_dict().items())


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("steps", [10, 40])
def test_a_hundredfold_rate_that_the_schedule_has_is_passed_by(
    task: str, steps: int, clean: dict[str, Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes again when the schedule goes back with the weights."""
    honest = Cosine.factor

    def factor(self: Cosine, step: float) -> float:
        return honest(self, step) * (100.0 if EARLY <= step < EARLY + steps else 1.0)

    monkeypatch.setattr(Cosine, "factor", factor)
    assert_within_a_hundredth(task, run(task), clean[task])


@pytest.mark.parametrize("task", TABLES)
def test_a_rate_a_hundred_times_too_high_is_lowered(task: str, clean: dict[str, Ended]) -> None:
    assert_within_a_hundredth(task, run(task, learning_rate=0.3), clean[task])


def test_a_network_without_normalisation_survives_such_a_rate_too(clean: dict[str, Ended]) -> None:
    train, held, _ = TABLES["classification"]
    config = LoopConfig(epochs=12, batch_size=32, learning_rate=0.3)
    result = fit(core(hidden=(64, 64), batch_norm=False), train, held, "classification", config)
    assert max(epoch.score for epoch in result.epochs) > 0.99 * clean["classification"].kept


@pytest.mark.parametrize("steps", [range(1, 10**9), range(100, 10**9)], ids=["always", "from-step-100"])
def test_numbers_that_stay_infinite_stop_the_run_with_the_layer_and_the_step(steps: range) -> None:
    with pytest.raises(
        TrainingError, match=r"^step \d+ and .*the output of the network \(Faulty\)"
    ) as stopped:
        run("classification", steps, math.inf)
    assert int(str(stopped.value).split()[1]) == steps.start


class _Overflowing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 1e30) ** 2


def test_an_inner_layer_is_named() -> None:
    network = nn.Sequential(nn.Linear(3, 4), _Overflowing(), nn.Linear(4, 2))
    with pytest.raises(TrainingError, match=r"the output of 1 \(_Overflowing\) is the first"):
        fit(network, *TABLES["classification"][:2], "classification", LoopConfig(epochs=2))


class _Steep(torch.autograd.Function):
    @staticmethod
    def forward(context: object, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(context: object, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * math.inf


class _SteepLayer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Steep.apply(x)


def test_a_gradient_is_named() -> None:
    network = nn.Sequential(nn.Linear(3, 4), _SteepLayer(), nn.Linear(4, 2))
    with pytest.raises(TrainingError, match=r"the gradient of 0.bias is the first that is not finite"):
        fit(network, *TABLES["classification"][:2], "classification", LoopConfig(epochs=2))


def test_running_averages_survive_a_spoilt_step() -> None:
    """Without exact statistics, a batch that is not finite would stay in the running averages for good."""
    train, held, _ = TABLES["classification"]

    class Spoilt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = core(), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            return self.inner(x * math.nan if self.training and self.calls == 150 else x)

    network = Spoilt()
    fit(network, train, held, "classification", LoopConfig(epochs=5, batch_size=32, exact_statistics=False))
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


def test_heavy_tailed_losses_are_ordinary() -> None:
    guard, draws = SpikeGuard(), torch.Generator().manual_seed(0)
    losses = torch.empty(3000).log_normal_(0, 1.0, generator=draws).tolist()
    verdicts = [guard.judge(loss, loss) for loss in losses]
    assert verdicts.count(Verdict.TAKE) > 2990
    assert guard.incidents.rollbacks == 0


def test_a_loss_that_falls_by_orders_of_magnitude_is_ordinary() -> None:
    guard = SpikeGuard()
    assert all(guard.judge(2.0 * 0.99**step, 0.99**step) is Verdict.TAKE for step in range(2000))


def test_the_guard_goes_on_from_its_state() -> None:
    one, other = SpikeGuard(), SpikeGuard()
    for step in range(FIRST * 3):
        one.judge(1.0 + step % 3 / 10, 1.0)
    other.load_state_dict(one.state_dict())
    assert other.judge(100.0, 1.0) is one.judge(100.0, 1.0) is Verdict.SKIP
    assert other.state_dict() == one.state_dict()


def test_rows_without_a_fault_train_the_same_with_and_without_the_guard() -> None:
    states = []
    for guard in (True, False):
        network = core()
        rows: Rows = blobs(300)
        fit(network, rows, rows, "classification", LoopConfig(epochs=3, batch_size=32, spike_guard=guard))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_that_skips_most_of_its_steps_is_no_run() -> None:
    with pytest.raises(TrainingError, match="try a lower --lr"):
        run("classification", epochs=1, learning_rate=1e30)


@pytest.mark.parametrize(
    ("move", "verdict"), [(4.9, Verdict.TAKE), (5.1, Verdict.ROLL_BACK), (math.nan, Verdict.ROLL_BACK)]
)
def test_weights_that_move_much_further_than_lately_are_taken_back(move: float, verdict: Verdict) -> None:
    guard = SpikeGuard()
    for _ in range(8 * 4):
        assert guard.judge(1.0, 1.0, lambda: 1.0) is Verdict.TAKE
    found = [guard.judge(1.0, 1.0, lambda: move) for _ in range(8)]
    assert found == [Verdict.TAKE] * 7 + [verdict]
    assert not guard.lasting


def test_a_rate_that_is_given_back_is_no_leap() -> None:
    guard = SpikeGuard()
    moves = [1.0] * 4 + [10.0] + [0.5] * 8 + [50.0]
    for move in moves:
        for _ in range(8):
            guard.judge(1.0, 1.0, lambda move=move: move)
    assert guard.incidents.rollbacks == 1
    assert guard.incidents.rate_factor == 1.0
