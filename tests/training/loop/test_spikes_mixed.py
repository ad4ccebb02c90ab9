"""What goes wrong for a while must not be seen in the end, where rows are mixed (`--mixup`) too."""

import math
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.training.loop.test_spikes import EARLY, EPOCHS, LATE, TABLES, Ended
from training.config import LoopConfig, ModelConfig
from training.loop import fit
from training.loop.losses import Loss
from training.loop.optimisers import Optimiser
from training.model import Network
from training.model.network import build_network

SHARE = 0.3
"""Of Beta(a, a), the default of small tables."""


class Faulty(Network):
    """A network whose answers are spoilt in some of its training steps."""

    def __init__(self, inner: Network, steps: range, factor: float) -> None:
        super().__init__({}, inner.linear1, None, inner.named_rest())
        self.bad, self.factor, self.calls = steps, factor, 0

    def rest(self, h: Tensor) -> Tensor:
        outputs = super().rest(h)
        self.calls += self.training
        return outputs * self.factor if self.training and self.calls in self.bad else outputs


def network(task: str) -> Network:
    generator = torch.Generator().manual_seed(0)
    return build_network(ModelConfig(hidden=(32, 32)), TABLES[task][2], generator, width=3)


def run(task: str, net: nn.Module | None = None, **options: object) -> Ended:
    train, held, _ = TABLES[task]
    net = net or network(task)
    usual = {"epochs": EPOCHS[task], "batch_size": 32 if task == "classification" else 48, "mixup": SHARE}
    result = fit(net, train, held, task, LoopConfig(**(usual | options)))  # type: ignore[arg-type]
    with torch.no_grad():
        answers = net(*held.inputs)
    last = result.epochs[-1]
    if task == "classification":
        return Ended(result, float((answers.argmax(1) == held.y).double().mean()), last.score)
    error = float((answers[:, 0] - held.y).square().mean().sqrt())
    return Ended(result, error, math.sqrt(last.validation_loss))


def within_a_hundredth(task: str, value: float, wanted: float) -> bool:
    return value >= 0.99 * wanted if task == "classification" else value <= 1.01 * wanted


def assert_within_a_hundredth(task: str, found: Ended, clean: Ended) -> None:
    """Of the clean run's validation metric: by the network that is kept, and after the last epoch."""
    assert within_a_hundredth(task, found.kept, clean.kept)
    assert within_a_hundredth(task, found.last, clean.last)


@pytest.fixture(scope="module")
def clean() -> dict[str, Ended]:
    return {task: run(task) for task in TABLES}


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("share", [SHARE, 1.0])
def test_a_clean_run_is_left_alone(task: str, share: float) -> None:
    incidents = run(task, mixup=share).result.incidents
    assert incidents.skipped <= 1
    assert incidents.rollbacks == 0


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("factor", [1e4, math.nan], ids=str)
@pytest.mark.parametrize(("start", "steps"), [(EARLY, 1), (LATE, 6)])
def test_spoilt_steps_are_skipped_and_cost_nothing(
    task: str, factor: float, start: int, steps: int, clean: dict[str, Ended]
) -> None:
    ended = run(task, Faulty(network(task), range(start, start + steps), factor))
    assert ended.result.incidents.skipped >= steps
    assert (ended.result.incidents.not_finite >= steps) == (not math.isfinite(factor))
    assert_within_a_hundredth(task, ended, clean[task])


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize(("start", "steps"), [(EARLY, 40), (LATE, 1)])
def test_a_hundredfold_rate_for_a_while_is_made_good(
    task: str, start: int, steps: int, clean: dict[str, Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Optimiser.step, count()

    def step(self: Optimiser, factor: float, momentum: float | None = None) -> None:
        honest(self, factor * (100.0 if start <= next(calls) < start + steps else 1.0), momentum)

    monkeypatch.setattr(Optimiser, "step", step)
    ended = run(task)
    assert ended.result.incidents.rollbacks > 0
    assert_within_a_hundredth(task, ended, clean[task])


@pytest.mark.parametrize("task", TABLES)
def test_a_rate_a_hundred_times_too_high_still_gives_a_network(task: str, clean: dict[str, Ended]) -> None:
    """By the network that is kept. Mixed rows have losses of all sizes; those of the regression tell all the
    same that the rate is too high."""
    ended = run(task, learning_rate=0.3)
    assert within_a_hundredth(task, ended.kept, clean[task].kept)
    assert task == "classification" or ended.result.incidents.rate_factor < 1


WEIGHTS = st.floats(0.01, 2.0)


@given(st.sampled_from(["mse", "huber"]), st.floats(-4, 4), st.floats(-4, 4), WEIGHTS, WEIGHTS)
@settings(deadline=None)
def test_no_number_costs_less_than_the_least(
    kind: str, first: float, second: float, m: float, o: float
) -> None:
    loss = Loss("regression", regression=kind)  # type: ignore[arg-type]
    grid = np.linspace(min(first, second), max(first, second), 2001)
    costs = [m * _cost(kind, grid - first) + o * _cost(kind, grid - second)]
    targets = (torch.tensor([[y]], dtype=torch.float64) for y in (first, second))
    least = loss.least(*targets, *(torch.tensor([w], dtype=torch.float64) for w in (m, o)))
    assert least == pytest.approx(np.min(costs), abs=1e-4)


def _cost(kind: str, error: np.ndarray) -> np.ndarray:
    square, size = error**2, np.abs(error)
    return square if kind == "mse" else np.where(size <= 1, square / 2, size - 0.5)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8), st.floats(0, 1))
@settings(deadline=None)
def test_no_probabilities_cost_less_than_the_least(pairs: list[tuple[int, int]], share: float) -> None:
    mixtures = share * np.eye(3)[[a for a, _ in pairs]] + (1 - share) * np.eye(3)[[b for _, b in pairs]]
    entropies = [-sum(p * math.log(p) for p in row if p > 0) for row in mixtures]
    first, second = torch.tensor(pairs).T
    mine = torch.tensor(share, dtype=torch.float64)
    assert Loss("classification").least(first, second, mine, 1 - mine) == pytest.approx(
        np.mean(entropies), abs=1e-9
    )
